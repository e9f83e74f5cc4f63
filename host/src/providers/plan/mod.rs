//! Serving requests by a plan: bytes go to an upstream that speaks the client's dialect, and its bytes come back.

// The request: which members change on the way.
mod request;
// Answers that are not the answer.
mod failure;
// An answer in chunks.
mod stream;

pub(super) use stream::PlanStream;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method};
use patchbay_plugin_api::plan::Endpoint;
use patchbay_plugin_api::{Plan, ProviderError};

use super::account::{Account, Said, WholeAnswer};
use super::{CallContext, Members, Provider, Surface};
use crate::accounts::TraceHeaders;
use crate::config::ProviderSettings;
use crate::services::http::{Prepared, Request, Response};

/// No whole answer is larger; images in answers come to a few megabytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The requests of one provider's plan, made once for each key.
#[derive(Debug)]
pub struct PreparedCalls {
    chat: PerKey,
    texts: PerKey,
    embeddings: PerKey,
}

type PerKey = Box<[OnceLock<Result<Prepared, ProviderError>>]>;

impl PreparedCalls {
    /// None is made yet.
    pub(crate) fn new(keys: usize) -> Self {
        let empty = || (0..keys.max(1)).map(|_| OnceLock::new()).collect();
        Self { chat: empty(), texts: empty(), embeddings: empty() }
    }

    fn of(&self, surface: Surface) -> &PerKey {
        match surface {
            Surface::Chat => &self.chat,
            Surface::Texts => &self.texts,
            Surface::Embeddings => &self.embeddings,
        }
    }
}

/// A plan at work for one call of a provider.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned<'a> {
    plan: &'a Plan,
    surface: Surface,
    endpoint: &'a Endpoint,
    prepared: &'a PerKey,
    settings: &'a Arc<ProviderSettings>,
    /// Of the key, in the provider's ring.
    place: usize,
}

/// What an upstream answered to a request for a stream.
#[derive(Debug)]
pub(super) enum Streamed {
    /// A stream.
    Chunks(Box<PlanStream>),
    /// The whole answer at once, as one chunk.
    Whole(Bytes),
}

impl<'a> Planned<'a> {
    /// The plan, if it covers this and is one this host can follow.
    pub(super) fn of(surface: Surface, provider: &'a Provider, place: usize) -> Option<Self> {
        let plan = provider.plan.as_ref()?;
        let endpoint = endpoint(surface, plan)?;
        let prepared = provider.prepared.of(surface);
        Some(Self { plan, surface, endpoint, prepared, settings: &provider.settings, place })
    }

    /// Asks for a whole answer; what comes back is upstream's own bytes.
    pub(super) async fn complete(
        self,
        body: Members,
        call: &CallContext,
    ) -> Result<WholeAnswer, ProviderError> {
        let response = self.send(request::whole(self.plan, body), "application/json", call).await?;
        let raw = response.body.collect(MAX_ANSWER_BYTES).await?;
        let account = self.account(&raw)?;
        Ok(WholeAnswer { raw, account })
    }

    /// Asks for a stream.
    pub(super) async fn stream(self, body: Members, call: &CallContext) -> Result<Streamed, ProviderError> {
        let response = self.send(request::streamed(self.plan, body), "text/event-stream", call).await?;
        if is_json(&response.headers) {
            let answer = response.body.collect(MAX_ANSWER_BYTES).await?;
            self.account(&answer)?;
            return Ok(Streamed::Whole(self.surface.as_chunk(answer)?));
        }
        let stream = PlanStream::new(response.body, &self.plan.stream.terminal, Arc::clone(self.settings));
        Ok(Streamed::Chunks(Box::new(stream)))
    }

    async fn send(
        self,
        body: Bytes,
        accept: &'static str,
        call: &CallContext,
    ) -> Result<Response, ProviderError> {
        let prepared = self.prepared[self.place].get_or_init(|| self.prepare()).as_ref();
        let prepared = prepared.map_err(Clone::clone)?;
        let accept = (ACCEPT, HeaderValue::from_static(accept));
        let trace = call.trace.iter().flat_map(TraceHeaders::pairs);
        let response = call.http.send(prepared, trace.chain([accept, call.hops.onward()]), body).await?;
        if response.status.is_success() {
            return Ok(response);
        }
        Err(failure::of_response(response, &self.settings.keys).await)
    }

    fn prepare(self) -> Result<Prepared, ProviderError> {
        Request {
            method: Method::POST,
            url: &self.endpoint.url,
            headers: &self.headers(),
            key: self.settings.keys.get(self.place),
            connect_timeout: self.settings.connect_timeout,
            allow_http: self.settings.allow_http,
        }
        .prepare()
    }

    /// The plan's headers, then the operator's, which replace those of the same name.
    fn headers(self) -> Vec<(String, String)> {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let planned = self.plan.headers.iter().map(|header| (&header.name, &header.value));
        for (name, value) in planned.chain(&self.settings.extra_headers) {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.clone(), value.clone()));
        }
        headers
    }

    /// A status of success with an error or nothing in it is not a success.
    fn account(self, answer: &[u8]) -> Result<Account, ProviderError> {
        let said = Said::read(self.surface, answer)?;
        match said.error {
            Some(error) => Err(failure::of_error_member(error, &self.settings.keys)),
            None => said.account(),
        }
    }
}

/// Where a plan sends requests of this kind, if it is one this host can follow.
pub(super) fn endpoint(surface: Surface, plan: &Plan) -> Option<&Endpoint> {
    let endpoint = match surface {
        Surface::Chat => &plan.chat,
        Surface::Texts => &plan.completions,
        Surface::Embeddings => &plan.embeddings,
    };
    endpoint.as_ref().filter(|_| plan.version == 1 && plan.dialect == "openai")
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.trim_start().starts_with("application/json"))
}

//! Asking a provider: by its plan where it has one, else its plugin; always within its time limits.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use patchbay_plugin_api::abi::chunk_flags;
use patchbay_plugin_api::{ErrorKind, Model, ProviderError};
use serde::Deserialize;
use tokio::time::Instant;

use super::answer::{AnswerStream, Source};
use super::plan::{Planned, Streamed};
use super::{Chunk, Members, Provider, whole};
use crate::plugins::{Feature, Operation};
use crate::services::http::HttpClient;
use crate::services::redact;

/// What comes with every call.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The way to upstreams.
    pub http: HttpClient,
    /// For the log, the client's and the plugin's.
    pub request_id: Arc<str>,
}

/// How a plugin lists its models.
#[derive(Deserialize)]
struct Models {
    models: Vec<Model>,
}

impl Provider {
    /// Asks for a whole answer, a `chat.completion` in JSON. Dropping the future cancels.
    pub async fn complete(&self, body: &Members, call: &CallContext) -> Result<Bytes, ProviderError> {
        self.whole(self.ask_whole(body, call)).await
    }

    /// Vectors, in the shape of OpenAI's embeddings API: upstream's own bytes where there is a plan.
    pub async fn embed(&self, body: &Members, call: &CallContext) -> Result<Bytes, ProviderError> {
        self.whole(async {
            if let Some(planned) = Planned::embeddings(self.plan.as_ref(), &self.settings) {
                return planned.embed(body, call).await;
            }
            let answer = self.instance.ask(Operation::Embed, body.write(), &call.request_id).await;
            answer.map_err(|error| self.cleaned(error))
        })
        .await
    }

    /// Waits for an answer that comes in one piece, and counts it.
    async fn whole(
        &self,
        asked: impl Future<Output = Result<Bytes, ProviderError>>,
    ) -> Result<Bytes, ProviderError> {
        let under_way = self.begin();
        let answer = tokio::select! {
            biased;
            answer = within(self.settings.timeout, "no answer", asked) => answer,
            error = under_way.overdue() => Err(error),
        };
        self.counters.record(answer.as_ref().map(|_| ()));
        answer
    }

    /// Asks for an answer in chunks. The time for the first of them runs from here.
    pub async fn stream(
        self: &Arc<Self>,
        body: &Members,
        call: &CallContext,
    ) -> Result<AnswerStream, ProviderError> {
        let under_way = self.begin();
        let began = Instant::now();
        let opened = within(self.settings.timeout, "no first token", self.open(body, call)).await;
        match opened {
            Ok(source) => Ok(AnswerStream::new(source, began, under_way, Arc::clone(self))),
            Err(error) => {
                self.counters.record(Err(&error));
                Err(error)
            }
        }
    }

    /// Asks for the models. It is no request of an application's, so it is not counted as one; the lease keeps its
    /// generation until the answer is there.
    pub async fn models(&self, request_id: &str) -> Result<Vec<Model>, ProviderError> {
        let _lease = self.instance.lease();
        let asked = self.instance.ask(Operation::Models, Bytes::new(), request_id);
        let answer = within(self.settings.timeout, "no list of models", asked).await;
        let answer = answer.map_err(|error| self.cleaned(error))?;
        let listed: Models = serde_json::from_slice(&answer).map_err(|error| {
            ProviderError::unreadable("the plugin's list of models cannot be read")
                .with_detail(error.to_string())
        })?;
        Ok(listed.models)
    }

    async fn ask_whole(&self, body: &Members, call: &CallContext) -> Result<Bytes, ProviderError> {
        if let Some(planned) = Planned::chat(self.plan.as_ref(), &self.settings) {
            return planned.complete(body, call).await;
        }
        let mut body = body.clone();
        body.remove("stream");
        body.remove("stream_options");
        let answer = self.instance.ask(Operation::Complete, body.write(), &call.request_id).await;
        answer.map_err(|error| self.cleaned(error))
    }

    async fn open(&self, body: &Members, call: &CallContext) -> Result<Source, ProviderError> {
        if !self.features.has(Feature::Streaming) {
            let answer = self.ask_whole(body, call).await?;
            return Ok(Source::Whole(Some(only_chunk(whole::as_chunk(&answer)?))));
        }
        if let Some(planned) = Planned::chat(self.plan.as_ref(), &self.settings) {
            return Ok(match planned.stream(body, call).await? {
                Streamed::Chunks(stream) => Source::Plan(stream),
                Streamed::Whole(json) => Source::Whole(Some(only_chunk(json))),
            });
        }
        let mut body = body.clone();
        body.set("stream", Bytes::from_static(b"true"));
        let chunks = self.instance.stream(body.write(), &call.request_id).await;
        chunks.map(Source::Plugin).map_err(|error| self.cleaned(error))
    }

    /// An error of a plugin, whose author may have forgotten what must not be in it.
    pub(super) fn cleaned(&self, mut error: ProviderError) -> ProviderError {
        error.message = redact::clean(&error.message, &self.settings.keys);
        error.detail = error.detail.map(|detail| redact::clean(&detail, &self.settings.keys));
        error
    }
}

/// A chunk that says everything; an answer with nothing in it is an answer too.
fn only_chunk(json: Bytes) -> Chunk {
    Chunk { json, flags: chunk_flags::CONTENT | chunk_flags::FINISH | chunk_flags::USAGE }
}

async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(timed_out(what, limit)),
    }
}

/// Each limit has words of its own: an operator must know which setting to change.
pub(super) fn timed_out(what: &str, limit: Duration) -> ProviderError {
    let limit = humantime::format_duration(limit);
    ProviderError::new(ErrorKind::TimedOut, format!("{what} within {limit}"))
}

#[cfg(test)]
mod tests;

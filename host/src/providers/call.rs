//! Asking a provider: by its plan where it has one, else its plugin; always within its time limits.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use patchbay_plugin_api::abi::chunk_flags;
use patchbay_plugin_api::{ErrorKind, ProviderError};
use tokio::time::Instant;

use super::account::WholeAnswer;
use super::admission::{Admission, replaced};
use super::answer::{AnswerStream, Source};
use super::plan::{self, Planned, Streamed};
use super::{Chunk, Members, Provider, whole};
use crate::accounts::{AttemptSpan, SpanId, TraceHeaders};
use crate::plugins::{Feature, OnBehalf, Operation};
use crate::services::http::{Hops, HttpClient};
use crate::services::redact;

/// What comes with every call.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The way to upstreams.
    pub http: HttpClient,
    /// For the log, the client's and the plugin's.
    pub request_id: Arc<str>,
    /// What upstream is told of the trace, where there is one.
    pub trace: Option<TraceHeaders>,
    /// Through how many hosts the request has come.
    pub hops: Hops,
}

/// What may be asked of an upstream of OpenAI's dialect. Plugins are not asked for texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// The next message of a conversation.
    Chat,
    /// How a text goes on: what there was before chat.
    Texts,
    /// Vectors.
    Embeddings,
}

impl Surface {
    /// The word for it in traces.
    fn operation(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Texts => "text_completion",
            Self::Embeddings => "embeddings",
        }
    }

    /// A whole answer in the shape of a chunk.
    pub(super) fn as_chunk(self, answer: Bytes) -> Result<Bytes, ProviderError> {
        match self {
            Self::Chat => whole::as_chunk(&answer),
            // There the two have one shape.
            Self::Texts | Self::Embeddings => Ok(answer),
        }
    }
}

impl Admission {
    /// Asks for a whole answer, in JSON of the surface's own shape, and reads what is wanted of it: one that cannot be
    /// read is a failure of whoever gave it. Dropping the future cancels.
    pub async fn complete<T>(
        mut self,
        surface: Surface,
        body: Members,
        call: &CallContext,
        read: impl FnOnce(WholeAnswer) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let limit = self.provider.settings.timeout;
        let asked = within(limit, "no answer", self.provider.ask_whole(surface, self.place, body, call));
        let answer = tokio::select! {
            biased;
            answer = asked => answer,
            () = self.lease.overdue() => Err(replaced()),
        };
        let answer = answer.and_then(read);
        match &answer {
            Ok(_) => {
                let now = Instant::now();
                self.begun(now);
                self.succeeded(now);
            }
            Err(error) => self.failed(error),
        }
        answer
    }

    /// Asks for an answer in chunks. The time for the first of them runs from when it was let in.
    pub async fn stream(
        mut self,
        surface: Surface,
        body: Members,
        call: &CallContext,
    ) -> Result<AnswerStream, ProviderError> {
        let settings = &self.provider.settings;
        let (limit, what) = match settings.total_timeout {
            Some(total) if total < settings.timeout => (total, NO_END),
            _ => (settings.timeout, NO_TOKEN),
        };
        let opened = within(limit, what, self.provider.open(surface, self.place, body, call));
        let opened = tokio::select! {
            biased;
            opened = opened => opened,
            () = self.lease.overdue() => Err(replaced()),
        };
        match opened {
            Ok(source) => Ok(AnswerStream::new(source, self)),
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }
}

/// What was waited for when a stream's time was over.
pub(super) const NO_TOKEN: &str = "no first token";
pub(super) const NO_END: &str = "no end of the stream";

impl Provider {
    /// Whether it serves this by its plan. What it does not its plugin may.
    pub fn has_planned(&self, surface: Surface) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan::endpoint(surface, plan).is_some())
    }

    /// What a trace tells of asking it.
    pub fn attempt_span(&self, id: SpanId, surface: Surface, model: Option<&str>) -> AttemptSpan {
        let plan = self.plan.as_ref();
        let endpoint = plan.and_then(|plan| plan::endpoint(surface, plan));
        let model = model
            .or(self.settings.model.as_deref())
            .or_else(|| plan.and_then(|plan| plan.model.default.as_deref()));
        AttemptSpan {
            id,
            operation: surface.operation(),
            model: model.map(str::to_owned),
            url: endpoint.map(|endpoint| endpoint.url.clone()).or_else(|| self.settings.base_url.clone()),
            plugin: endpoint.is_none().then(|| self.plugin.clone()),
        }
    }

    async fn ask_whole(
        &self,
        surface: Surface,
        place: usize,
        mut body: Members,
        call: &CallContext,
    ) -> Result<WholeAnswer, ProviderError> {
        if let Some(planned) = Planned::of(surface, self, place) {
            return planned.complete(body, call).await;
        }
        let operation = match surface {
            Surface::Chat => Operation::Complete,
            Surface::Embeddings => Operation::Embed,
            Surface::Texts => return Err(ProviderError::unsupported("text completions")),
        };
        body.remove("stream");
        body.remove("stream_options");
        let behalf = self.behalf(place, call);
        let answer = self.instance.ask(operation, body.write(), behalf).await;
        WholeAnswer::read(surface, answer.map_err(|error| self.cleaned(error))?)
    }

    async fn open(
        &self,
        surface: Surface,
        place: usize,
        mut body: Members,
        call: &CallContext,
    ) -> Result<Source, ProviderError> {
        if !self.features.has(Feature::Streaming) {
            let answer = self.ask_whole(surface, place, body, call).await?;
            return Ok(Source::Whole(Some(only_chunk(surface.as_chunk(answer.raw)?))));
        }
        if let Some(planned) = Planned::of(surface, self, place) {
            return Ok(match planned.stream(body, call).await? {
                Streamed::Chunks(stream) => Source::Plan(stream),
                Streamed::Whole(json) => Source::Whole(Some(only_chunk(json))),
            });
        }
        if surface != Surface::Chat {
            return Err(ProviderError::unsupported("streams of anything but chat"));
        }
        body.set("stream", Bytes::from_static(b"true"));
        let chunks = self.instance.stream(body.write(), self.behalf(place, call)).await;
        chunks.map(Source::Plugin).map_err(|error| self.cleaned(error))
    }

    fn behalf<'a>(&'a self, place: usize, call: &'a CallContext) -> OnBehalf<'a> {
        OnBehalf {
            request_id: &call.request_id,
            key: self.keys.key(place),
            trace: call.trace.as_ref(),
            hops: call.hops,
        }
    }

    /// Asks for what is no request of an application's, for as long as the generation may be used.
    pub(super) async fn ask_plugin(
        &self,
        operation: Operation,
        request_id: &str,
    ) -> Result<Bytes, ProviderError> {
        self.ask_plugin_with(self.keys.usable(Instant::now()), operation, request_id).await
    }

    /// The same with one of its keys.
    pub(super) async fn ask_plugin_with(
        &self,
        place: usize,
        operation: Operation,
        request_id: &str,
    ) -> Result<Bytes, ProviderError> {
        let lease = self.instance.lease();
        let behalf = OnBehalf { request_id, key: self.keys.key(place), ..OnBehalf::default() };
        tokio::select! {
            biased;
            answer = self.instance.ask(operation, Bytes::new(), behalf) => answer,
            () = lease.overdue() => Err(replaced()),
        }
    }

    /// An error of a plugin, whose author may have forgotten what must not be in it.
    pub(super) fn cleaned(&self, mut error: ProviderError) -> ProviderError {
        error.message = self.cleaned_text(&error.message);
        error.detail = error.detail.map(|detail| redact::clean(&detail, &self.settings.keys));
        redact::clean_words(&mut error, &self.settings.keys);
        error
    }

    /// Words of a plugin that may repeat what they are about.
    pub(super) fn cleaned_text(&self, text: &str) -> String {
        redact::clean(text, &self.settings.keys)
    }
}

/// A chunk that says everything; an answer with nothing in it is an answer too.
fn only_chunk(json: Bytes) -> Chunk {
    Chunk { json, flags: chunk_flags::CONTENT | chunk_flags::FINISH | chunk_flags::USAGE }
}

pub(super) async fn within<T>(
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

//! A provider that is an HTTP API: the plugin only translates.

use serde::de::DeserializeOwned;

use crate::chat::{Answer, ChatRequest};
use crate::embed::{EmbedRequest, Embeddings};
use crate::http::HttpRequest;
use crate::manifest::Implied;
use crate::model::Model;
use crate::plan::Plan;
use crate::split::{DEFAULT_EVENT_LIMIT, Event, Framing};
use crate::{ProviderError, Result, openai};

mod adapter;
mod chunks;
mod events;
mod failure;
#[cfg(test)]
mod tests;

pub use adapter::Http;
pub use chunks::Chunks;
pub use failure::Failure;
pub(crate) use failure::clean;

/// An HTTP API, described by pure functions: what to send, and what came back.
///
/// The SDK does the rest: it has the host make the requests, cuts streams into events, turns statuses into errors
/// and notices an answer that broke off. A provider that speaks OpenAI's dialect has a [`plan`](Self::plan) and
/// needs no other function; one with a dialect of its own writes [`request`](Self::request),
/// [`response`](Self::response) and [`event`](Self::event). Export it as [`Http<Self>`](Http).
pub trait HttpProvider: Sized + 'static {
    /// What the manifest need not be told.
    #[doc(hidden)]
    const IMPLIED: Implied = Implied::NOTHING;

    /// What a configuration's `config` holds.
    type Config: DeserializeOwned;

    /// What must be remembered from one event of a stream to the next; `()` for nothing.
    type StreamState: Default + 'static;

    /// Makes the provider from its configuration, which [`validate`](Self::validate) accepted.
    fn create(config: Self::Config) -> Result<Self>;

    /// Checks a configuration. The error's message says what to mend.
    fn validate(_config: &Self::Config) -> Result<()> {
        Ok(())
    }

    /// How the host may serve requests by itself, where upstream speaks OpenAI's dialect.
    fn plan(&self) -> Option<Plan> {
        None
    }

    /// The request that asks upstream; `request.stream` says whether for chunks. By default, what the plan says.
    fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        self.plan().ok_or_else(|| ProviderError::unsupported("chat"))?.chat_request(request)
    }

    /// Reads a whole answer. By default it is in OpenAI's dialect and passed on.
    fn response(&self, body: &[u8]) -> Result<Answer> {
        openai::answer(body)
    }

    /// Reads one event of a streamed answer, and says when it was the last. By default it is in OpenAI's dialect.
    fn event(&self, _state: &mut Self::StreamState, event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        openai::event(event, out)
    }

    /// How upstream cuts its streams into events.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// Whether streams just end, so that one which was cut cannot be told from one that is complete.
    fn ends_without_terminal(&self) -> bool {
        false
    }

    /// What an answer with a status of failure means.
    fn error(&self, failure: &Failure<'_>) -> ProviderError {
        failure.to_error()
    }

    /// The request that asks upstream for vectors. By default, what the plan says.
    fn embed_request(&self, request: &EmbedRequest) -> Result<HttpRequest> {
        self.plan().ok_or_else(|| ProviderError::unsupported("embeddings"))?.embed_request(request)
    }

    /// Reads vectors. By default they are in OpenAI's dialect and passed on.
    fn embed_response(&self, body: &[u8]) -> Result<Embeddings> {
        openai::embeddings(body)
    }

    /// The request for the list of models; none where upstream has no such list.
    fn models_request(&self) -> Option<HttpRequest> {
        None
    }

    /// Reads the list of models, or makes it from `None` where there was nothing to ask.
    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        body.map_or(Ok(Vec::new()), openai::models)
    }

    /// A request that succeeds when upstream is well. With none it is taken to be.
    fn health_request(&self) -> Option<HttpRequest> {
        self.credentials_request()
    }

    /// A request that succeeds only with a good key. With none, credentials cannot be checked.
    fn credentials_request(&self) -> Option<HttpRequest> {
        self.models_request()
    }

    /// How much may be read.
    fn limits(&self) -> Limits {
        Limits::default()
    }
}

/// How much of an answer may be read before it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a whole answer.
    pub answer: usize,
    /// The most bytes of one event of a stream.
    pub event: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { answer: 32 << 20, event: DEFAULT_EVENT_LIMIT }
    }
}

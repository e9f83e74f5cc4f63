//! Makes a [`Provider`] of an [`HttpProvider`]: the way from one pure function to the next.

use std::rc::Rc;

use super::events::Events;
use super::{Failure, HttpProvider};
use crate::chat::{Answer, ChatRequest, ChunkStream};
use crate::embed::{EmbedRequest, Embeddings};
use crate::host::{Call, Host};
use crate::http::{HttpRequest, HttpResponse};
use crate::manifest::Implied;
use crate::model::{Credentials, Health, Model};
use crate::plan::Plan;
use crate::provider::Provider;
use crate::split::Framing;
use crate::{ErrorKind, ProviderError, Result};

/// Enough of an answer of failure to find its message in.
const FAILURE_LIMIT: usize = 64 << 10;

/// An [`HttpProvider`] at work.
pub struct Http<P> {
    provider: Rc<P>,
    host: Host,
}

impl<P: HttpProvider> Http<P> {
    /// Sends a request; an answer that says it failed is an error.
    async fn send(&self, call: &Call, request: HttpRequest) -> Result<HttpResponse> {
        let response = self.host.http(call, request).await?;
        if response.is_success() {
            return Ok(response);
        }
        let HttpResponse { status, headers, body } = response;
        let body = body.beginning(FAILURE_LIMIT).await;
        Err(self.provider.error(&Failure { status, headers: &headers, body: &body, now: self.host.now() }))
    }

    /// For the sake of the status alone; a page for people is no answer of an API, whatever its status.
    async fn ask(&self, call: &Call, request: HttpRequest) -> Result<()> {
        let beginning = self.send(call, request).await?.body.beginning(FAILURE_LIMIT).await;
        if beginning.trim_ascii_start().starts_with(b"<") {
            let message = "it answers with a page for people, and not as an API does: is `base_url` right?";
            return Err(ProviderError::unreadable(message));
        }
        Ok(())
    }

    async fn fetch(&self, call: &Call, request: HttpRequest) -> Result<Vec<u8>> {
        self.send(call, request).await?.body.collect(self.provider.limits().answer).await
    }
}

impl<P: HttpProvider> Provider for Http<P> {
    const IMPLIED: Implied = Implied { requires: &["service:http>=1"], ..P::IMPLIED };

    type Config = P::Config;

    fn create(config: Self::Config, host: Host) -> Result<Self> {
        Ok(Self { provider: Rc::new(P::create(config)?), host })
    }

    fn validate(config: &Self::Config) -> Result<()> {
        P::validate(config)
    }

    fn plan(&self) -> Option<Plan> {
        self.provider.plan()
    }

    async fn complete(&self, mut request: ChatRequest, call: Call) -> Result<Answer> {
        request.stream = false;
        // Means something only beside `stream`, and some servers refuse it alone.
        request.extra.remove("stream_options");
        let body = self.fetch(&call, self.provider.request(&request)?).await?;
        self.provider.response(&body)
    }

    async fn stream(&self, mut request: ChatRequest, call: Call) -> Result<ChunkStream> {
        request.stream = true;
        let response = self.send(&call, self.provider.request(&request)?).await?;
        // A server that cannot stream, or not this model, answers whole.
        let content_type = response.header("content-type").unwrap_or_default();
        if self.provider.framing() == Framing::Sse && content_type.starts_with("application/json") {
            let body = response.body.collect(self.provider.limits().answer).await?;
            return self.provider.response(&body).and_then(ChunkStream::once);
        }
        Ok(ChunkStream::new(Events::new(self.provider.clone(), response.body)))
    }

    async fn embed(&self, request: EmbedRequest, call: Call) -> Result<Embeddings> {
        let body = self.fetch(&call, self.provider.embed_request(&request)?).await?;
        self.provider.embed_response(&body)
    }

    async fn models(&self, call: Call) -> Result<Vec<Model>> {
        let Some(request) = self.provider.models_request() else {
            return self.provider.models_response(None);
        };
        let body = self.fetch(&call, request).await?;
        self.provider.models_response(Some(&body))
    }

    async fn health(&self, call: Call) -> Result<Health> {
        let Some(request) = self.provider.health_request() else { return Ok(Health::Available) };
        match self.ask(&call, request).await {
            Ok(()) => Ok(Health::Available),
            Err(error) if error.kind == ErrorKind::RateLimited || matches!(error.status, Some(503 | 529)) => {
                Ok(Health::busy(error.message))
            }
            Err(error) => Err(error),
        }
    }

    async fn credentials(&self, call: Call) -> Result<Credentials> {
        let request = self.provider.credentials_request();
        let request = request.ok_or_else(|| ProviderError::unsupported("a check of its credentials"))?;
        match self.ask(&call, request).await {
            Ok(()) => Ok(Credentials::Valid),
            Err(error) if error.kind == ErrorKind::Authentication => {
                Ok(Credentials::Invalid { message: error.message })
            }
            Err(error) => Err(error),
        }
    }
}

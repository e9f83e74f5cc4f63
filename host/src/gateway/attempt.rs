//! Asking the candidates, one after the other, until one of them answers.

use std::sync::Arc;

use bytes::Bytes;
use patchbay_plugin_api::{ErrorKind, ProviderError};
use tokio::time::Instant;
use tracing::warn;

use super::answer::{self, Answer, Facts, RawAnswer};
use super::request::{ChatRequest, EmbedRequest};
use super::select::{Candidate, SelectError, Target, select};
use super::stream::CommittedAnswer;
use crate::plugins::Feature;
use crate::providers::{CallContext, Registry};
use crate::services::http::HttpClient;

/// Serves requests from whatever providers there are at that moment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    registry: Arc<Registry>,
    http: HttpClient,
}

/// A provider that was asked in vain.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Its name.
    pub provider: String,
    /// What it said.
    pub error: ProviderError,
}

/// Why a request was not served.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GatewayError {
    /// Nobody was asked.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// Everybody who was asked failed: the last of them decides what to say, those before it are in `earlier`.
    #[error("{} failed", last.provider)]
    Failed {
        /// Who failed last.
        last: Failed,
        /// Who failed before.
        earlier: Vec<Failed>,
    },
}

impl Gateway {
    /// A gateway to the providers of a registry.
    pub fn new(registry: Arc<Registry>, http: HttpClient) -> Self {
        Self { registry, http }
    }

    /// A whole answer. Dropping the future cancels.
    pub async fn complete(
        &self,
        request: &ChatRequest,
        request_id: &Arc<str>,
    ) -> Result<Answer, GatewayError> {
        let began = Instant::now();
        let mut attempts = self.attempts(request.target(), &request.needs, request_id)?;
        while let Some(candidate) = attempts.next_candidate() {
            match attempts.complete(request, &candidate, began).await {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.note(&candidate, error)?,
            }
        }
        Err(attempts.exhausted())
    }

    /// A whole answer that is passed on as it is. Dropping the future cancels.
    pub async fn complete_raw(
        &self,
        request: &ChatRequest,
        request_id: &Arc<str>,
    ) -> Result<RawAnswer, GatewayError> {
        let mut attempts = self.attempts(request.target(), &request.needs, request_id)?;
        while let Some(candidate) = attempts.next_candidate() {
            let body = request.body_for(&candidate.provider.settings, candidate.model.as_deref());
            let answer = candidate.provider.complete(&body, &attempts.call).await;
            match answer.and_then(|raw| attempts.raw(&candidate, raw, answer::model_of_choices)) {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.note(&candidate, error)?,
            }
        }
        Err(attempts.exhausted())
    }

    /// Vectors. Dropping the future cancels.
    pub async fn embed(
        &self,
        request: &EmbedRequest,
        request_id: &Arc<str>,
    ) -> Result<RawAnswer, GatewayError> {
        let target = Target { provider: None, model: request.model.as_deref() };
        let mut attempts = self.attempts(target, &EmbedRequest::NEEDS, request_id)?;
        while let Some(candidate) = attempts.next_candidate() {
            let body = request.body_for(candidate.model.as_deref());
            let answer = candidate.provider.embed(&body, &attempts.call).await;
            match answer.and_then(|raw| attempts.raw(&candidate, raw, answer::model_of_vectors)) {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.note(&candidate, error)?,
            }
        }
        Err(attempts.exhausted())
    }

    /// An answer that has begun. Dropping the future, or the answer, cancels.
    pub async fn stream(
        &self,
        request: &ChatRequest,
        request_id: &Arc<str>,
    ) -> Result<CommittedAnswer, GatewayError> {
        let mut attempts = self.attempts(request.target(), &request.needs, request_id)?;
        while let Some(candidate) = attempts.next_candidate() {
            match attempts.stream(request, &candidate).await {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.note(&candidate, error)?,
            }
        }
        Err(attempts.exhausted())
    }

    fn attempts(
        &self,
        target: Target<'_>,
        needs: &[Feature],
        request_id: &Arc<str>,
    ) -> Result<Attempts, SelectError> {
        // The snapshot is let go at once: the candidates keep alive what they need.
        let candidates = select(&self.registry.snapshot(), target, needs)?;
        let call = CallContext { http: self.http.clone(), request_id: Arc::clone(request_id) };
        Ok(Attempts { call, candidates: candidates.into_iter(), failed: Vec::new() })
    }
}

impl ChatRequest {
    fn target(&self) -> Target<'_> {
        Target { provider: self.provider.as_deref(), model: self.model.as_deref() }
    }
}

/// The candidates of one request, and what came of those that were asked.
struct Attempts {
    call: CallContext,
    candidates: std::vec::IntoIter<Candidate>,
    failed: Vec<Failed>,
}

impl Attempts {
    fn next_candidate(&mut self) -> Option<Candidate> {
        self.candidates.next()
    }

    async fn complete(
        &self,
        request: &ChatRequest,
        candidate: &Candidate,
        began: Instant,
    ) -> Result<Answer, ProviderError> {
        let provider = Arc::clone(&candidate.provider);
        let body = request.body_for(&provider.settings, candidate.model.as_deref());
        let raw = provider.complete(&body, &self.call).await?;
        let (text, role) = answer::words_of(&raw)?;
        let mut facts = Facts::default();
        facts.add(&raw);
        let model = facts.model.clone().or_else(|| candidate.model.clone()).unwrap_or_default();
        Ok(Answer {
            provider,
            model,
            attempts: self.failed.len() + 1,
            latency: began.elapsed(),
            text,
            role,
            facts,
            raw,
        })
    }

    /// An answer whose words nobody here reads.
    fn raw(
        &self,
        candidate: &Candidate,
        raw: Bytes,
        model_of: fn(&[u8]) -> Result<Option<String>, ProviderError>,
    ) -> Result<RawAnswer, ProviderError> {
        let model = model_of(&raw)?.or_else(|| candidate.model.clone()).unwrap_or_default();
        let provider = Arc::clone(&candidate.provider);
        Ok(RawAnswer { provider, model, attempts: self.failed.len() + 1, raw })
    }

    async fn stream(
        &self,
        request: &ChatRequest,
        candidate: &Candidate,
    ) -> Result<CommittedAnswer, ProviderError> {
        let provider = Arc::clone(&candidate.provider);
        let body = request.body_for(&provider.settings, candidate.model.as_deref());
        let stream = provider.stream(&body, &self.call).await?;
        CommittedAnswer::begin(stream, provider, candidate.model.clone(), self.failed.len() + 1).await
    }

    /// Takes note of a failure; an error when asking anybody else is of no use.
    fn note(&mut self, candidate: &Candidate, error: ProviderError) -> Result<(), GatewayError> {
        let provider = candidate.provider.name();
        warn!(
            provider,
            request_id = &*self.call.request_id,
            kind = error.kind.as_str(),
            status = error.status,
            detail = error.detail.as_deref(),
            problem = error.message,
            "provider failed"
        );
        // What one provider does not support another may.
        let next_may_do_better = error.kind.retryable() || error.kind == ErrorKind::Unsupported;
        self.failed.push(Failed { provider: provider.to_owned(), error });
        if next_may_do_better { Ok(()) } else { Err(self.exhausted()) }
    }

    fn exhausted(&mut self) -> GatewayError {
        let mut earlier = std::mem::take(&mut self.failed);
        match earlier.pop() {
            Some(last) => GatewayError::Failed { last, earlier },
            // Selecting nobody is an error of its own, so somebody was asked; still, better an answer than a panic.
            None => GatewayError::Select(SelectError::NothingAvailable { passed: Vec::new() }),
        }
    }
}

#[cfg(test)]
mod tests;

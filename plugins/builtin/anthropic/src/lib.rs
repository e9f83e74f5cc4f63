//! Anthropic, whose Messages API is a dialect of its own: every request and every answer is translated.

use patchbay_plugin_api::abi::KEY_PLACEHOLDER;
use patchbay_plugin_api::dialect::Upstream;
use patchbay_plugin_api::{
    Answer, ChatRequest, Chunks, Event, Failure, Http, HttpProvider, HttpRequest, Model, ProviderError,
    Result,
};
use serde::Deserialize;

// 1. What is asked.
mod messages;
mod request;
mod thinking;

// 2. What is answered.
mod answer;
mod failure;
mod models;

#[cfg(test)]
mod tests;

const DEFAULTS: &str =
    r#"{"base_url": "https://api.anthropic.com/v1", "model": "claude-sonnet-5-5", "priority": 50}"#;

/// The version of the API, which has not moved since; what is new is asked for by members of a request.
const VERSION: &str = "2023-06-01";

patchbay_plugin_api::export! {
    Http<Anthropic>,
    name: "Anthropic",
    category: "official",
    documentation: "https://platform.claude.com/docs/en/api/messages",
    requires: ["service:http>=1"],
    features: [
        "chat_completion", "streaming", "function_calling", "vision", "json_output", "reasoning", "model_list",
        "health_check", "credentials_check",
    ],
    config_defaults: DEFAULTS,
}

/// The vendor.
pub struct Anthropic(Upstream<Own>);

/// What an operator may configure beside what all upstreams have.
#[derive(Deserialize)]
pub struct Own {
    /// The most tokens of answers to requests that do not bound them: the API insists on a bound.
    max_tokens: Option<u64>,
}

impl HttpProvider for Anthropic {
    type Config = Upstream<Own>;
    type StreamState = answer::State;

    fn create(upstream: Self::Config) -> Result<Self> {
        let upstream = upstream.with_header("x-api-key", KEY_PLACEHOLDER);
        Ok(Self(upstream.with_header("anthropic-version", VERSION)))
    }

    fn validate(upstream: &Self::Config) -> Result<()> {
        if upstream.own.max_tokens == Some(0) {
            return Err(ProviderError::invalid_input("`max_tokens` must be at least 1"));
        }
        upstream.check("https://api.anthropic.com/v1", &["/messages"])
    }

    fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        let model = self.0.model(request.model.as_deref())?;
        self.0.post("messages").json(&request::body(request, model, self.0.own.max_tokens)?)
    }

    fn response(&self, body: &[u8]) -> Result<Answer> {
        answer::read(body)
    }

    fn event(&self, state: &mut answer::State, event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        answer::event(state, &event.data, out)
    }

    fn error(&self, failure: &Failure<'_>) -> ProviderError {
        failure::of_status(failure)
    }

    fn models_request(&self) -> Option<HttpRequest> {
        // As many as a page may hold: unasked, it is twenty.
        self.0.list("models?limit=1000")
    }

    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        self.0.listed(body, models::read)
    }

    fn credentials_request(&self) -> Option<HttpRequest> {
        Some(self.0.get("models?limit=1"))
    }
}

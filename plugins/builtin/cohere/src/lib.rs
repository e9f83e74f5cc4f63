//! Cohere, by the second version of its own API.
//!
//! Its endpoint for OpenAI's clients would make it nearly data, but it is the lesser one: by its description it takes
//! neither `tool_choice` nor `parallel_tool_calls`, of efforts to think only the least and the most, and for vectors
//! neither a length nor a purpose. So requests and answers are translated.

use patchbay_plugin_api::abi::KEY_PLACEHOLDER;
use patchbay_plugin_api::dialect::Upstream;
use patchbay_plugin_api::{
    Answer, ChatRequest, Chunks, EmbedRequest, Embeddings, Event, Failure, Http, HttpProvider, HttpRequest,
    Model, ProviderError, Result,
};

// 1. What is asked.
mod messages;
mod request;

// 2. What comes back.
mod answer;
mod failure;

// 3. What is beside chat.
mod embeddings;
mod models;

#[cfg(test)]
mod tests;

const DEFAULTS: &str =
    r#"{"base_url": "https://api.cohere.com", "model": "command-a-plus-05-2026", "priority": 50}"#;

patchbay_plugin_api::export! {
    Http<Cohere>,
    name: "Cohere",
    category: "official",
    documentation: "https://docs.cohere.com/reference/chat",
    requires: ["service:http>=1"],
    features: [
        "chat_completion", "streaming", "function_calling", "vision", "embeddings", "json_output", "reasoning",
        "model_list", "health_check", "credentials_check",
    ],
    config_defaults: DEFAULTS,
}

/// The provider.
struct Cohere(Upstream);

impl HttpProvider for Cohere {
    type Config = Upstream;
    type StreamState = ();

    fn create(upstream: Upstream) -> Result<Self> {
        Ok(Self(upstream.with_header("authorization", &format!("Bearer {KEY_PLACEHOLDER}"))))
    }

    fn validate(upstream: &Upstream) -> Result<()> {
        // Without its version, for the parts of the API are of different ones.
        upstream.check("https://api.cohere.com", &["/v1", "/v2"])
    }

    fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        let model = self.0.model(request.model.as_deref())?;
        self.0.post("v2/chat").json(&request::body(request, model)?)
    }

    fn response(&self, body: &[u8]) -> Result<Answer> {
        answer::whole(body)
    }

    fn event(&self, _state: &mut (), event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        answer::event(event.data.as_bytes(), out)
    }

    fn error(&self, failure: &Failure<'_>) -> ProviderError {
        failure::of_status(failure)
    }

    fn embed_request(&self, request: &EmbedRequest) -> Result<HttpRequest> {
        let model = self.0.model(request.model.as_deref())?;
        self.0.post("v2/embed").json(&embeddings::body(request, model)?)
    }

    fn embed_response(&self, body: &[u8]) -> Result<Embeddings> {
        embeddings::read(body)
    }

    fn models_request(&self) -> Option<HttpRequest> {
        // As many as a page may hold: unasked, it is twenty.
        self.0.list("v1/models?page_size=1000")
    }

    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        self.0.listed(body, models::read)
    }

    fn credentials_request(&self) -> Option<HttpRequest> {
        Some(self.0.get("v1/models?page_size=1"))
    }
}

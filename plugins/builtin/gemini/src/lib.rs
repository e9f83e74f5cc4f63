//! Google Gemini, in Google's own dialect: its `generateContent`, where thoughts, signatures and caches are whole.
//!
//! Nothing here has a state. Requests are translated in `request` and `contents`, answers in `answer`.

use patchbay_plugin_api::abi::KEY_PLACEHOLDER;
use patchbay_plugin_api::dialect::Upstream;
use patchbay_plugin_api::{
    Answer, ChatRequest, Chunks, EmbedRequest, Embeddings, ErrorKind, Event, Failure, Http, HttpProvider,
    HttpRequest, Model, ProviderError, Result, Usage,
};

// 1. What is asked.
mod contents;
mod request;

// 2. What comes back.
mod answer;
mod failure;

// 3. What is beside chat.
mod embeddings;
mod models;

#[cfg(test)]
mod tests;

const DEFAULTS: &str = r#"{"base_url": "https://generativelanguage.googleapis.com/v1beta",
    "model": "gemini-3.5-flash", "priority": 50}"#;

patchbay_plugin_api::export! {
    Http<Gemini>,
    name: "Google Gemini",
    category: "official",
    documentation: "https://ai.google.dev/api/generate-content",
    requires: ["service:http>=1"],
    features: [
        "chat_completion", "streaming", "function_calling", "vision", "embeddings", "json_output", "reasoning",
        "model_list", "health_check", "credentials_check",
    ],
    config_defaults: DEFAULTS,
}

/// The provider.
struct Gemini(Upstream);

impl Gemini {
    /// A request of one of a model's methods.
    fn post(&self, model: &str, method: &str) -> HttpRequest {
        let path = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
        self.0.post(&format!("{path}:{method}"))
    }

    /// The model to ask, without the `models/` that the list has before its names.
    fn model<'a>(&'a self, asked: Option<&'a str>) -> Result<&'a str> {
        let model = self.0.model(asked)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        // It becomes part of the address. No model has such a name, and that is what Google would say.
        if model.is_empty() || model.contains("..") || !model.bytes().all(fits) {
            let message = "the provider has no model of this name";
            return Err(ProviderError::new(ErrorKind::Provider, message).with_status(404));
        }
        Ok(model.strip_prefix("models/").unwrap_or(model))
    }
}

impl HttpProvider for Gemini {
    type Config = Upstream;
    /// Counts come with every event, and the last ones hold.
    type StreamState = Option<Usage>;

    fn create(upstream: Upstream) -> Result<Self> {
        // Never in the address, as Google's older examples have it: addresses are logged.
        Ok(Self(upstream.with_header("x-goog-api-key", KEY_PLACEHOLDER)))
    }

    fn validate(upstream: &Upstream) -> Result<()> {
        upstream.check("https://generativelanguage.googleapis.com/v1beta", &["/models"])
    }

    fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        let model = self.model(request.model.as_deref())?;
        // Without `alt=sse` a stream is one JSON array, whose elements no framing cuts.
        let method = if request.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        self.post(model, method).json(&request::body(request, model)?)
    }

    fn response(&self, body: &[u8]) -> Result<Answer> {
        Chunks::gather(|out| answer::read("the provider's answer", body, &mut None, out))
    }

    fn event(&self, usage: &mut Option<Usage>, event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        answer::read("an event of the provider's stream", event.data.as_bytes(), usage, out)
    }

    fn error(&self, failure: &Failure<'_>) -> ProviderError {
        failure::error(failure)
    }

    fn embed_request(&self, request: &EmbedRequest) -> Result<HttpRequest> {
        let model = self.model(request.model.as_deref())?;
        self.post(model, "batchEmbedContents").json(&embeddings::body(request, model)?)
    }

    fn embed_response(&self, body: &[u8]) -> Result<Embeddings> {
        embeddings::read(body)
    }

    fn models_request(&self) -> Option<HttpRequest> {
        // As many as a page can hold, for nobody asks for a second one.
        self.0.list("models?pageSize=1000")
    }

    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        self.0.listed(body, models::read)
    }

    fn credentials_request(&self) -> Option<HttpRequest> {
        // The shortest answer that needs a good key.
        Some(self.0.get("models?pageSize=1"))
    }
}

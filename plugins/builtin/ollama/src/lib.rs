//! Ollama, in its own dialect: what its OpenAI-compatible one lacks (`think`, `num_ctx`, `keep_alive`) is there, too.

use patchbay_plugin_api::abi::KEY_PLACEHOLDER;
use patchbay_plugin_api::dialect::Upstream;
use patchbay_plugin_api::{
    Answer, ChatRequest, Chunks, EmbedRequest, Embeddings, ErrorKind, Event, Failure, Framing, Http,
    HttpProvider, HttpRequest, Model, ProviderError, Result,
};
use serde::Deserialize;
use serde_json::{Map, Value};

// What is asked.
mod message;
mod request;

// What is answered.
mod answer;
mod models;

#[cfg(test)]
mod tests;

/// No model: which there are depends on what was pulled, and one that is not there would only fail later. Much time,
/// as much as Ollama itself allows for loading a model: the first answer waits for that, and a whole one for its end.
const DEFAULTS: &str = r#"{"base_url": "http://127.0.0.1:11434", "priority": 60, "timeout": 300}"#;

// Nothing asks for the credentials: without a key there are none, and hosted lists of models are open to everybody.
patchbay_plugin_api::export! {
    Http<Ollama>,
    name: "Ollama",
    category: "official",
    documentation: "https://docs.ollama.com/api",
    requires: ["service:http>=1"],
    features: [
        "chat_completion", "streaming", "function_calling", "vision", "embeddings", "json_output", "reasoning",
        "model_list", "health_check",
    ],
    config_defaults: DEFAULTS,
}

/// The provider.
struct Ollama(Upstream<Own>);

/// What an operator may configure beside what all upstreams have.
#[derive(Debug, Deserialize)]
struct Own {
    /// Ollama's own options, such as `num_ctx`, for requests that do not set them.
    #[serde(default)]
    options: Map<String, Value>,
    /// How long a model stays in memory: seconds, or a text such as `10m`.
    keep_alive: Option<Value>,
}

/// The address without `/api`, which Ollama's documentation counts to it at times.
fn root(base_url: &str) -> &str {
    let base = base_url.trim_end_matches('/');
    // A host may be called `api`, too.
    base.strip_suffix("/api").filter(|rest| !rest.ends_with('/')).unwrap_or(base)
}

impl HttpProvider for Ollama {
    type Config = Upstream<Own>;
    type StreamState = ();

    fn create(upstream: Self::Config) -> Result<Self> {
        let base_url = root(&upstream.base_url).to_owned();
        let bearer = format!("Bearer {KEY_PLACEHOLDER}");
        // Only hosted Ollama wants a key; without one no header that needs it is sent.
        Ok(Self(Upstream { base_url, ..upstream }.with_header("authorization", &bearer)))
    }

    fn validate(upstream: &Self::Config) -> Result<()> {
        upstream.check("http://127.0.0.1:11434", &[])?;
        if root(&upstream.base_url).ends_with("/v1") {
            let message = "`base_url` is where Ollama is, such as http://127.0.0.1:11434; its OpenAI dialect below \
                           /v1 is for the plugin `openai-compatible`";
            return Err(ProviderError::invalid_input(message));
        }
        Ok(())
    }

    fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        let model = self.0.model(request.model.as_deref())?;
        self.0.post("api/chat").json(&request::chat(request, model, &self.0.own)?)
    }

    fn response(&self, body: &[u8]) -> Result<Answer> {
        Chunks::gather(|out| answer::line(body, out))
    }

    fn event(&self, _state: &mut (), event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        answer::line(event.data.as_bytes(), out)
    }

    fn framing(&self) -> Framing {
        Framing::Ndjson
    }

    fn error(&self, failure: &Failure<'_>) -> ProviderError {
        let mut error = failure.to_error();
        // Said with 400 of a model that has no tools, images or thinking: the request is fine for another.
        if failure.status == 400 && error.message.contains("does not support") {
            error.kind = ErrorKind::Unsupported;
        }
        error
    }

    fn embed_request(&self, request: &EmbedRequest) -> Result<HttpRequest> {
        let model = self.0.model(request.model.as_deref())?;
        self.0.post("api/embed").json(&request::embed(request, model, &self.0.own)?)
    }

    fn embed_response(&self, body: &[u8]) -> Result<Embeddings> {
        answer::embeddings(body)
    }

    fn models_request(&self) -> Option<HttpRequest> {
        self.0.list("api/tags")
    }

    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        self.0.listed(body, models::read)
    }

    fn health_request(&self) -> Option<HttpRequest> {
        Some(self.0.get("api/version"))
    }

    fn credentials_request(&self) -> Option<HttpRequest> {
        None
    }
}

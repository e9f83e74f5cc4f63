//! Google Gemini, in Google's own dialect: its `generateContent`, where thoughts, signatures and caches are whole.
//!
//! Nothing here has a state. Requests are translated in `request` and `contents`, answers in `answer`.

use patchbay_plugin_api::{
    Answer, ChatRequest, Chunks, EmbedRequest, Embeddings, ErrorKind, Event, Failure, Http, HttpProvider,
    HttpRequest, Model, ProviderError, Result,
};
use serde::Deserialize;

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

/// What an operator configures.
#[derive(Debug, Deserialize)]
struct Config {
    /// Where the API begins, with its version.
    base_url: String,
    /// The model of requests that name none.
    model: Option<String>,
    /// The models to offer, instead of all that are listed.
    #[serde(default)]
    models: Vec<String>,
}

/// The provider.
struct Gemini(Config);

impl Gemini {
    /// A request of one of a model's methods.
    fn post(&self, model: &str, method: &str) -> HttpRequest {
        let path = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
        keyed(HttpRequest::post(format!("{}/{path}:{method}", self.0.base_url)))
    }

    /// The model to ask, without the `models/` that the list has before its names.
    fn model<'a>(&'a self, asked: Option<&'a str>) -> Result<&'a str> {
        let model = asked.or(self.0.model.as_deref());
        let model = model.ok_or_else(|| ProviderError::invalid_input("the request names no `model`"))?;
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
    type Config = Config;
    type StreamState = answer::Streamed;

    fn create(config: Config) -> Result<Self> {
        let base_url = config.base_url.trim_end_matches('/').to_owned();
        Ok(Self(Config { base_url, ..config }))
    }

    fn validate(config: &Config) -> Result<()> {
        let url = &config.base_url;
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(ProviderError::invalid_input("`base_url` must begin with https:// or http://"));
        }
        if url.contains(['?', '#']) || url.contains("/models") {
            let example = "https://generativelanguage.googleapis.com/v1beta";
            let message = format!("`base_url` is where the API begins, such as {example}");
            return Err(ProviderError::invalid_input(message));
        }
        match &config.model {
            // It may be the plugin's own default, of which an operator has not thought.
            Some(model) if !config.models.is_empty() && !config.models.contains(model) => {
                let message =
                    format!("`model` is `{model}`, which is not among `models`: set it to one of them");
                Err(ProviderError::invalid_input(message))
            }
            _ => Ok(()),
        }
    }

    fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        let model = self.model(request.model.as_deref())?;
        // Without `alt=sse` a stream is one JSON array, whose elements no framing cuts.
        let method = if request.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        self.post(model, method).json(&request::body(request, model)?)
    }

    fn response(&self, body: &[u8]) -> Result<Answer> {
        answer::whole(body)
    }

    fn event(&self, state: &mut answer::Streamed, event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        answer::event(state, event.data.as_bytes(), out)
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
        self.0
            .models
            .is_empty()
            .then(|| keyed(HttpRequest::get(format!("{}/models?pageSize=1000", self.0.base_url))))
    }

    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        match body {
            Some(body) => models::read(body),
            None => Ok(self.0.models.iter().map(Model::new).collect()),
        }
    }

    fn health_request(&self) -> Option<HttpRequest> {
        self.credentials_request()
    }

    fn credentials_request(&self) -> Option<HttpRequest> {
        // The shortest answer that needs a good key.
        Some(keyed(HttpRequest::get(format!("{}/models?pageSize=1", self.0.base_url))))
    }
}

/// The key goes into a header, never into the address as Google's older examples have it: addresses are logged.
fn keyed(request: HttpRequest) -> HttpRequest {
    request.header("x-goog-api-key", patchbay_plugin_api::abi::KEY_PLACEHOLDER)
}

/// Reads what Google sent, or says what it was not.
fn read<'a, T: Deserialize<'a>>(what: &str, body: &'a [u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        ProviderError::unreadable(format!("{what} cannot be read")).with_detail(error.to_string())
    })
}

//! Ollama, in its own dialect: what its OpenAI-compatible one lacks (`think`, `num_ctx`, `keep_alive`) is there, too.

use std::collections::BTreeMap;

use patchbay_plugin_api::{
    Answer, ChatRequest, Chunks, EmbedRequest, Embeddings, ErrorKind, Event, Failure, Framing, Http,
    HttpProvider, HttpRequest, Model, Plan, ProviderError, Result,
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

/// What an operator configures. A key, which only hosted Ollama wants, is the host's matter.
#[derive(Debug, Deserialize)]
struct Config {
    /// Where Ollama is, without `/api`.
    base_url: String,
    /// The model of requests that name none.
    model: Option<String>,
    /// The models to offer, instead of all that were pulled.
    #[serde(default)]
    models: Vec<String>,
    /// Headers sent with every request.
    #[serde(default)]
    extra_headers: BTreeMap<String, String>,
    /// Ollama's own options, such as `num_ctx`, for requests that do not set them.
    #[serde(default)]
    options: Map<String, Value>,
    /// How long a model stays in memory: seconds, or a text such as `10m`.
    keep_alive: Option<Value>,
}

impl Config {
    /// Where the paths begin; Ollama's documentation counts `/api` to the address, at times.
    fn root(&self) -> &str {
        let base = self.base_url.trim_end_matches('/');
        // A host may be called `api`, too.
        base.strip_suffix("/api").filter(|rest| !rest.ends_with('/')).unwrap_or(base)
    }

    /// Only its headers and its checks are of use: the host cannot follow it, as this is another dialect.
    fn plan(&self) -> Plan {
        let plan = Plan::openai(self.root());
        self.extra_headers.iter().fold(plan, |plan, (name, value)| plan.with_header(name, value))
    }
}

/// The provider.
struct Ollama {
    config: Config,
    plan: Plan,
}

impl Ollama {
    fn to(&self, method: &str, path: &str) -> HttpRequest {
        let request = HttpRequest::new(method, format!("{}{path}", self.config.root()));
        self.plan.headers.iter().fold(request, |request, header| request.header(&header.name, &header.value))
    }

    fn model<'a>(&'a self, asked: Option<&'a str>) -> Result<&'a str> {
        // Not the request's fault: another provider may have a default.
        asked.or(self.config.model.as_deref()).ok_or_else(|| {
            ProviderError::unsupported("requests that name no model, as it is configured without one")
                .with_param("model")
        })
    }
}

impl HttpProvider for Ollama {
    type Config = Config;
    type StreamState = answer::Seen;

    fn create(config: Config) -> Result<Self> {
        Ok(Self { plan: config.plan(), config })
    }

    fn validate(config: &Config) -> Result<()> {
        let refused = |message: String| Err(ProviderError::invalid_input(message));
        if !config.base_url.starts_with("https://") && !config.base_url.starts_with("http://") {
            return refused("`base_url` must begin with https:// or http://".into());
        }
        if config.base_url.contains(['?', '#']) || config.root().ends_with("/v1") {
            return refused(
                "`base_url` is where Ollama is, such as http://127.0.0.1:11434; its OpenAI dialect below /v1 is \
                 for the plugin `openai-compatible`"
                    .into(),
            );
        }
        if let Some(model) = &config.model
            && !config.models.is_empty()
            && !config.models.contains(model)
        {
            return refused(format!(
                "`model` is `{model}`, which is not among `models`: set it to one of them"
            ));
        }
        config.plan().validate()
    }

    fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        let model = self.model(request.model.as_deref())?;
        self.to("POST", "/api/chat").json(&request::Chat::new(request, model, &self.config)?)
    }

    fn response(&self, body: &[u8]) -> Result<Answer> {
        answer::whole(body)
    }

    fn event(&self, seen: &mut answer::Seen, event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        answer::line(event.data.as_bytes(), seen, out)
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
        let model = self.model(request.model.as_deref())?;
        self.to("POST", "/api/embed").json(&request::Embed::new(request, model, &self.config)?)
    }

    fn embed_response(&self, body: &[u8]) -> Result<Embeddings> {
        answer::embeddings(body)
    }

    fn models_request(&self) -> Option<HttpRequest> {
        self.config.models.is_empty().then(|| self.to("GET", "/api/tags"))
    }

    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        body.map_or_else(|| Ok(self.config.models.iter().map(Model::new).collect()), models::read)
    }

    fn health_request(&self) -> Option<HttpRequest> {
        Some(self.to("GET", "/api/version"))
    }

    fn credentials_request(&self) -> Option<HttpRequest> {
        None
    }
}

//! Cohere, by the second version of its own API.
//!
//! Its endpoint for OpenAI's clients would make it nearly data, but it is the lesser one: by its description it takes
//! neither `tool_choice` nor `parallel_tool_calls`, of efforts to think only the least and the most, and for vectors
//! neither a length nor a purpose. So requests and answers are translated.

use std::collections::BTreeMap;

use patchbay_plugin_api::{
    Answer, ChatRequest, Chunks, EmbedRequest, Embeddings, Event, Failure, Http, HttpProvider, HttpRequest,
    Model, Plan, ProviderError, Result,
};
use serde::Deserialize;

// 1. What is asked.
mod messages;
mod request;

// 2. What comes back.
mod answer;
mod failure;
mod stream;

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

/// What an operator configures.
#[derive(Deserialize)]
struct Config {
    /// Where the API is, without its version: its parts are of different ones.
    base_url: String,
    /// The model of requests that name none.
    model: Option<String>,
    /// The models to offer, instead of all that are listed.
    #[serde(default)]
    models: Vec<String>,
    /// Headers sent with every request.
    #[serde(default)]
    extra_headers: BTreeMap<String, String>,
}

impl Config {
    fn root(&self) -> &str {
        self.base_url.trim_end_matches('/')
    }

    /// Only its headers and its checks are of use: the host cannot follow it, as this is another dialect.
    fn plan(&self) -> Plan {
        let plan = Plan::openai(self.root());
        self.extra_headers.iter().fold(plan, |plan, (name, value)| plan.with_header(name, value))
    }
}

/// The provider.
struct Cohere {
    config: Config,
    plan: Plan,
}

impl Cohere {
    fn to(&self, method: &str, path: &str) -> HttpRequest {
        let request = HttpRequest::new(method, format!("{}{path}", self.config.root()));
        self.plan.headers.iter().fold(request, |request, header| request.header(&header.name, &header.value))
    }

    fn model<'a>(&'a self, asked: Option<&'a str>) -> Result<&'a str> {
        asked.or(self.config.model.as_deref()).ok_or_else(|| {
            ProviderError::invalid_input("the request names no `model`, and the provider has no default")
                .with_param("model")
        })
    }
}

impl HttpProvider for Cohere {
    type Config = Config;
    type StreamState = stream::Seen;

    fn create(config: Config) -> Result<Self> {
        Ok(Self { plan: config.plan(), config })
    }

    fn validate(config: &Config) -> Result<()> {
        let refused = |message: String| Err(ProviderError::invalid_input(message));
        let url = config.root();
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return refused("`base_url` must begin with https:// or http://".into());
        }
        if url.contains(['?', '#']) || url.ends_with("/v1") || url.ends_with("/v2") {
            return refused(
                "`base_url` is where the API is, without its version: such as https://api.cohere.com".into(),
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
        self.to("POST", "/v2/chat").json(&request::body(request, model)?)
    }

    fn response(&self, body: &[u8]) -> Result<Answer> {
        answer::whole(body)
    }

    fn event(&self, seen: &mut stream::Seen, event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        stream::event(seen, event.data.as_bytes(), out)
    }

    fn error(&self, failure: &Failure<'_>) -> ProviderError {
        failure::of_status(failure)
    }

    fn embed_request(&self, request: &EmbedRequest) -> Result<HttpRequest> {
        let model = self.model(request.model.as_deref())?;
        self.to("POST", "/v2/embed").json(&embeddings::body(request, model)?)
    }

    fn embed_response(&self, body: &[u8]) -> Result<Embeddings> {
        embeddings::read_vectors(body)
    }

    fn models_request(&self) -> Option<HttpRequest> {
        // As many as a page may hold: unasked, it is twenty.
        self.config.models.is_empty().then(|| self.to("GET", "/v1/models?page_size=1000"))
    }

    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        body.map_or_else(|| Ok(self.config.models.iter().map(Model::new).collect()), models::read)
    }

    fn health_request(&self) -> Option<HttpRequest> {
        self.credentials_request()
    }

    fn credentials_request(&self) -> Option<HttpRequest> {
        Some(self.to("GET", "/v1/models?page_size=1"))
    }
}

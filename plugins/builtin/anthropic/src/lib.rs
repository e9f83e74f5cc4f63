//! Anthropic, whose Messages API is a dialect of its own: every request and every answer is translated.

use std::collections::BTreeMap;

use patchbay_plugin_api::abi::KEY_PLACEHOLDER;
use patchbay_plugin_api::{
    Answer, ChatRequest, Chunks, Event, Failure, Http, HttpProvider, HttpRequest, Model, Plan, ProviderError,
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
mod stream;
mod time;

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
pub struct Anthropic {
    config: Config,
}

/// What an operator configures.
#[derive(Deserialize)]
pub struct Config {
    /// Where the API begins.
    base_url: String,
    /// The model of requests that name none.
    model: Option<String>,
    /// The most tokens of answers to requests that do not bound them: the API insists on a bound.
    max_tokens: Option<u64>,
    /// Headers sent with every request, in place of those of the same name.
    #[serde(default)]
    extra_headers: BTreeMap<String, String>,
    /// The models to offer, instead of all that are listed.
    #[serde(default)]
    models: Vec<String>,
}

impl HttpProvider for Anthropic {
    type Config = Config;
    type StreamState = stream::State;

    fn create(mut config: Config) -> Result<Self> {
        config.base_url.truncate(config.base_url.trim_end_matches('/').len());
        Ok(Self { config })
    }

    fn validate(config: &Config) -> Result<()> {
        let refused = |message: String| Err(ProviderError::invalid_input(message));
        if !config.base_url.starts_with("https://") && !config.base_url.starts_with("http://") {
            return refused("`base_url` must begin with https:// or http://".into());
        }
        if config.base_url.contains(['?', '#']) || config.base_url.ends_with("/messages") {
            return refused(
                "`base_url` is where the API begins, such as https://api.anthropic.com/v1".into(),
            );
        }
        if config.max_tokens == Some(0) {
            return refused("`max_tokens` must be at least 1".into());
        }
        if let Some(model) = &config.model
            && !config.models.is_empty()
            && !config.models.contains(model)
        {
            return refused(format!(
                "`model` is `{model}`, which is not among `models`: set it to one of them"
            ));
        }
        // No request follows it, but what it finds wrong with an address or a header is wrong here too.
        let headers = config.extra_headers.iter();
        headers
            .fold(Plan::openai(&config.base_url), |plan, (name, value)| plan.with_header(name, value))
            .validate()
    }

    fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        let default = self.config.model.as_deref();
        let body = request::body(request, default, self.config.max_tokens)?;
        self.with_headers(HttpRequest::post(self.url("messages"))).json(&body)
    }

    fn response(&self, body: &[u8]) -> Result<Answer> {
        answer::read(body)
    }

    fn event(&self, state: &mut stream::State, event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        stream::read(state, &event.data, out)
    }

    fn error(&self, failure: &Failure<'_>) -> ProviderError {
        failure::of_status(failure)
    }

    fn models_request(&self) -> Option<HttpRequest> {
        // As many as a page may hold: unasked, it is twenty.
        self.config.models.is_empty().then(|| self.get("models?limit=1000"))
    }

    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        match body {
            Some(body) => models::read(body),
            None => Ok(self.config.models.iter().map(Model::new).collect()),
        }
    }

    fn health_request(&self) -> Option<HttpRequest> {
        self.credentials_request()
    }

    fn credentials_request(&self) -> Option<HttpRequest> {
        Some(self.get("models?limit=1"))
    }
}

impl Anthropic {
    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.config.base_url)
    }

    fn get(&self, path: &str) -> HttpRequest {
        self.with_headers(HttpRequest::get(self.url(path)))
    }

    fn with_headers(&self, request: HttpRequest) -> HttpRequest {
        let extra = &self.config.extra_headers;
        let given = |name: &str| extra.keys().any(|given| given.eq_ignore_ascii_case(name));
        let own = [("x-api-key", KEY_PLACEHOLDER), ("anthropic-version", VERSION)];
        let own = own.into_iter().filter(|(name, _)| !given(name));
        let extra = extra.iter().map(|(name, value)| (&**name, &**value));
        own.chain(extra).fold(request, |request, (name, value)| request.header(name, value))
    }
}

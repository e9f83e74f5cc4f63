//! Any server that speaks OpenAI's chat API: vLLM, llama.cpp, LM Studio, a company's own gateway, OpenAI itself.
//!
//! Nothing has to be translated, so this is a plan and little else: the host serves chat and embeddings by the plan
//! without coming here, and asks only for models, health and credentials.

use std::collections::BTreeMap;

use patchbay_plugin_api::{Http, HttpProvider, HttpRequest, Model, Plan, ProviderError, Result, openai};
use serde::Deserialize;

#[cfg(test)]
mod tests;

patchbay_plugin_api::export! {
    Http<OpenAiCompatible>,
    name: "OpenAI-compatible",
    category: "official",
    requires: ["service:http>=1"],
    features: [
        "chat_completion", "streaming", "function_calling", "vision", "embeddings", "json_output", "reasoning",
        "model_list", "health_check", "credentials_check",
    ],
    sample_config: r#"{"base_url": "https://api.example.com/v1"}"#,
}

/// What an operator configures. The key is not among it: the host puts it where the plan has its placeholder.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Where the API begins, such as `http://127.0.0.1:8000/v1`.
    base_url: String,
    /// The model of requests that name none.
    model: Option<String>,
    /// Whether the server has the older text completions, as it has if nothing is said. If not, whoever asks for
    /// them is served by chat.
    completions: Option<bool>,
    /// Which of the key's organisations pays.
    organization: Option<String>,
    /// Headers sent with every request, in place of those of the same name.
    #[serde(default)]
    extra_headers: BTreeMap<String, String>,
    /// The models to offer, instead of all that the server lists.
    #[serde(default)]
    models: Vec<String>,
}

/// A server that speaks OpenAI's chat API.
pub struct OpenAiCompatible {
    plan: Plan,
    models_url: String,
    models: Vec<String>,
}

impl HttpProvider for OpenAiCompatible {
    type Config = Config;
    type StreamState = ();

    fn create(config: Config) -> Result<Self> {
        let models_url = format!("{}/models", config.base_url.trim_end_matches('/'));
        Ok(Self { plan: plan(&config), models_url, models: config.models })
    }

    fn validate(config: &Config) -> Result<()> {
        let refused = |message: String| Err(ProviderError::invalid_input(message));
        if !config.base_url.starts_with("https://") && !config.base_url.starts_with("http://") {
            return refused("`base_url` must begin with https:// or http://".into());
        }
        if config.base_url.contains(['?', '#']) || config.base_url.contains("/chat/completions") {
            return refused("`base_url` is where the API begins, such as https://api.example.com/v1".into());
        }
        if let Some(model) = &config.model
            && !config.models.is_empty()
            && !config.models.contains(model)
        {
            return refused(format!("`model` is `{model}`, which is not among `models`"));
        }
        plan(config).validate()
    }

    fn plan(&self) -> Option<Plan> {
        Some(self.plan.clone())
    }

    fn models_request(&self) -> Option<HttpRequest> {
        self.models.is_empty().then(|| self.plan.get(&self.models_url))
    }

    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        match body {
            Some(body) => openai::models(body),
            None => Ok(self.models.iter().map(Model::new).collect()),
        }
    }

    fn health_request(&self) -> Option<HttpRequest> {
        Some(self.plan.get(&self.models_url))
    }

    fn credentials_request(&self) -> Option<HttpRequest> {
        Some(self.plan.get(&self.models_url))
    }
}

fn plan(config: &Config) -> Plan {
    let mut plan = Plan::openai(&config.base_url);
    plan.model.default.clone_from(&config.model);
    if config.completions == Some(false) {
        plan = plan.without_completions();
    }
    if let Some(organization) = &config.organization {
        plan = plan.with_header("openai-organization", organization);
    }
    config.extra_headers.iter().fold(plan, |plan, (name, value)| plan.with_header(name, value))
}

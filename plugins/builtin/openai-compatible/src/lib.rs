//! Any server that speaks OpenAI's chat API: vLLM, llama.cpp, LM Studio, a company's own gateway.
//!
//! Nothing has to be translated, so this is a plan and little else: the host serves chat and embeddings by the plan
//! without coming here, and asks only for models, health and credentials.

use patchbay_plugin_api::openai::{OpenAi, Vendor};
use patchbay_plugin_api::{Http, Plan};
use serde::Deserialize;

#[cfg(test)]
mod tests;

patchbay_plugin_api::export! {
    Http<OpenAi<AnyServer>>,
    name: "OpenAI-compatible",
    category: "official",
    features: ["function_calling", "vision", "embeddings", "json_output", "reasoning"],
    config_schema: r#"{"properties": {
        "completions": {"type": "boolean"}, "organization": {"type": "string"}
    }, "additionalProperties": false}"#,
    sample_config: r#"{"base_url": "https://api.example.com/v1"}"#,
}

/// A server of which nothing more is known.
pub struct AnyServer;

/// What it takes beside what all take.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Whether the server has the older text completions, as it has if nothing is said. If not, whoever asks for
    /// them is served by chat.
    completions: Option<bool>,
    /// Which of the key's organisations pays.
    organization: Option<String>,
}

impl Vendor for AnyServer {
    type Config = Config;

    fn plan(mut plan: Plan, config: &Config) -> Plan {
        if config.completions == Some(false) {
            plan = plan.without_completions();
        }
        if let Some(organization) = &config.organization {
            plan = plan.with_header("openai-organization", organization);
        }
        plan
    }
}

//! DeepInfra.

use patchbay_plugin_api::openai::{OpenAi, Vendor};
use patchbay_plugin_api::{Http, Model, Plan, Pricing};
use serde_json::Value;

#[cfg(test)]
mod tests;

const DEFAULTS: &str =
    r#"{"base_url": "https://api.deepinfra.com/v1/openai", "model": "openai/gpt-oss-120b", "priority": 50}"#;

patchbay_plugin_api::export! {
    Http<OpenAi<DeepInfra>>,
    name: "DeepInfra",
    category: "official",
    documentation: "https://docs.deepinfra.com/chat/overview",
    features: ["function_calling", "vision", "embeddings", "json_output", "reasoning"],
    config_schema: r#"{"additionalProperties": false}"#,
    config_defaults: DEFAULTS,
}

/// The vendor; what its list says beyond OpenAI's stands in `metadata`, which may be null.
pub struct DeepInfra;

impl Vendor for DeepInfra {
    type Config = ();

    fn plan(plan: Plan, _config: &()) -> Plan {
        // It knows the older name alone, and a bound that it does not know is none.
        plan.with_renamed("max_completion_tokens", "max_tokens")
    }

    fn model(mut model: Model, listed: &Value) -> Option<Model> {
        let metadata = &listed["metadata"];
        model.context_length = metadata["context_length"].as_u64().filter(|length| *length > 0);
        let prices = &metadata["pricing"];
        model.pricing = Pricing::read(prices, "input_tokens", "output_tokens", 1e6).map(|pricing| Pricing {
            cached_prompt: Pricing::read_one(prices, "cache_read_tokens", 1e6),
            ..pricing
        });
        let tags = metadata["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Some(model.with_capabilities(tags.filter_map(|tag| match tag {
            "vision" => Some("vision"),
            "reasoning" | "reasoning_effort" => Some("reasoning"),
            _ => None,
        })))
    }

    /// Everybody may see the models; the account is beside what is OpenAI's, and only its owner's.
    fn credentials_url(base_url: &str) -> String {
        format!("{}/me", base_url.trim_end_matches("/openai"))
    }
}

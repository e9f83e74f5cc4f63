//! Together AI.

use patchbay_plugin_api::openai::{OpenAi, Vendor};
use patchbay_plugin_api::{Http, Model, Plan, Pricing};
use serde_json::Value;

#[cfg(test)]
mod tests;

const DEFAULTS: &str =
    r#"{"base_url": "https://api.together.ai/v1", "model": "openai/gpt-oss-120b", "priority": 50}"#;

patchbay_plugin_api::export! {
    Http<OpenAi<Together>>,
    name: "Together AI",
    category: "official",
    documentation: "https://docs.together.ai/reference/chat-completions",
    features: ["function_calling", "vision", "embeddings", "json_output", "reasoning"],
    config_schema: r#"{"additionalProperties": false}"#,
    config_defaults: DEFAULTS,
}

/// The vendor; its list is an array alone, and says `type`, `organization` and `context_length` of each model.
pub struct Together;

impl Vendor for Together {
    type Config = ();

    fn plan(plan: Plan, _config: &()) -> Plan {
        // It knows the older name alone, and a bound that it does not know is none.
        plan.with_renamed("max_completion_tokens", "max_tokens")
    }

    fn model(mut model: Model, listed: &Value) -> Option<Model> {
        // Two zeros stand beside what is paid by the image, the minute or the hour, too: they are no price.
        model.pricing = Pricing::read(&listed["pricing"], "input", "output", 1e6)
            .filter(|price| price.prompt > 0.0 || price.completion > 0.0);
        Some(model)
    }
}

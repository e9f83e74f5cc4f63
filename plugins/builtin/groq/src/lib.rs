//! Groq.

use patchbay_plugin_api::openai::{OpenAi, Vendor};
use patchbay_plugin_api::{Http, Model, Plan};
use serde_json::Value;

#[cfg(test)]
mod tests;

const DEFAULTS: &str =
    r#"{"base_url": "https://api.groq.com/openai/v1", "model": "openai/gpt-oss-120b", "priority": 50}"#;

patchbay_plugin_api::export! {
    Http<OpenAi<Groq>>,
    name: "Groq",
    category: "official",
    documentation: "https://console.groq.com/docs/openai",
    features: ["function_calling", "vision", "json_output", "reasoning"],
    config_schema: r#"{"additionalProperties": false}"#,
    config_defaults: DEFAULTS,
}

/// The vendor; its list says `context_window`, and which models are `active`.
pub struct Groq;

/// Groq answers 400 to these, even to `"logprobs": false`, which clients send unasked. They add to an answer or are
/// notes about it, so that one without them is better than none. Two more it refuses cannot be dropped: `n` above 1,
/// which asks for other answers, and a message's `name`.
const REFUSED: [&str; 8] = [
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "store",
    "metadata",
    "prompt_cache_key",
    "safety_identifier",
    "verbosity",
];

impl Vendor for Groq {
    type Config = ();

    fn plan(plan: Plan, _config: &()) -> Plan {
        plan.without_completions().without_embeddings().without_members(REFUSED)
    }

    fn model(model: Model, listed: &Value) -> Option<Model> {
        // The list does not say which hear and speak instead of writing.
        let model = model.kind_by_name(&[("whisper", "audio"), ("tts", "audio"), ("orpheus", "audio")]);
        (listed["active"] != false).then_some(model)
    }
}

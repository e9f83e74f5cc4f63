//! Mistral AI.

use patchbay_plugin_api::openai::{OpenAi, Vendor};
use patchbay_plugin_api::{Http, Model, Plan};
use serde_json::Value;

#[cfg(test)]
mod tests;

const DEFAULTS: &str =
    r#"{"base_url": "https://api.mistral.ai/v1", "model": "mistral-small-latest", "priority": 50}"#;

patchbay_plugin_api::export! {
    Http<OpenAi<Mistral>>,
    name: "Mistral AI",
    category: "official",
    documentation: "https://docs.mistral.ai/api/endpoint/chat",
    features: ["function_calling", "vision", "embeddings", "json_output", "reasoning"],
    config_schema: r#"{"additionalProperties": false}"#,
    config_defaults: DEFAULTS,
}

/// The vendor.
pub struct Mistral;

/// Mistral answers 422 to every member it does not know. These are OpenAI's that add to an answer or are notes about
/// it, so that one without them is better than none.
const REFUSED: [&str; 9] = [
    "user",
    "store",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "service_tier",
    "prompt_cache_key",
    "safety_identifier",
    "verbosity",
];

/// What an answer's model can do, by Mistral's words and ours.
const CAPABILITIES: [(&str, &str); 4] = [
    ("completion_chat", "streaming"),
    ("function_calling", "function_calling"),
    ("vision", "vision"),
    ("reasoning", "reasoning"),
];

impl Vendor for Mistral {
    type Config = ();

    fn plan(plan: Plan, _config: &()) -> Plan {
        // `stream_options.include_usage` is refused as well, and the last chunk counts tokens without it.
        plan.without_completions()
            .without_usage_option()
            .without_members(REFUSED)
            .with_renamed("max_completion_tokens", "max_tokens")
            .with_renamed("seed", "random_seed")
            .with_renamed("dimensions", "output_dimension")
    }

    fn model(mut model: Model, listed: &Value) -> Option<Model> {
        // Its `type` says whose the model is (`base` or `fine-tuned`), not what it is for.
        let can = |word: &str| listed["capabilities"][word] == true;
        let kinds = [("completion_chat", "chat"), ("ocr", "ocr"), ("moderation", "moderation")];
        let kind = kinds.iter().find(|(word, _)| can(word)).map(|(_, kind)| *kind);
        model.kind = match kind {
            Some(kind) => kind,
            None if model.id.contains("embed") => "embedding",
            None => "other",
        }
        .into();
        let words = CAPABILITIES.iter().filter(|(word, _)| can(word)).map(|(_, ours)| *ours);
        (listed["archived"] != true).then(|| model.with_capabilities(words))
    }
}

//! OpenAI itself.

use patchbay_plugin_api::openai::{OpenAi, Vendor};
use patchbay_plugin_api::{Http, Model, Plan};
use serde::Deserialize;
use serde_json::Value;

#[cfg(test)]
mod tests;

const DEFAULTS: &str = r#"{"base_url": "https://api.openai.com/v1", "model": "gpt-6-luna", "priority": 50}"#;

patchbay_plugin_api::export! {
    Http<OpenAi<OpenAiItself>>,
    name: "OpenAI",
    category: "official",
    documentation: "https://platform.openai.com/docs/api-reference/chat",
    features: ["function_calling", "vision", "embeddings", "json_output", "reasoning"],
    config_schema: r#"{"properties": {
        "organization": {"type": "string"}, "project": {"type": "string"}
    }, "additionalProperties": false}"#,
    config_defaults: DEFAULTS,
}

/// The vendor after which the dialect is named.
pub struct OpenAiItself;

/// Who pays, where a key may be used for several.
#[derive(Deserialize)]
pub struct Config {
    organization: Option<String>,
    project: Option<String>,
}

/// Parts of names, and what models with them are for: the list says no more than the name. The first that fits.
const KINDS: [(&str, &str); 12] = [
    ("embedding", "embedding"),
    ("moderation", "moderation"),
    ("image", "image"),
    ("dall-e", "image"),
    ("sora", "video"),
    ("whisper", "audio"),
    ("tts", "audio"),
    ("transcribe", "audio"),
    ("realtime", "audio"),
    ("babbage", "completion"),
    ("davinci", "completion"),
    ("-instruct", "completion"),
];

impl Vendor for OpenAiItself {
    type Config = Config;

    fn plan(plan: Plan, config: &Config) -> Plan {
        // Models that reason refuse the older name, and all that chat know the newer one. Text completions know only
        // the older, and a plan has one rule for both: whoever asks for them is served by chat.
        let mut plan = plan.without_completions().with_renamed("max_tokens", "max_completion_tokens");
        for (header, value) in
            [("openai-organization", &config.organization), ("openai-project", &config.project)]
        {
            if let Some(value) = value {
                plan = plan.with_header(header, value);
            }
        }
        plan
    }

    fn model(model: Model, _listed: &Value) -> Option<Model> {
        Some(model.kind_by_name(&KINDS))
    }
}

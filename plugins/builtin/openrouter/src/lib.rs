//! OpenRouter.

use patchbay_plugin_api::openai::{OpenAi, Vendor};
use patchbay_plugin_api::{Http, Model, Plan, Pricing};
use serde::Deserialize;
use serde_json::Value;

#[cfg(test)]
mod tests;

const DEFAULTS: &str =
    r#"{"base_url": "https://openrouter.ai/api/v1", "model": "openrouter/auto", "priority": 50}"#;

patchbay_plugin_api::export! {
    Http<OpenAi<OpenRouter>>,
    name: "OpenRouter",
    category: "official",
    documentation: "https://openrouter.ai/docs/api-reference/overview",
    features: ["function_calling", "vision", "embeddings", "json_output", "reasoning"],
    config_schema: r#"{"properties": {
        "referer": {"type": "string"}, "title": {"type": "string"}
    }, "additionalProperties": false}"#,
    config_defaults: DEFAULTS,
}

/// The vendor of vendors.
pub struct OpenRouter;

/// As whose requests OpenRouter counts them in its public rankings; nobody's, unless the operator wants it.
#[derive(Deserialize)]
pub struct Config {
    /// The application's address, sent as `HTTP-Referer`.
    referer: Option<String>,
    /// The application's name, sent as `X-Title`.
    title: Option<String>,
}

/// What a request may hold, and what a model that takes it can do.
const CAPABILITIES: [(&str, &str); 4] = [
    ("tools", "function_calling"),
    ("response_format", "json_output"),
    ("reasoning", "reasoning"),
    // Of a list of what may come in, not of parameters.
    ("image", "vision"),
];

impl Vendor for OpenRouter {
    type Config = Config;

    fn plan(mut plan: Plan, config: &Config) -> Plan {
        for (header, value) in [("http-referer", &config.referer), ("x-title", &config.title)] {
            if let Some(value) = value {
                plan = plan.with_header(header, value);
            }
        }
        plan
    }

    fn model(mut model: Model, listed: &Value) -> Option<Model> {
        let modality = &listed["architecture"];
        let says =
            |list: &Value, word: &str| list.as_array().is_some_and(|list| list.iter().any(|x| x == word));
        let prices = &listed["pricing"];
        // What is paid for each request, whatever is in it, is no price of tokens: such a model's are not known then.
        let by_tokens = Pricing::read_one(prices, "request", 1.0).is_none_or(|price| price <= 0.0);
        // Thoughts cost what words do; its price for them says what they cost on top, which is nothing.
        model.pricing = Pricing::read(prices, "prompt", "completion", 1.0).map(|pricing| Pricing {
            cached_prompt: Pricing::read_one(prices, "input_cache_read", 1.0),
            cache_write: Pricing::read_one(prices, "input_cache_write", 1.0),
            ..pricing
        });
        model.pricing = model.pricing.filter(|_| by_tokens);
        let outputs = &modality["output_modalities"];
        if let Some(other) = outputs[0].as_str().filter(|_| !says(outputs, "text")) {
            model.kind = other.trim_end_matches('s').into();
            return Some(model);
        }
        let can = CAPABILITIES.iter().filter(|(word, _)| {
            says(&listed["supported_parameters"], word) || says(&modality["input_modalities"], word)
        });
        Some(model.with_capabilities(["streaming"]).with_capabilities(can.map(|(_, can)| *can)))
    }

    /// Everybody may see the models.
    fn credentials_url(base_url: &str) -> String {
        format!("{base_url}/key")
    }
}

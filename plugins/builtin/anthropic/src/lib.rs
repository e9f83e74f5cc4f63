//! Anthropic, whose Messages API is a dialect of its own: every request and every answer is translated.

use std::num::NonZeroU64;

use patchbay_plugin_api::abi::KEY_PLACEHOLDER;
use patchbay_plugin_api::dialect::{Api, Dialect, Errors, Meaning, ModelList, Translator, Upstream};
use patchbay_plugin_api::{ChatRequest, ErrorKind, Http, Result};
use serde::Deserialize;
use serde_json::Value;

// 1. What is asked.
mod messages;
mod request;
mod thinking;

// 2. What is answered.
mod answer;

#[cfg(test)]
mod tests;

const DEFAULTS: &str =
    r#"{"base_url": "https://api.anthropic.com/v1", "model": "claude-sonnet-5-5", "priority": 50}"#;

/// The version of the API, which has not moved since; what is new is asked for by members of a request.
const VERSION: &str = "2023-06-01";

patchbay_plugin_api::export! {
    Http<Translator<Anthropic>>,
    name: "Anthropic",
    category: "official",
    documentation: "https://platform.claude.com/docs/en/api/messages",
    requires: ["service:http>=1"],
    features: [
        "chat_completion", "streaming", "function_calling", "vision", "json_output", "reasoning", "model_list",
        "health_check", "credentials_check",
    ],
    config_schema: r#"{"additionalProperties": false}"#, config_defaults: DEFAULTS,
}

/// The vendor.
pub struct Anthropic;

/// What an operator may configure beside what all upstreams have.
#[derive(Deserialize)]
pub struct Own {
    /// The most tokens of answers to requests that do not bound them: the API insists on a bound.
    max_tokens: Option<NonZeroU64>,
}

impl Dialect for Anthropic {
    type Own = Own;
    type Reader = answer::Reader;

    const API: Api = Api {
        goes_on: &["/messages"],
        headers: &[("x-api-key", KEY_PLACEHOLDER), ("anthropic-version", VERSION)],
        chat: "messages",
        // As many as a page may hold: unasked, it is twenty.
        models: Some("models?limit=1000"),
        credentials: Some("models?limit=1"),
        ..Api::at("https://api.anthropic.com/v1")
    };

    const ERRORS: Errors = Errors {
        word: "/error/type",
        statuses: &[("timeout_error", 504), ("overloaded_error", 529)],
        meanings: &[
            // Nothing is wrong with the request, and another provider may serve it.
            ("credit balance", Meaning::Kind(ErrorKind::Provider)),
            ("prompt is too long", Meaning::TooLong),
            ("exceed context limit", Meaning::TooLong),
        ],
        ..Errors::PLAIN
    };

    const MODELS: ModelList = ModelList {
        name: "/display_name",
        context_length: "/max_input_tokens",
        created: "/created_at",
        owner: Some("Anthropic"),
        capabilities: &[
            // All of them do these, so that the list does not say it.
            ("/capabilities", "streaming"),
            ("/capabilities", "function_calling"),
            ("/capabilities/image_input/supported", "vision"),
            ("/capabilities/structured_outputs/supported", "json_output"),
            ("/capabilities/thinking/supported", "reasoning"),
        ],
        ..ModelList::PLAIN
    };

    fn request(upstream: &Upstream<Own>, request: &ChatRequest, model: &str) -> Result<Value> {
        request::body(request, model, upstream.own.max_tokens.map(NonZeroU64::get))
    }
}

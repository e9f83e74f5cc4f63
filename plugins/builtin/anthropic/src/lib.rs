//! Anthropic, whose Messages API is a dialect of its own: every request and every answer is translated.

use patchbay_plugin_api::dialect::prelude::*;

mod answer;
mod request;
#[cfg(test)]
mod tests;

patchbay_plugin_api::export! {
    Http<Translator<Anthropic>>,
    name: "Anthropic", category: "official",
    documentation: "https://platform.claude.com/docs/en/api/messages",
    features: ["function_calling", "vision", "json_output", "reasoning"],
    config_schema: r#"{"additionalProperties": false}"#,
}

/// The vendor.
pub struct Anthropic;

/// What an operator may configure beside what all upstreams have.
#[derive(serde::Deserialize)]
pub struct Own {
    /// The most tokens of answers to requests that do not bound them: the API insists on a bound.
    max_tokens: Option<std::num::NonZeroU64>,
}

impl Dialect for Anthropic {
    type Own = Own;
    type Reader = answer::Reader;

    const API: Api = Api {
        goes_on: &["/messages"],
        model: Some("claude-sonnet-5-5"),
        // The version has not moved since: what is new is asked for by members of a request.
        headers: &[("x-api-key", KEY_PLACEHOLDER), ("anthropic-version", "2023-06-01")],
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
}

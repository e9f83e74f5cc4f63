//! Cohere, by the second version of its own API.
//!
//! Its endpoint for OpenAI's clients would make it nearly data, but it is the lesser one: by its description it takes
//! neither `tool_choice` nor `parallel_tool_calls`, of efforts to think only the least and the most, and for vectors
//! neither a length nor a purpose. So requests and answers are translated.

use patchbay_plugin_api::dialect::prelude::*;

mod answer;
mod request;
#[cfg(test)]
mod tests;

patchbay_plugin_api::export! {
    Http<Translator<Cohere>>,
    name: "Cohere",
    category: "official",
    documentation: "https://docs.cohere.com/reference/chat",
    features: ["function_calling", "vision", "json_output", "reasoning"],
    config_schema: r#"{"additionalProperties": false}"#,
}

/// The vendor.
struct Cohere;

impl Dialect for Cohere {
    type Own = ();
    type Reader = answer::Reader;

    const API: Api = Api {
        // Without its version, for the parts of the API are of different ones.
        goes_on: &["/v1", "/v2"],
        model: Some("command-a-plus-05-2026"),
        headers: &[BEARER_KEY],
        chat: "v2/chat",
        embed: Some("v2/embed"),
        // As many as a page may hold: unasked, it is twenty.
        models: Some("v1/models?page_size=1000"),
        credentials: Some("v1/models?page_size=1"),
        ..Api::at("https://api.cohere.com")
    };

    const ERRORS: Errors = Errors {
        meanings: &[
            // The limit of the answer is too high, and a shorter conversation would not help.
            ("max tokens must be", Meaning::Kind(ErrorKind::InvalidInput)),
            ("too many tokens", Meaning::TooLong),
            // Of a model without tools, images or thoughts: the request is fine for another one.
            ("not supported", Meaning::Kind(ErrorKind::Unsupported)),
        ],
        ..Errors::PLAIN
    };

    const MODELS: ModelList = ModelList {
        list: "/models",
        id: "/name",
        context_length: "/context_length",
        owner: Some("Cohere"),
        kinds: &[
            ("/endpoints/chat", "chat"),
            ("/endpoints/embed", "embedding"),
            ("/endpoints/rerank", "rerank"),
            ("", "other"),
        ],
        capabilities: &[
            ("/features", "streaming"),
            ("/features/tools", "function_calling"),
            ("/features/vision", "vision"),
            ("/features/json_mode", "json_output"),
            ("/features/reasoning", "reasoning"),
        ],
        ..ModelList::PLAIN
    };

    const VECTORS: Vectors = Vectors {
        list: "/embeddings/float",
        each: "",
        tokens: &["/meta/billed_units/input_tokens", "/meta/tokens/input_tokens"],
        ..Vectors::PLAIN
    };

    fn model(model: Model, listed: &Value) -> Option<Model> {
        (listed["is_deprecated"] != true).then_some(model)
    }
}

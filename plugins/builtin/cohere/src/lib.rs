//! Cohere, by the second version of its own API.
//!
//! Its endpoint for OpenAI's clients would make it nearly data, but it is the lesser one: by its description it takes
//! neither `tool_choice` nor `parallel_tool_calls`, of efforts to think only the least and the most, and for vectors
//! neither a length nor a purpose. So requests and answers are translated.

use patchbay_plugin_api::dialect::{
    Api, BEARER_KEY, Dialect, Errors, Json, Meaning, ModelList, Translator, Upstream, object,
};
use patchbay_plugin_api::{ChatRequest, EmbedRequest, Embeddings, ErrorKind, Http, Model, Result};
use serde_json::Value;

// 1. What is asked.
mod messages;
mod request;

// 2. What comes back.
mod answer;

#[cfg(test)]
mod tests;

const DEFAULTS: &str =
    r#"{"base_url": "https://api.cohere.com", "model": "command-a-plus-05-2026", "priority": 50}"#;

patchbay_plugin_api::export! {
    Http<Translator<Cohere>>,
    name: "Cohere",
    category: "official",
    documentation: "https://docs.cohere.com/reference/chat",
    requires: ["service:http>=1"],
    features: [
        "chat_completion", "streaming", "function_calling", "vision", "embeddings", "json_output", "reasoning",
        "model_list", "health_check", "credentials_check",
    ],
    config_schema: r#"{"additionalProperties": false}"#,
    config_defaults: DEFAULTS,
}

/// The vendor.
struct Cohere;

impl Dialect for Cohere {
    type Own = ();
    type Reader = answer::Reader;

    const API: Api = Api {
        // Without its version, for the parts of the API are of different ones.
        goes_on: &["/v1", "/v2"],
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

    fn request(_: &Upstream, request: &ChatRequest, model: &str) -> Result<Value> {
        request::body(request, model)
    }

    /// Cohere wants to know what vectors are for; where it is not told in its own words, they are to be found again.
    fn embed_request(_: &Upstream, request: &EmbedRequest, model: &str) -> Result<Value> {
        let own = |name| request.extra.get(name).cloned();
        Ok(object([
            ("model", model.into()),
            ("texts", request.texts()?.into()),
            ("embedding_types", ["float"].as_slice().into()),
            ("input_type", own("input_type").unwrap_or_else(|| "search_document".into())),
            ("output_dimension", request.dimensions.into()),
            ("truncate", own("truncate").into()),
        ]))
    }

    fn embeddings(said: Json<'_>) -> Result<Embeddings> {
        let vectors = Embeddings::new(said.at("/embeddings/float").to("the provider's embeddings")?);
        Ok(vectors.with_usage(answer::usage(said.at("/meta")).unwrap_or_default()))
    }

    fn model(model: Model, listed: &Value) -> Option<Model> {
        (listed["is_deprecated"] != true).then_some(model)
    }
}

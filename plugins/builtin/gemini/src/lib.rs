//! Google Gemini, in Google's own dialect: its `generateContent`, where thoughts, signatures and caches are whole.
//!
//! Requests are translated in `request` and `contents`, answers in `answer`.

use patchbay_plugin_api::abi::KEY_PLACEHOLDER;
use patchbay_plugin_api::dialect::{
    Api, Dialect, Errors, Json, Meaning, ModelList, Translator, Upstream, object,
};
use patchbay_plugin_api::{ChatRequest, EmbedRequest, Embeddings, ErrorKind, Http, Model, Result, Usage};
use serde_json::{Value, json};

// 1. What is asked.
mod contents;
mod request;

// 2. What comes back.
mod answer;

#[cfg(test)]
mod tests;

const DEFAULTS: &str = r#"{"base_url": "https://generativelanguage.googleapis.com/v1beta",
    "model": "gemini-3.5-flash", "priority": 50}"#;

patchbay_plugin_api::export! {
    Http<Translator<Gemini>>,
    name: "Google Gemini",
    category: "official",
    documentation: "https://ai.google.dev/api/generate-content",
    requires: ["service:http>=1"],
    features: [
        "chat_completion", "streaming", "function_calling", "vision", "embeddings", "json_output", "reasoning",
        "model_list", "health_check", "credentials_check",
    ],
    config_schema: r#"{"additionalProperties": false}"#, config_defaults: DEFAULTS,
}

/// The vendor.
struct Gemini;

impl Dialect for Gemini {
    type Own = ();
    type Reader = answer::Reader;

    const API: Api = Api {
        goes_on: &["/models"],
        // Never in the address, as Google's older examples have it: addresses are logged.
        headers: &[("x-goog-api-key", KEY_PLACEHOLDER)],
        before_model: "models/",
        chat: "{model}:generateContent",
        // Without `alt=sse` a stream is one JSON array, whose elements no framing cuts.
        stream: Some("{model}:streamGenerateContent?alt=sse"),
        embed: Some("{model}:batchEmbedContents"),
        // As many as a page can hold, for nobody asks for a second one.
        models: Some("models?pageSize=1000"),
        // The shortest answer that needs a good key.
        credentials: Some("models?pageSize=1"),
        ..Api::at("https://generativelanguage.googleapis.com/v1beta")
    };

    const ERRORS: Errors = Errors {
        word: "/error/status",
        meanings: &[
            ("API_KEY_INVALID", Meaning::Kind(ErrorKind::Authentication)),
            // The key's account may not ask from here, or not without paying: no fault of the request.
            ("FAILED_PRECONDITION", Meaning::Kind(ErrorKind::Provider)),
            ("exceeds the maximum number of tokens", Meaning::TooLong),
        ],
        wait: "retryDelay",
        ..Errors::PLAIN
    };

    const MODELS: ModelList = ModelList {
        list: "/models",
        id: "/name",
        name: "/displayName",
        context_length: "/inputTokenLimit",
        owner: Some("google"),
        kinds: &[
            ("/supportedGenerationMethods/generateContent", "chat"),
            ("/supportedGenerationMethods/embedContent", "embedding"),
        ],
        ..ModelList::PLAIN
    };

    fn request(_: &Upstream, request: &ChatRequest, model: &str) -> Result<Value> {
        request::body(request, model)
    }

    /// Google asks for the model of each text again.
    fn embed_request(_: &Upstream, request: &EmbedRequest, model: &str) -> Result<Value> {
        let asked = |text: &str| {
            object([
                ("model", format!("models/{model}").into()),
                ("content", json!({"parts": [{"text": text}]})),
                ("outputDimensionality", request.dimensions.into()),
            ])
        };
        Ok(json!({"requests": request.texts()?.into_iter().map(asked).collect::<Vec<_>>()}))
    }

    fn embeddings(said: Json<'_>) -> Result<Embeddings> {
        let vectors = said.items("/embeddings").map(of_length_one).collect::<Result<_>>()?;
        // Older models do not count.
        let read = said.number("/usageMetadata/promptTokenCount").unwrap_or_default();
        Ok(Embeddings::new(vectors).with_usage(Usage::new(read, 0)))
    }

    fn model(mut model: Model, listed: &Value) -> Option<Model> {
        // Those that speak and draw are asked as those that write, and only their names tell.
        let others = [("-tts", "audio"), ("-audio", "audio"), ("-image", "image")];
        if let Some((_, kind)) =
            others.iter().find(|(word, _)| model.kind == "chat" && model.id.contains(word))
        {
            model.kind = (*kind).to_owned();
        }
        if model.kind != "chat" {
            return Some(model);
        }
        // The list does not say more of what a model takes; Google's open models take less than its own.
        let google: &[&str] = &["function_calling", "vision", "json_output"];
        let own = if model.id.starts_with("gemini-") { google } else { &[] };
        let thinks = (listed["thinking"] == true).then_some("reasoning");
        Some(model.with_capabilities(["streaming"].into_iter().chain(own.iter().copied()).chain(thinks)))
    }
}

/// As OpenAI's vectors are, for whose clients a product is a likeness. Google cuts vectors to the dimensions that are
/// asked for, and what is left is shorter.
fn of_length_one(embedding: Json<'_>) -> Result<Vec<f32>> {
    let mut vector: Vec<f32> = embedding.at("/values").to("the provider's embeddings")?;
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number /= length);
    }
    Ok(vector)
}

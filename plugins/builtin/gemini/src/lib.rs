//! Google Gemini, in Google's own dialect: its `generateContent`, where thoughts, signatures and caches are whole.

use patchbay_plugin_api::dialect::prelude::*;

mod answer;
mod request;
#[cfg(test)]
mod tests;

patchbay_plugin_api::export! {
    Http<Translator<Gemini>>,
    name: "Google Gemini", category: "official",
    documentation: "https://ai.google.dev/api/generate-content",
    features: ["function_calling", "vision", "json_output", "reasoning"],
    config_schema: r#"{"additionalProperties": false}"#,
}

/// The vendor.
struct Gemini;

impl Dialect for Gemini {
    type Own = ();
    type Reader = answer::Reader;

    const API: Api = Api {
        goes_on: &["/models"],
        model: Some("gemini-3.5-flash"),
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
        // Those that speak and draw are asked as those that write.
        names: &[("-tts", "audio"), ("-audio", "audio"), ("-image", "image")],
        ..ModelList::PLAIN
    };

    const VECTORS: Vectors = Vectors {
        list: "/embeddings",
        each: "/values",
        // Older models do not count.
        tokens: &["/usageMetadata/promptTokenCount"],
        // Google cuts vectors to the dimensions that are asked for, and what is left is shorter.
        to_length_one: true,
        ..Vectors::PLAIN
    };

    fn model(model: Model, listed: &Value) -> Option<Model> {
        // The list does not say more of what a model takes; Google's open models take less than its own.
        let can: &[&str] = match &*model.kind {
            "chat" if model.id.starts_with("gemini-") => {
                &["streaming", "function_calling", "vision", "json_output"]
            }
            "chat" => &["streaming"],
            _ => return Some(model),
        };
        let thinks = (listed["thinking"] == true).then_some("reasoning");
        Some(model.with_capabilities(can.iter().copied().chain(thinks)))
    }
}

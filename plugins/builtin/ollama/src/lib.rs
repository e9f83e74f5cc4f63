//! Ollama, in its own dialect: what its OpenAI-compatible one lacks (`think`, `num_ctx`, `keep_alive`) is there, too.

use patchbay_plugin_api::dialect::prelude::*;
use serde::Deserialize;

mod answer;
mod request;
#[cfg(test)]
mod tests;

// Nothing asks for the credentials: without a key there are none, and hosted lists of models are open to everybody.
patchbay_plugin_api::export! {
    Http<Translator<Ollama>>,
    name: "Ollama",
    category: "official",
    documentation: "https://docs.ollama.com/api",
    features: ["function_calling", "vision", "json_output", "reasoning"],
    config_schema: r#"{"properties": {
        "options": {"type": "object"}, "keep_alive": {}
    }, "additionalProperties": false}"#,
    // As much time as Ollama itself allows for loading a model: the first answer waits for that, and a whole one for
    // its end.
    config_defaults: r#"{"priority": 60, "timeout": 300}"#,
}

/// The vendor.
struct Ollama;

/// What an operator may configure beside what all upstreams have.
#[derive(Debug, Deserialize)]
struct Own {
    /// Ollama's own options, such as `num_ctx`, for requests that do not set them.
    #[serde(default)]
    options: Map<String, Value>,
    /// How long a model stays in memory: seconds, or a text such as `10m`.
    keep_alive: Option<Value>,
}

impl Dialect for Ollama {
    type Own = Own;
    type Reader = answer::Reader;

    const API: Api = Api {
        // Only hosted Ollama wants a key; without one no header that needs it is sent.
        headers: &[BEARER_KEY],
        chat: "api/chat",
        embed: Some("api/embed"),
        models: Some("api/tags"),
        health: Some("api/version"),
        framing: Framing::Ndjson,
        // No model: which there are depends on what was pulled, and one that is not there would only fail later.
        ..Api::at("http://127.0.0.1:11434")
    };

    const ERRORS: Errors = Errors {
        // Of a model that has no tools, images or thinking: the request is fine for another.
        meanings: &[("does not support", Meaning::Kind(ErrorKind::Unsupported))],
        ..Errors::PLAIN
    };

    const MODELS: ModelList = ModelList {
        list: "/models",
        id: "/name",
        context_length: "/details/context_length",
        // Only newer versions say what a model does. Where nothing is said, the family tells: the relatives of BERT
        // turn texts into vectors and nothing else.
        kinds: &[
            ("/capabilities/completion", "chat"),
            ("/capabilities/embedding", "embedding"),
            ("/details/family/bert", "embedding"),
            ("", "chat"),
        ],
        capabilities: &[
            ("/capabilities/completion", "chat_completion"),
            ("/capabilities/tools", "function_calling"),
            ("/capabilities/vision", "vision"),
            ("/capabilities/thinking", "reasoning"),
            ("/capabilities/embedding", "embeddings"),
        ],
        ..ModelList::PLAIN
    };

    const VECTORS: Vectors =
        Vectors { list: "/embeddings", each: "", tokens: &["/prompt_eval_count"], ..Vectors::PLAIN };

    fn check(upstream: &Upstream<Own>) -> Result<()> {
        if Self::base_url(&upstream.base_url).ends_with("/v1") {
            let message = "`base_url` is where Ollama is, such as http://127.0.0.1:11434; its OpenAI dialect below \
                           /v1 is for the plugin `openai-compatible`";
            return Err(ProviderError::invalid_input(message));
        }
        Ok(())
    }

    /// The address without `/api`, which Ollama's documentation counts to it at times.
    fn base_url(configured: &str) -> &str {
        let base = configured.trim_end_matches('/');
        // A host may be called `api`, too.
        base.strip_suffix("/api").filter(|rest| !rest.ends_with('/')).unwrap_or(base)
    }
}

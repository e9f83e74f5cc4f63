//! The list of models.

use patchbay_plugin_api::{Model, Result, dialect};
use serde_json::Value;

/// What a model can do, in Cohere's words and in ours.
const FEATURES: [(&str, &str); 4] = [
    ("tools", "function_calling"),
    ("vision", "vision"),
    ("json_mode", "json_output"),
    ("reasoning", "reasoning"),
];

/// What models can be asked for, by the first that fits.
const KINDS: [(&str, &str); 3] = [("chat", "chat"), ("embed", "embedding"), ("rerank", "rerank")];

pub(crate) fn read(body: &[u8]) -> Result<Vec<Model>> {
    dialect::models(body, "models", model)
}

fn model(listed: &Value) -> Option<Model> {
    let has =
        |list: &str, word: &str| listed[list].as_array().is_some_and(|words| words.contains(&word.into()));
    let mut model = Model::new(listed["name"].as_str().filter(|_| listed["is_deprecated"] != true)?);
    model.kind =
        KINDS.iter().find(|(word, _)| has("endpoints", word)).map_or("other", |(_, kind)| kind).into();
    model.owner = Some("Cohere".into());
    model.context_length =
        listed["context_length"].as_f64().filter(|tokens| *tokens > 0.0).map(|tokens| tokens as u64);
    if model.kind != "chat" || listed["features"].is_null() {
        // Nothing is said, which is not the same as nothing.
        return Some(model);
    }
    let can = FEATURES.iter().filter(|(word, _)| has("features", word)).map(|(_, ours)| *ours);
    Some(model.with_capabilities(["streaming"]).with_capabilities(can))
}

//! The models that were pulled.

use patchbay_plugin_api::{Model, Result, dialect};
use serde_json::Value;

/// Ollama's words, and those of the features.
const CAPABILITIES: [(&str, &str); 5] = [
    ("completion", "chat_completion"),
    ("tools", "function_calling"),
    ("vision", "vision"),
    ("thinking", "reasoning"),
    ("embedding", "embeddings"),
];

/// Reads the list.
pub(crate) fn read(body: &[u8]) -> Result<Vec<Model>> {
    dialect::models(body, "models", model)
}

fn model(listed: &Value) -> Option<Model> {
    let details = &listed["details"];
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    // Only newer versions say them here.
    let words = list(&listed["capabilities"]);
    let can = |word: &str| words.iter().any(|known| known == word);
    let mut model = Model::new(listed["name"].as_str()?);
    // Where nothing is said, the family tells: the relatives of BERT turn texts into vectors and nothing else.
    let mut families = list(&details["families"]).into_iter().chain([details["family"].clone()]);
    let berts = families.any(|name| name.as_str().is_some_and(|name| name.ends_with("bert")));
    if !can("completion") && (can("embedding") || berts) {
        model.kind = "embedding".into();
    }
    model.context_length = details["context_length"].as_u64().filter(|length| *length > 0);
    let capabilities = CAPABILITIES.iter().filter(|(word, _)| can(word)).map(|(_, feature)| *feature);
    Some(model.with_capabilities(capabilities))
}

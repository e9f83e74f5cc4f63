//! The models that were pulled.

use patchbay_plugin_api::{Model, Result};
use serde::Deserialize;

use crate::answer;

#[derive(Deserialize)]
struct Listed {
    models: Vec<Tagged>,
}

#[derive(Deserialize)]
struct Tagged {
    name: String,
    /// Only newer versions say them here.
    capabilities: Option<Vec<String>>,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    family: Option<String>,
    families: Option<Vec<String>>,
    context_length: Option<u64>,
}

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
    let listed: Listed = answer::read(body)?;
    Ok(listed.models.into_iter().map(model).collect())
}

fn model(tagged: Tagged) -> Model {
    let details = tagged.details.unwrap_or_default();
    let words = tagged.capabilities.unwrap_or_default();
    let can = |word: &str| words.iter().any(|known| known == word);
    let mut model = Model::new(tagged.name);
    // Where nothing is said, the family tells: the relatives of BERT turn texts into vectors and nothing else.
    let berts =
        details.family.iter().chain(details.families.iter().flatten()).any(|name| name.ends_with("bert"));
    if !can("completion") && (can("embedding") || berts) {
        model.kind = "embedding".into();
    }
    model.context_length = details.context_length.filter(|length| *length > 0);
    model.with_capabilities(CAPABILITIES.iter().filter(|(word, _)| can(word)).map(|(_, feature)| *feature))
}

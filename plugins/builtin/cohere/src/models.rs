//! The list of models.

use patchbay_plugin_api::{Model, Result};
use serde::Deserialize;

use crate::answer;

#[derive(Deserialize)]
struct List {
    models: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    #[serde(default)]
    is_deprecated: bool,
    #[serde(default)]
    endpoints: Vec<String>,
    /// None where nothing is said of them.
    features: Option<Vec<String>>,
    context_length: Option<f64>,
}

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
    let list: List = answer::read("the provider's list of models", body)?;
    Ok(list.models.into_iter().filter(|listed| !listed.is_deprecated).map(model).collect())
}

fn model(listed: Listed) -> Model {
    let kind = KINDS.iter().find(|(endpoint, _)| listed.endpoints.iter().any(|listed| listed == endpoint));
    let mut model = Model::new(listed.name);
    model.kind = kind.map_or("other", |(_, kind)| kind).into();
    model.owner = Some("Cohere".into());
    model.context_length = listed.context_length.filter(|length| *length > 0.0).map(|length| length as u64);
    let Some(features) = listed.features.filter(|_| model.kind == "chat") else { return model };
    let can = FEATURES.iter().filter(|(word, _)| features.iter().any(|listed| listed == word));
    model.with_capabilities(["streaming"]).with_capabilities(can.map(|(_, ours)| *ours))
}

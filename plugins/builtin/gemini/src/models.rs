//! The list of models.

use patchbay_plugin_api::{Model, Result};
use serde::Deserialize;

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    models: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    display_name: Option<String>,
    input_token_limit: Option<u64>,
    #[serde(default)]
    supported_generation_methods: Vec<String>,
    #[serde(default)]
    thinking: bool,
}

pub(crate) fn read(body: &[u8]) -> Result<Vec<Model>> {
    let list: List = crate::read("the provider's list of models", body)?;
    Ok(list.models.into_iter().filter_map(model).collect())
}

/// One model; none where it only has methods that nobody can ask for here, as those that make films have.
fn model(listed: Listed) -> Option<Model> {
    let can = |method: &str| listed.supported_generation_methods.iter().any(|listed| listed == method);
    let id = listed.name.strip_prefix("models/").unwrap_or(&listed.name);
    let mut model = Model::new(id);
    model.kind = kind(id, can("generateContent"), can("embedContent"))?.into();
    if model.kind == "chat" {
        // The list does not say more of what a model takes; Google's open models take less than its own.
        let own =
            if id.starts_with("gemini-") { &["function_calling", "vision", "json_output"][..] } else { &[] };
        let thinks = listed.thinking.then_some("reasoning");
        model = model.with_capabilities(["streaming"].into_iter().chain(own.iter().copied()).chain(thinks));
    }
    model.name = listed.display_name;
    model.context_length = listed.input_token_limit;
    model.owner = Some("google".into());
    Some(model)
}

fn kind(id: &str, generates: bool, embeds: bool) -> Option<&'static str> {
    match (generates, embeds) {
        // Those that speak and draw are asked as those that write, and only their names tell.
        (true, _) if id.contains("-tts") || id.contains("-audio") => Some("audio"),
        (true, _) if id.contains("-image") => Some("image"),
        (true, _) => Some("chat"),
        (false, true) => Some("embedding"),
        (false, false) => None,
    }
}

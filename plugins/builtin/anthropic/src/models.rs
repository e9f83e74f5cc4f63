//! Anthropic's list of models.

use patchbay_plugin_api::{Model, ProviderError, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::time;

#[derive(Deserialize)]
struct Page {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    display_name: Option<String>,
    created_at: Option<String>,
    max_input_tokens: Option<u64>,
    #[serde(default)]
    capabilities: Value,
}

/// What the list says a model can do, in its words and in ours.
const CAPABILITIES: [(&str, &str); 3] =
    [("image_input", "vision"), ("structured_outputs", "json_output"), ("thinking", "reasoning")];

pub(crate) fn read(body: &[u8]) -> Result<Vec<Model>> {
    let page: Page = serde_json::from_slice(body).map_err(|error| {
        ProviderError::unreadable("the provider's list of models cannot be read")
            .with_detail(error.to_string())
    })?;
    Ok(page.data.into_iter().map(model).collect())
}

fn model(listed: Listed) -> Model {
    let mut model = Model::new(listed.id);
    model.name = listed.display_name;
    model.owner = Some("Anthropic".into());
    model.context_length = listed.max_input_tokens.filter(|tokens| *tokens > 0);
    // A date that is not known is listed as the beginning of 1970.
    model.created = listed.created_at.and_then(|date| time::seconds(&date)).filter(|created| *created > 0);
    if !listed.capabilities.is_object() {
        // Nothing is said, which is not the same as nothing.
        return model;
    }
    let can = CAPABILITIES.iter().filter(|(word, _)| listed.capabilities[word]["supported"] == true);
    // All of them do these, so that the list does not say it.
    model.with_capabilities(["streaming", "function_calling"]).with_capabilities(can.map(|(_, can)| *can))
}

//! Anthropic's list of models.

use patchbay_plugin_api::{Model, Result, dialect};
use serde_json::Value;

/// What the list says a model can do, in its words and in ours.
const CAPABILITIES: [(&str, &str); 3] =
    [("image_input", "vision"), ("structured_outputs", "json_output"), ("thinking", "reasoning")];

pub(crate) fn read(body: &[u8]) -> Result<Vec<Model>> {
    dialect::models(body, "data", model)
}

fn model(listed: &Value) -> Option<Model> {
    let mut model = Model::new(listed["id"].as_str()?);
    model.name = listed["display_name"].as_str().map(str::to_owned);
    model.owner = Some("Anthropic".into());
    model.context_length = listed["max_input_tokens"].as_u64().filter(|tokens| *tokens > 0);
    // A date that is not known is listed as the beginning of 1970.
    model.created =
        listed["created_at"].as_str().and_then(dialect::unix_seconds).filter(|created| *created > 0);
    // Nothing is said, which is not the same as nothing.
    let Some(said) = listed["capabilities"].as_object() else { return Some(model) };
    let can =
        CAPABILITIES.iter().filter(|(word, _)| said.get(*word).is_some_and(|said| said["supported"] == true));
    // All of them do these, so that the list does not say it.
    let all = ["streaming", "function_calling"].into_iter();
    Some(model.with_capabilities(all.chain(can.map(|(_, can)| *can))))
}

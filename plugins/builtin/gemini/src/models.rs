//! The list of models.

use patchbay_plugin_api::{Model, Result, dialect};
use serde_json::Value;

pub(crate) fn read(body: &[u8]) -> Result<Vec<Model>> {
    // Google leaves out what is empty.
    let body = if body.trim_ascii() == b"{}" { br#"{"models": []}"# } else { body };
    dialect::models(body, "models", model)
}

/// One model; none where it only has methods that nobody can ask for here, as those that make films have.
fn model(listed: &Value) -> Option<Model> {
    let methods = listed["supportedGenerationMethods"].as_array()?;
    let can = |method: &str| methods.iter().any(|listed| listed == method);
    let name = listed["name"].as_str()?;
    let id = name.strip_prefix("models/").unwrap_or(name);
    let mut model = Model::new(id);
    model.kind = kind(id, can("generateContent"), can("embedContent"))?.into();
    if model.kind == "chat" {
        // The list does not say more of what a model takes; Google's open models take less than its own.
        let own =
            if id.starts_with("gemini-") { &["function_calling", "vision", "json_output"][..] } else { &[] };
        let thinks = (listed["thinking"] == true).then_some("reasoning");
        model = model.with_capabilities(["streaming"].into_iter().chain(own.iter().copied()).chain(thinks));
    }
    model.name = listed["displayName"].as_str().map(str::to_owned);
    model.context_length = listed["inputTokenLimit"].as_u64();
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

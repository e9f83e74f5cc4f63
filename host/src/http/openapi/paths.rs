//! Paths as they are written down, and whom they name.

use serde_json::{Value, json};

/// The names in a path. The longest beginning that fits says what they are.
const NAMED: [(&str, &str, &str); 5] = [
    ("/api/keys/", "The id of a virtual key.", "key_5fb407382ef3a77e"),
    ("/api/plugins/", "The id of a plugin.", "mock"),
    ("/api/providers/", "The name of a provider.", "mock"),
    ("/assets/", "The name of a file.", "main.js"),
    ("/v1/models/", "The name of a model; it may have slashes in it.", "mock/mock-1"),
];

/// As OpenAPI writes it: there is no name for a rest of a path.
pub(super) fn template(path: &str) -> String {
    path.replace("{*", "{")
}

/// The parameters in a path.
pub(super) fn parameters(path: &str) -> Vec<Value> {
    let path = template(path);
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let about = NAMED.iter().find(|(beginning, ..)| path.starts_with(beginning));
    let (_, about, example) = about.copied().unwrap_or_default();
    let parameter = |name| {
        json!({
            "name": name, "in": "path", "required": true, "description": about, "example": example,
            "schema": { "type": "string", "minLength": 1 },
        })
    };
    names.map(parameter).collect()
}

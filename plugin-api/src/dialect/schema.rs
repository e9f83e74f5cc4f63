//! JSON schemas.

use serde_json::Value;

/// Members of a schema that hold values.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

/// A schema of which every object says that it has no further members, where the schema leaves it open: many vendors
/// follow a schema strictly only then.
///
/// ```
/// # use patchbay_plugin_api::dialect::closed;
/// let schema = serde_json::json!({"type": "object", "properties": {"a": {"type": "string"}}});
/// assert_eq!(closed(schema)["additionalProperties"], false);
/// ```
pub fn closed(mut schema: Value) -> Value {
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let object = |kind: &Value| {
                kind == "object" || kind.as_array().is_some_and(|kinds| kinds.contains(&"object".into()))
            };
            if members.get("type").is_some_and(object) {
                members.entry("additionalProperties").or_insert(false.into());
            }
            // Values are no schemas, whatever they look like.
            let schemas = members.iter_mut().filter(|(name, _)| !VALUES.contains(&name.as_str()));
            schemas.for_each(|(_, schema)| close(schema));
        }
        Value::Array(several) => several.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_closed_wherever_they_are_and_values_left_alone() {
        let schema = json!({"anyOf": [{"type": ["object", "null"], "default": {"type": "object"}},
            {"type": "object", "additionalProperties": true}]});
        let expected = json!({"anyOf": [
            {"type": ["object", "null"], "default": {"type": "object"}, "additionalProperties": false},
            {"type": "object", "additionalProperties": true}]});
        assert_eq!(closed(schema), expected);
    }
}

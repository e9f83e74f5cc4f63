//! The JSON Schema of the configuration file, for editors: the description in other words.

use serde_json::{Map, Value, json};

use super::check::LONGEST_TIME;
use super::describe::{ENTRY, ROOT, Section, Shape};

/// Draft 2020-12.
pub fn schema() -> Value {
    let mut schema = section(&ROOT);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Patchbay's configuration".into();
    schema
}

/// An entry of `plugins` whose values are what they are: no text in it stands for another value.
pub(crate) fn provider_entry() -> Value {
    section(&ENTRY)
}

fn section(section: &Section) -> Value {
    let mut properties = Map::new();
    for key in section.keys {
        let mut property = shape(&key.shape);
        if section.may_be_null(key) {
            allow_null(&mut property);
        }
        property["description"] = key.about.into();
        let default = key.default.filter(|json| *json != "null").map(serde_json::from_str::<Value>);
        if let Some(Ok(default)) = default {
            property["default"] = default;
        }
        properties.insert(key.name.to_owned(), property);
    }
    json!({"type": "object", "properties": properties, "additionalProperties": section.open})
}

fn allow_null(property: &mut Value) {
    if let Some(kind) = property.get_mut("type") {
        match kind {
            Value::Array(kinds) => kinds.push("null".into()),
            kind => *kind = json!([kind, "null"]),
        }
    }
    if let Some(Value::Array(words)) = property.get_mut("enum") {
        words.push(Value::Null);
    }
    if let Some(Value::Array(choices)) = property.get_mut("anyOf") {
        choices.push(json!({"type": "null"}));
    }
}

fn shape(shape: &Shape) -> Value {
    match shape {
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Whole { least, most } => json!({"type": "integer", "minimum": least, "maximum": most}),
        Shape::Number { least, most } => json!({"type": "number", "minimum": least, "maximum": most}),
        Shape::Seconds => json!({"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_TIME.as_secs()}),
        Shape::Text | Shape::Secret => json!({"type": "string"}),
        Shape::OneOf(words) => json!({"type": "string", "enum": words}),
        Shape::Enabled => json!({"enum": [true, false, "auto"]}),
        Shape::Network => {
            let network = json!({"pattern": "^[0-9A-Fa-f:.]+/[0-9]{1,3}$"});
            json!({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}, network]})
        }
        Shape::Dollars => {
            json!({"type": ["number", "string"], "minimum": 0, "pattern": "^[0-9]+(\\.[0-9]+)?$"})
        }
        Shape::Any => json!({}),
        Shape::List(item) => json!({"type": "array", "items": self::shape(item)}),
        Shape::Map(value) => json!({"type": "object", "additionalProperties": self::shape(value)}),
        Shape::Providers(entry) => json!({
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z0-9._-]+$"},
            "additionalProperties": template(section(entry)),
        }),
        Shape::Section(keys) => section(keys),
    }
}

/// In entries a text with `${` may stand for any value, but for `enabled`, which decides whether it is filled in.
fn template(mut entry: Value) -> Value {
    if let Some(Value::Object(properties)) = entry.get_mut("properties") {
        for (name, property) in properties.iter_mut().filter(|(name, _)| *name != "enabled") {
            *property = match name.as_str() {
                "config" => template(property.take()),
                _ => or_template(property.take()),
            };
        }
    }
    entry
}

fn or_template(property: Value) -> Value {
    // A text may be anything already.
    if property["type"] == json!(["string", "null"]) && property.get("enum").is_none() {
        return property;
    }
    let description = property.get("description").cloned().unwrap_or_default();
    json!({
        "description": description,
        "anyOf": [property, {"type": "string", "pattern": "\\$\\{"}],
    })
}

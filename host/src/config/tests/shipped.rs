use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Setup;
use crate::config::{VARIABLES, key_variable, schema};

fn top_level(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// What is shipped, to be compared with what the code makes; with `UPDATE_SHIPPED=1` it is written anew first.
fn shipped(name: &str, made: &str) -> String {
    let path = top_level(name);
    if std::env::var_os("UPDATE_SHIPPED").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    std::fs::read_to_string(&path).unwrap()
}

const MEND: &str = "it is not what the code makes: run this test with UPDATE_SHIPPED=1";

#[test]
fn the_json_schema() {
    let shipped = shipped("plugin_config.schema.json", &format!("{:#}\n", schema()));
    // As values: in which order keys stand depends on how serde_json was built.
    assert!(serde_json::from_str::<Value>(&shipped).unwrap() == schema(), "{MEND}");
}

#[test]
fn the_example_of_an_environment() {
    let mut text = "\
# Copy to .env, beside the configuration file. What the real environment has wins over what stands here.
# <NAME> is a provider's name in capitals, with _ for everything that is no letter or digit.
"
    .to_owned();
    for variable in VARIABLES {
        text.push_str(&format!("\n# {}\n# {}={}\n", variable.about, variable.name, variable.example));
    }
    text.push_str("\n# The vendors that come with the host: a key is all that each of them needs.\n");
    let config = std::fs::read_to_string(top_level("plugin_config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    for (name, _) in
        config["plugins"].as_object().unwrap().iter().filter(|(_, entry)| entry["enabled"] == "auto")
    {
        text.push_str(&format!("# {}=\n", key_variable(name)));
    }
    assert!(shipped(".env.example", &text) == text, "{MEND}");
}

#[test]
fn the_configuration() {
    let text = std::fs::read_to_string(top_level("plugin_config.json")).unwrap();
    let config = Setup::new().file(&text).config();
    assert!(config.plugins.contains_key("mock"));
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["$schema"], "./plugin_config.schema.json");
    assert_eq!(faults(&schema(), &value, "").join("\n"), "");

    // Each waits for its key, but for those that need none: one has no address until somebody gives it one, the other
    // may not be running.
    for plugin in std::fs::read_dir(top_level("plugins/builtin")).unwrap() {
        let plugin = plugin.unwrap();
        let id = plugin.file_name().into_string().unwrap();
        if plugin.path().join("Cargo.toml").exists() && !["ollama", "openai-compatible"].contains(&&*id) {
            assert_eq!(value["plugins"][&id], json!({"enabled": "auto"}), "{id}");
        }
    }
}

/// What of the JSON Schema the description makes use of; enough to see that the two say the same.
fn faults(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fault = |what: &str| found.push(format!("{at}: {what}"));
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |wanted: &Value| wanted == kind || (wanted == "number" && kind == "integer");
    match &schema["type"] {
        Value::Null => {}
        Value::Array(kinds) if kinds.iter().any(is) => {}
        one if is(one) => {}
        _ => fault("type"),
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        fault("enum");
    }
    if let Some(number) = value.as_f64() {
        let below = |bound: &str| schema[bound].as_f64().is_some_and(|bound| number < bound);
        if below("minimum") || schema["maximum"].as_f64().is_some_and(|most| number > most) {
            fault("range");
        }
        if schema["exclusiveMinimum"].as_f64().is_some_and(|least| number <= least) {
            fault("range");
        }
    }
    if let (Some(text), Some(pattern)) = (value.as_str(), schema["pattern"].as_str())
        && pattern == "\\$\\{"
        && !text.contains("${")
    {
        fault("pattern");
    }
    if let Some(choices) = schema["anyOf"].as_array()
        && !choices.iter().any(|choice| faults(choice, value, at).is_empty())
    {
        fault("anyOf");
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{key}");
        match (schema["properties"].get(key), schema.get("additionalProperties")) {
            (Some(schema), _) => found.extend(faults(schema, value, &at)),
            (None, Some(Value::Bool(false))) => found.push(format!("{at}: unknown")),
            (None, Some(schema)) if schema.is_object() => found.extend(faults(schema, value, &at)),
            (None, _) => {}
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(faults(&schema["items"], item, &format!("{at}/{index}")));
    }
    found
}

#[test]
fn the_json_schema_and_the_host_agree() {
    for (value, fine) in [
        (json!({}), true),
        (json!({"server": {"port": 0}}), true),
        (json!({"server": {"port": 70000}}), false),
        (json!({"sever": {}}), false),
        (json!({"limits": {"max_concurrent": null}}), true),
        (json!({"routing": {"default_strategy": "fastest"}}), false),
        (json!({"routing": {"breaker": {"window": 0}}}), false),
        (json!({"routing": {"retries": {"deadline": 315_360_001}}}), false),
        (json!({"health": {"interval": 315_360_000}}), true),
        (json!({"plugins": {"a": {"enabled": "auto", "config": {"own": [1]}}}}), true),
        (json!({"plugins": {"a": {"enabled": "yes"}}}), false),
        (json!({"plugins": {"a": {"priority": "${P:-7}", "config": {"timeout": "${T:-7}"}}}}), true),
        (json!({"plugins": {"a": {"config": {"timeout": "7"}}}}), false),
        (json!({"plugins": {"a": {"config": {"timeout": null, "api_keys": ["a"]}}}}), true),
        (json!({"plugins": {"a": {"config": {"pricing": {"m": {"prompt": 0.5, "per": 1000}}}}}}), true),
        (json!({"plugins": {"a": {"config": {"pricing": {"m": {"promt": 0.5}}}}}}), false),
    ] {
        let found = faults(&schema(), &value, "");
        assert_eq!(found.is_empty(), fine, "{value}: {found:?}");
        assert_eq!(Setup::new().file(&value.to_string()).read().is_ok(), fine, "{value}");
    }
}

use serde_json::json;

use super::*;
use crate::plugins::features::Feature;

const HOST: Platform = Platform { arch: "x86_64", os: "linux", env: "gnu", glibc: None };

/// A manifest with everything required, and then these keys; null takes one away.
fn manifest(changes: &Value) -> String {
    let mut manifest = json!({
        "id": "mock", "name": "Mock", "version": "1.2.3", "author": "Ann", "description": "Answers.",
    });
    for (key, value) in changes.as_object().unwrap() {
        manifest[key] = value.clone();
    }
    manifest.to_string()
}

fn check_bytes(json: &[u8], message: &str, code: &str, hint: &str) {
    let problem = Manifest::parse(json, &HOST).unwrap_err().problem();
    assert_eq!((problem.message.as_str(), problem.code.word(), problem.hint.as_str()), (message, code, hint));
    assert_eq!(problem.step, Step::Metadata);
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in the tables below")]
fn check(changes: Value, message: &str, code: &str, hint: &str) {
    check_bytes(manifest(&changes).as_bytes(), message, code, hint);
}

#[test]
fn a_whole_manifest_is_read() {
    let text = manifest(&json!({
        "api_version": "v1", "requires": ["patchbay>=0.1"], "supported_features": ["streaming", "telepathy"],
        "category": "community", "homepage": "", "license": "MIT", "config_schema": {"type": "object"},
        "config_defaults": {"priority": 999}, "sample_config": {}, "threads": true, "secrets": false,
        "target": "x86_64-unknown-linux-gnu", "rustc": "1.95.0", "sdk_version": "1.0.0", "panic": "unwind",
        "from_the_future": [1],
    }));
    let manifest = Manifest::parse(text.as_bytes(), &HOST).unwrap();
    assert_eq!(manifest.id.as_str(), "mock");
    assert_eq!(manifest.version, Version::new(1, 2, 3));
    assert_eq!(manifest.requires, ["patchbay>=0.1"]);
    assert!(manifest.supported_features.has(Feature::Streaming));
    assert_eq!(manifest.category, Some(Category::Community));
    assert_eq!(manifest.homepage, None);
    assert_eq!(manifest.config_defaults["priority"], 999);
    assert!(manifest.threads && !manifest.secrets);
    let shown = serde_json::to_value(&manifest).unwrap();
    assert_eq!(shown["supported_features"], json!(["streaming", "telepathy"]));
    assert_eq!(shown["version"], "1.2.3");
}

#[test]
fn a_short_manifest_is_enough() {
    let manifest = Manifest::parse(manifest(&json!({})).as_bytes(), &HOST).unwrap();
    assert_eq!(manifest.api_version, "v1");
    assert!(manifest.requires.is_empty() && !manifest.threads && manifest.sample_config.is_none());
}

#[test]
fn what_is_no_manifest_is_refused() {
    let rebuild = "rebuild the plugin with the macro of patchbay-plugin-api";
    let code = "manifest_not_json";
    check_bytes(b"", "the manifest is not JSON: EOF while parsing a value at line 1 column 0", code, rebuild);
    check_bytes(
        b"{",
        "the manifest is not JSON: EOF while parsing an object at line 1 column 1",
        code,
        rebuild,
    );
    check_bytes(b"[]", "the manifest is a list, not an object", "manifest_not_an_object", rebuild);
    check_bytes(
        b"{}{}",
        "the library holds two manifests: two crates in it export a plugin",
        "manifest_repeated",
        "export one plugin per library",
    );
}

#[test]
fn required_fields_are_required() {
    let cargo = |key: &str| format!("set {key} in the plugin's Cargo.toml");
    check(json!({"description": ""}), "\"/description\" is missing", "field_missing", &cargo("description"));
    check(
        json!({"name": null}),
        "\"/name\" is missing",
        "field_missing",
        "set name in the plugin's manifest",
    );
    check(
        json!({"version": null, "author": "  ", "id": null}),
        "\"/id\" is missing (and 2 more: \"/version\" is missing; \"/author\" is missing)",
        "field_missing",
        "give the crate a name in the plugin's Cargo.toml",
    );
}

#[test]
fn wrong_types_are_named_with_their_path() {
    let code = "wrong_type";
    check(json!({"name": 7}), "\"/name\" is a number, not a string", code, "write a string");
    check(
        json!({"requires": "x"}),
        "\"/requires\" is a string, not a list of strings",
        code,
        "write a list of strings",
    );
    check(
        json!({"requires": ["patchbay", 1]}),
        "\"/requires/1\" is a number, not a string",
        code,
        "write a string",
    );
    check(
        json!({"config_schema": []}),
        "\"/config_schema\" is a list, not an object",
        code,
        "write an object",
    );
    check(
        json!({"threads": "yes"}),
        "\"/threads\" is a string, not true or false",
        code,
        "write true or false",
    );
    check(json!({"homepage": {}}), "\"/homepage\" is an object, not a string", code, "write a string");
}

#[test]
fn wrong_values_are_refused() {
    let shape = "use up to 64 lower-case letters, digits, '-' and '_', a letter or digit first";
    check(json!({"id": "../x"}), "\"/id\" is \"../x\", not a plugin's id", "id_malformed", shape);
    check(json!({"id": "-x"}), "\"/id\" is \"-x\", not a plugin's id", "id_malformed", shape);
    let long = "x".repeat(65);
    check(json!({"id": long}), &format!("\"/id\" is {long:?}, not a plugin's id"), "id_malformed", shape);
    check(
        json!({"version": "1.2"}),
        "\"/version\" is \"1.2\", not a semantic version (unexpected end of input while parsing minor version number)",
        "version_malformed",
        "write three numbers, such as \"1.2.0\"",
    );
    check(
        json!({"category": "best"}),
        "\"/category\" is \"best\", which is no category",
        "category_unknown",
        "write \"official\", \"community\" or \"custom\"",
    );
}

#[test]
fn what_it_was_built_for_and_how_must_fit() {
    check(
        json!({"api_version": "v2", "requires": {}}),
        "\"mock\" was built for plugin API v2, this host speaks v1",
        "api_version_unsupported",
        "rebuild it with patchbay-plugin-api 1.x, or update patchbay",
    );
    check(
        json!({"api_version": "v0", "id": "?"}),
        "the plugin was built for plugin API v0, this host speaks v1",
        "api_version_unsupported",
        "rebuild it with patchbay-plugin-api 1.x",
    );
    check(
        json!({"api_version": "latest"}),
        "\"/api_version\" is \"latest\", not a version such as \"v1\"",
        "api_version_malformed",
        "write \"v1\"",
    );
    check(
        json!({"panic": "abort"}),
        "\"mock\" was built with panic = \"abort\": its panics would end the host",
        "panic_abort",
        "rebuild it with panic = \"unwind\" in its profile",
    );
    check(
        json!({"target": "aarch64-unknown-linux-gnu"}),
        "\"mock\" was built for aarch64-unknown-linux-gnu, this host is x86_64-unknown-linux-gnu",
        "target_mismatch",
        "rebuild it with --target x86_64-unknown-linux-gnu",
    );
}

use serde_json::{Map, json};

use super::Setup;
use crate::config::{Enabled, ProviderSettings};

fn settings(setup: &Setup, name: &str) -> ProviderSettings {
    ProviderSettings::new(name, "p", &setup.config().plugins[name], &Map::new(), false).unwrap()
}

#[test]
fn variables_are_filled_in_where_the_file_has_them() {
    let file = r#"{"plugins": {
        "a": {"plugin": "${PLUGIN:-p}", "config": {
            "api_keys": ["${ONE}", "${TWO:-second}"], "timeout": "${T:-2.5}", "model": "m-${ONE}",
            "deep": [{"x": "$${ONE} ${ONE}"}]
        }},
        "off": {"enabled": false, "config": {"api_key": "${NOT_SET}", "timeout": "${NOT_SET}"}}
    }}"#;
    let config = Setup::new().file(file).variable("ONE", "first").config();
    let entry = config.plugins["a"].config();
    assert_eq!(config.plugins["a"].plugin.as_deref(), Some("p"));
    assert_eq!((&entry["api_keys"], &entry["timeout"]), (&json!(["first", "second"]), &json!(2.5)));
    assert_eq!((&entry["model"], &entry["deep"]), (&json!("m-first"), &json!([{"x": "${ONE} first"}])));
    assert_eq!(config.plugins["off"].config()["api_key"], "${NOT_SET}");
}

#[test]
fn values_of_variables_are_not_looked_into() {
    let file = r#"{"plugins": {"a": {"config": {"own": "${ODD}"}}}}"#;
    let setup = Setup::new().file(file).variable("ODD", "${HOME}").variable("A_MODEL", "${HOME}");
    let entry = setup.config().plugins["a"].config();
    assert_eq!((&entry["own"], &entry["model"]), (&json!("${HOME}"), &json!("${HOME}")));
}

#[test]
fn an_auto_entry_waits_for_its_variable() {
    let file = r#"{"plugins": {
        "text": {"enabled": "auto", "config": {"api_key": "${KEY}"}},
        "named": {"enabled": "auto", "config": {"api_key_env": "KEY"}}
    }}"#;
    let waiting = Setup::new().file(file).config();
    for name in ["text", "named"] {
        assert_eq!(waiting.plugins[name].enabled, Enabled::Auto);
        assert_eq!(waiting.plugins[name].waits_for.as_deref(), Some("KEY"), "{name}");
    }
    let there = Setup::new().file(file).dotenv("KEY=k");
    for name in ["text", "named"] {
        assert_eq!(there.config().plugins[name].waits_for, None, "{name}");
        assert_eq!(settings(&there, name).keys.len(), 1);
    }
}

#[test]
fn a_named_variable_is_where_the_key_comes_from() {
    let setup = Setup::new()
        .file(r#"{"plugins": {"a": {"config": {"api_key_env": "KEY"}}}}"#)
        .variable("KEY", "sk-abcdefghijkl1234");
    let rows = settings(&setup, "a").effective();
    assert_eq!(
        setup.shown(&rows, "/plugins/a/config/api_key"),
        Some((json!("sk-***1234"), "environment: KEY".to_owned()))
    );
    assert_eq!(setup.shown(&rows, "/plugins/a/config/api_key_env").unwrap().0, "KEY");
}

#[test]
fn a_key_alone_offers_a_provider() {
    let setup = Setup::new()
        .file(r#"{"plugins": {"groq": {"enabled": false}}}"#)
        .variable("MY_VENDOR_API_KEYS", "a,b")
        .variable("MY_VENDOR_MODEL", "m")
        .variable("GROQ_API_KEY", "a")
        .variable("ODD_API_KEY", "a")
        .variable("ODD_TIMEOUT", "soon")
        .variable("GONE_API_KEY", "a")
        .runtime("gone", None)
        .variable("PLAIN_MODEL", "m");
    let config = setup.config();
    let entry = config.offered("my-vendor").unwrap().as_ref().unwrap();
    let made = ProviderSettings::new("my-vendor", "my-vendor", entry, &Map::new(), false).unwrap();
    assert_eq!((made.keys.len(), made.model.as_deref()), (2, Some("m")));
    assert!(config.offered("groq").is_none(), "it has an entry, and that says no");
    assert!(config.offered("gone").is_none(), "it was removed");
    assert!(config.offered("plain").is_none(), "it has no key");
    // What is wrong with it matters only where there is a plugin for it.
    let problems = config.offered("odd").unwrap().as_ref().unwrap_err().to_string();
    assert!(problems.contains("ODD_TIMEOUT is not a time in seconds"), "{problems}");
}

#[test]
fn where_a_value_is_written_does_not_make_it_another() {
    let file = |text: &str| Setup::new().file(&format!(r#"{{"plugins": {{"a": {{"config": {text}}}}}}}"#));
    let written = settings(&file(r#"{"model": "m", "api_key": "k"}"#), "a");
    let moved = file("{}").variable("A_MODEL", "m").variable("A_API_KEY", "k");
    let moved = settings(&moved, "a");
    assert!(written.same_as(&moved));
    written.take_origins(&moved);
    assert_eq!(written.effective(), moved.effective());
    assert!(!written.same_as(&settings(&file(r#"{"model": "n", "api_key": "k"}"#), "a")));
}

use serde_json::{Map, Value, json};

use super::Setup;
use crate::config::describe::{CONFIG, ENTRY, Key, ROOT, Section, Shape};
use crate::config::layered::{Layered, defaults_of};
use crate::config::pointer::{join, segments};
use crate::config::{
    HealthSettings, LoaderSettings, ModelSettings, Origin, ProviderSettings, RoutingSettings,
    TelemetrySettings, UsageSettings,
};

/// A key, where it is, and a value for each of the layers.
struct Subject {
    pointer: String,
    default: Value,
    values: [Value; 5],
}

/// Five values that differ from each other and from the default.
fn values(shape: &Shape, name: &str) -> [Value; 5] {
    let text = |n: usize| json!(format!("text-{n}"));
    let values = |make: &dyn Fn(usize) -> Value| [0, 1, 2, 3, 4].map(make);
    match shape {
        // There are no five of them; neighbours differ.
        Shape::Flag => [true, false, true, false, true].map(Value::from),
        Shape::Enabled => [json!(true), json!("auto"), json!(true), json!("auto"), json!(true)],
        Shape::OneOf(words) => values(&|n| json!(words[n % words.len()])),
        Shape::Whole { .. } => values(&|n| json!(n + 11)),
        Shape::Seconds => values(&|n| json!(n as f64 + 11.5)),
        Shape::Number { .. } => values(&|n| json!(n as f64 * 0.25 + 0.25)),
        Shape::Network => values(&|n| json!(format!("10.0.0.{n}"))),
        Shape::Text | Shape::Any => values(&text),
        Shape::Secret => values(&|n| json!(format!("sk-abcdefghijklmnop{n}{n}{n}{n}"))),
        Shape::List(item) => {
            let items = self::values(item, name);
            values(&|n| json!([items[n]]))
        }
        Shape::Map(Shape::Section(_)) => values(&|n| json!({"m": {"prompt": n}})),
        Shape::Map(inner) => {
            let items = self::values(inner, name);
            values(&|n| json!({"m": items[n]}))
        }
        Shape::Dollars => values(&|n| json!(n as f64 + 0.25)),
        Shape::Providers(_) | Shape::Section(_) => unreachable!("{name}"),
    }
}

fn subjects(section: &Section, pointer: &str, found: &mut Vec<Subject>) {
    for key in section.keys {
        let Key { name, shape, default, .. } = key;
        let pointer = join(pointer, name);
        match shape {
            Shape::Section(inner) => subjects(inner, &pointer, found),
            Shape::Providers(entry) => subjects(entry, &join(&pointer, "up"), found),
            _ if *name == "$schema" || *name == "api_key_env" => {}
            shape => found.push(Subject {
                pointer,
                default: serde_json::from_str(default.unwrap()).unwrap(),
                values: values(shape, name),
            }),
        }
    }
}

fn all_subjects() -> Vec<Subject> {
    let mut found = Vec::new();
    subjects(&ROOT, "", &mut found);
    assert!(found.len() > 40);
    found
}

fn nested(pointer: &str, value: &Value) -> Value {
    let keys: Vec<String> = segments(pointer).collect();
    keys.into_iter().rev().fold(value.clone(), |value, key| json!({ key: value }))
}

fn variable(pointer: &str) -> String {
    format!("PATCHBAY_{}", segments(pointer).map(|key| format!("_{key}_").to_uppercase()).collect::<String>())
        .trim_end_matches('_')
        .to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The layers from below; each case has all of them up to one.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
enum Top {
    Host,
    Plugin,
    File,
    DotEnv,
    Environment,
    Runtime,
}

fn setup(subject: &Subject, top: Top) -> Setup {
    let Subject { pointer, values, .. } = subject;
    let mut setup = Setup::new();
    let file = if top >= Top::File { nested(pointer, &values[1]) } else { json!({}) };
    setup = setup.file(&file.to_string());
    if top >= Top::DotEnv {
        setup = setup.dotenv(&format!("# first\n{}='{}'\n", variable(pointer), text(&values[2])));
    }
    if top >= Top::Environment {
        setup = setup.variable(&variable(pointer), &text(&values[3]));
    }
    if let Some(within) = pointer.strip_prefix("/plugins/up")
        && top >= Top::Runtime
    {
        setup = setup.runtime("up", Some(nested(within, &values[4])));
    }
    setup
}

/// What is in force, and from where, of an entry over a plugin's defaults.
fn check_entry(subject: &Subject, top: Top) {
    let Subject { pointer, default, values } = subject;
    let setup = setup(subject, top);
    let config = setup.config();
    let plugin_key = pointer.strip_prefix("/plugins/up/config/");
    // A priority is the one key beside `config` that plugins have a default for.
    let plugin_key = plugin_key.or((pointer == "/plugins/up/priority").then_some("priority"));
    let mut defaults = Map::new();
    if let Some(key) = plugin_key
        && top >= Top::Plugin
    {
        defaults.insert(key.to_owned(), values[0].clone());
    }
    let entry = config.plugins.get("up").cloned().unwrap_or_default();
    let rows = ProviderSettings::new("up", "vendor", &entry, &defaults, false).unwrap().effective();
    let default = if pointer == "/plugins/up/priority" { json!(50) } else { default.clone() };
    let (value, origin) = match top {
        Top::Plugin if plugin_key.is_some() => (values[0].clone(), "default of the plugin vendor".to_owned()),
        Top::Host | Top::Plugin => (default, "default".to_owned()),
        Top::File => (values[1].clone(), "plugin_config.json".to_owned()),
        Top::DotEnv => (values[2].clone(), format!(".env line 2: {}", variable(pointer))),
        Top::Environment => (values[3].clone(), format!("environment: {}", variable(pointer))),
        Top::Runtime => (values[4].clone(), "changed at run time".to_owned()),
    };
    let (pointer, value) = first_leaf(pointer, value);
    let value = shown(&pointer, value);
    assert_eq!(setup.shown(&rows, &pointer), Some((value, origin)), "{pointer} with {top:?}");
}

/// Objects are shown member by member.
fn first_leaf(pointer: &str, value: Value) -> (String, Value) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let (key, value) = members.into_iter().next().unwrap();
            first_leaf(&join(pointer, &key), value)
        }
        value => (pointer.to_owned(), value),
    }
}

fn shown(pointer: &str, value: Value) -> Value {
    let masked = |value: &Value| Value::from(crate::config::masked(value.as_str().unwrap()));
    match value {
        Value::String(_) if pointer.ends_with("/api_key") || pointer.contains("/headers/m") => masked(&value),
        Value::Array(items) if pointer.ends_with("/api_keys") => items.iter().map(masked).collect(),
        value => value,
    }
}

fn check_host(subject: &Subject, top: Top) {
    let Subject { pointer, default, values } = subject;
    let setup = setup(subject, top);
    let config = setup.config();
    let (value, origin) = match top {
        Top::Host => (default.clone(), "default".to_owned()),
        Top::File => (values[1].clone(), "plugin_config.json".to_owned()),
        Top::DotEnv => (values[2].clone(), format!(".env line 2: {}", variable(pointer))),
        _ => (values[3].clone(), format!("environment: {}", variable(pointer))),
    };
    let (pointer, value) = first_leaf(pointer, value);
    let value = shown(&pointer, value);
    assert_eq!(setup.shown(config.effective(), &pointer), Some((value, origin)), "{pointer} with {top:?}");
}

#[test]
fn every_key_in_every_layer() {
    for subject in all_subjects() {
        if subject.pointer.starts_with("/plugins/up/") {
            for top in [Top::Host, Top::Plugin, Top::File, Top::DotEnv, Top::Environment, Top::Runtime] {
                check_entry(&subject, top);
            }
        } else {
            for top in [Top::Host, Top::File, Top::DotEnv, Top::Environment] {
                check_host(&subject, top);
            }
        }
    }
}

#[test]
fn short_forms_and_their_order() {
    let file =
        r#"{"server": {"port": 1}, "plugins": {"my_own-up": {"plugin": "x", "config": {"model": "m"}}}}"#;
    for (dotenv, variables, port, origin) in [
        ("PORT=2", &[][..], 2, ".env line 1: PORT"),
        ("PORT=2", &[("PORT", "3")], 3, "environment: PORT"),
        ("PORT=2", &[("PORT", "")], 1, "plugin_config.json"),
        ("PATCHBAY__SERVER__PORT=2", &[("PORT", "3")], 3, "environment: PORT"),
        ("", &[("PORT", "3"), ("PATCHBAY__SERVER__PORT", "4")], 4, "environment: PATCHBAY__SERVER__PORT"),
    ] {
        let setup = Setup::new().file(file).dotenv(dotenv);
        let setup = variables.iter().fold(setup, |setup, (name, value)| setup.variable(name, value));
        let config = setup.config();
        assert_eq!(config.server.port, port, "{dotenv} {variables:?}");
        let row = setup.shown(config.effective(), "/server/port");
        assert_eq!(row, Some((port.into(), origin.to_owned())), "{dotenv} {variables:?}");
    }
    let mut setup = Setup::new().file(file).variable("PORT", "3").variable("HOST", "::1");
    setup.command_line.port = Some(0);
    let config = setup.config();
    assert_eq!((config.server.host.as_str(), config.server.port), ("::1", 0));
    let row = setup.shown(config.effective(), "/server/port");
    assert_eq!(row, Some((0.into(), "command line: --port".to_owned())));
}

#[test]
fn short_forms_of_a_provider() {
    let file = r#"{"plugins": {"my_own-up": {"config": {"model": "m"}}}}"#;
    for (suffix, value, key, expected) in [
        ("API_KEY", "k", "api_key", json!("k")),
        ("API_KEYS", "a, b,,c", "api_keys", json!(["a", "b", "c"])),
        ("BASE_URL", "http://x", "base_url", json!("http://x")),
        ("MODEL", "other", "model", json!("other")),
        ("TIMEOUT", "2.5", "timeout", json!(2.5)),
        ("RETRY_ATTEMPTS", "2", "retry_attempts", json!(2)),
    ] {
        let config = Setup::new().file(file).variable(&format!("MY_OWN_UP_{suffix}"), value).config();
        assert_eq!(config.plugins["my_own-up"].config()[key], expected, "{suffix}");
        assert_eq!(config.plugins.len(), 1);
    }
}

#[test]
fn double_underscores_step_into_anything() {
    let file =
        r#"{"plugins": {"up": {"config": {"extra_headers": {"X-Title": "a", "X-Other": "b"}, "own": 1}}}}"#;
    let setup = Setup::new()
        .file(file)
        .variable("PATCHBAY__PLUGINS__UP__CONFIG__EXTRA_HEADERS__X_TITLE", "mine")
        .variable("PATCHBAY__PLUGINS__UP__CONFIG__DEEP__ER", "{\"x\": [1]}")
        .variable("PATCHBAY__PLUGINS__NEW__PLUGIN", "mock")
        .variable("NEW_MODEL", "m");
    let config = setup.config();
    let up = config.plugins["up"].config();
    assert_eq!(up["extra_headers"], json!({"X-Title": "mine", "X-Other": "b"}));
    assert_eq!((&up["own"], &up["deep"]), (&json!(1), &json!({"er": {"x": [1]}})));
    assert_eq!(config.plugins["new"].plugin.as_deref(), Some("mock"));
    assert_eq!(config.plugins["new"].config()["model"], "m", "what variables bring has short forms too");
    let rows = config.plugins["up"].effective("up", None);
    let headers = "/plugins/up/config/extra_headers";
    assert_eq!(setup.shown(&rows, &format!("{headers}/X-Other")).unwrap().1, "plugin_config.json");
    assert!(setup.shown(&rows, &format!("{headers}/X-Title")).unwrap().1.starts_with("environment"));
    let file_row = rows.iter().find(|row| row.pointer.ends_with("X-Other")).unwrap();
    let pointer = format!("{headers}/X-Other");
    assert_eq!(file_row.origin, Origin::File { path: setup.path(), pointer });
}

#[test]
fn keys_of_a_higher_layer_replace_those_below() {
    let file = r#"{"plugins": {"up": {"config": {"api_keys": ["a", "b"]}}}}"#;
    let setup = Setup::new().file(file).variable("UP_API_KEY", "c");
    let config = setup.config().plugins["up"].config();
    assert_eq!((config.get("api_keys"), &config["api_key"]), (None, &json!("c")));
    // Whoever gives a key needs nothing of the one that is not used.
    let file = r#"{"plugins": {"up": {"config": {"api_key": "${NOT_SET}"}}}}"#;
    let config = Setup::new().file(file).variable("UP_API_KEYS", "c").config().plugins["up"].config();
    assert_eq!((config.get("api_key"), &config["api_keys"]), (None, &json!(["c"])));
}

#[test]
fn run_time_changes_change_remove_and_reset() {
    let file = r#"{"plugins": {"a": {"priority": 1, "config": {"model": "m", "timeout": 9}}, "b": {}}}"#;
    let setup = Setup::new()
        .file(file)
        .runtime("a", Some(json!({"priority": 2, "config": {"timeout": null, "literal": "${HOME}"}})))
        .runtime("b", None)
        .runtime("c", Some(json!({"plugin": "mock"})))
        .variable("C_API_KEY", "secret");
    let config = setup.config();
    assert_eq!(config.plugins.keys().collect::<Vec<_>>(), ["a", "c"]);
    assert!(config.removed.contains("b"));
    let settings = ProviderSettings::new(
        "a",
        "p",
        &config.plugins["a"],
        &Map::from_iter([("timeout".into(), json!(7))]),
        false,
    )
    .unwrap();
    assert_eq!((settings.priority, settings.model.as_deref(), settings.timeout.as_secs()), (2, Some("m"), 7));
    assert_eq!(settings.plugin_config["literal"], "${HOME}", "nothing in it is filled in");
    let rows = settings.effective();
    assert_eq!(
        setup.shown(&rows, "/plugins/a/config/timeout"),
        Some((json!(7), "default of the plugin p".to_owned()))
    );
    assert!(config.plugins["c"].config().is_empty(), "variables are for what the operator wrote");
}

#[test]
fn opentelemetrys_own_variables_hold_where_the_file_says_nothing() {
    let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
    for (variables, key, value, origin) in [
        (&[base][..], "otlp_endpoint", json!("http://c:4318/v1/traces"), base.0),
        (
            &[base, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://d/own")],
            "otlp_endpoint",
            json!("http://d/own"),
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abcdefghijkl, x=1%")],
            "headers/authorization",
            json!("Bea***ijkl"),
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
        (
            &[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.25")],
            "sample",
            json!(0.25),
            "OTEL_TRACES_SAMPLER",
        ),
        (&[("OTEL_TRACES_SAMPLER", "always_on")], "follow_parent", json!(false), "OTEL_TRACES_SAMPLER"),
    ] {
        let setup = variables.iter().fold(Setup::new(), |setup, (name, value)| setup.variable(name, value));
        let row = setup.shown(setup.config().effective(), &format!("/telemetry/traces/{key}"));
        assert_eq!(row, Some((value, format!("environment: {origin}"))), "{variables:?}");
    }
    let file = r#"{"telemetry": {"traces": {"otlp_endpoint": "http://file", "headers": {}, "sample": 0.5}}}"#;
    let setup = Setup::new()
        .file(file)
        .variable(base.0, base.1)
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "a=b")
        .variable("OTEL_TRACES_SAMPLER", "always_off")
        .variable("PATCHBAY__TELEMETRY__TRACES__SERVICE_NAME", "named")
        .variable("OTEL_SERVICE_NAME", "not this");
    let traces = setup.config().telemetry.traces;
    assert_eq!((traces.otlp_endpoint.as_deref(), traces.sample), (Some("http://file"), 0.5));
    assert!(traces.headers.is_empty() && traces.service_name.as_deref() == Some("named"));

    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_HEADERS", "no-list-but-a-secret"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ] {
        let problems = Setup::new().variable(name, value).problems().join("\n");
        assert!(problems.contains(name) && !problems.contains(value), "{problems}");
    }
}

#[test]
fn with_nothing_at_all_there_are_the_defaults() {
    let config = Setup::new().config();
    assert_eq!(config.loader, LoaderSettings::default());
    assert_eq!(config.routing, RoutingSettings::default());
    assert_eq!(config.health, HealthSettings::default());
    assert_eq!(config.models, ModelSettings::default());
    assert_eq!(config.usage, UsageSettings::default());
    assert_eq!(config.telemetry, TelemetrySettings::default());
    assert!(config.plugins.is_empty() && config.server.admin_token.is_none());
    let mut entry = Layered::new();
    entry.lay(defaults_of(&ENTRY, ""));
    for key in CONFIG.keys {
        assert!(entry.get(&join("/config", key.name)).is_some(), "the default of {} is JSON", key.name);
    }
}

use serde_json::json;

use super::Setup;

#[track_caller]
fn file(text: &str, expected: &[&str]) {
    assert_eq!(Setup::new().file(text).problems(), expected, "{text}");
}

#[track_caller]
fn variable(name: &str, value: &str, expected: &[&str]) {
    let problems = Setup::new().variable(name, value).problems();
    assert_eq!(problems, expected, "{name}={value}");
    if name.starts_with("PATCHBAY__PLUGINS") {
        return;
    }
    // The same in `.env` says where it is.
    let dotenv = Setup::new().dotenv(&format!("\n{name}='{value}'")).problems();
    let expected = expected.iter().map(|text| match text.strip_prefix("environment: ") {
        Some(rest) => match rest.strip_prefix('/').and_then(|rest| rest.split_once(": ")) {
            Some((pointer, reason)) => format!(".env: /{pointer}: line 2: {reason}"),
            None => format!(".env: line 2: {rest}"),
        },
        None => (*text).to_owned(),
    });
    assert_eq!(dotenv, expected.collect::<Vec<_>>(), "{name}={value} in .env");
}

#[test]
fn how_the_file_is_written() {
    file(
        "",
        &[
            "plugin_config.json: line 1, column 0 is not JSON: EOF while parsing a value: mend it there or just before; comments and trailing commas are not JSON",
        ],
    );
    file(
        "{\n  \"server\": {},\n}",
        &[
            "plugin_config.json: line 3, column 1 is not JSON: trailing comma: mend it there or just before; comments and trailing commas are not JSON",
        ],
    );
    file(
        "{} {}",
        &[
            "plugin_config.json: line 1, column 4 is not JSON: trailing characters: mend it there or just before; comments and trailing commas are not JSON",
        ],
    );
    file("[]", &["plugin_config.json: the whole is a list, not an object: write it as in {}"]);
    file(
        r#"{"server": {"port": 1, "port": 2}, "server": {}}"#,
        &[
            "plugin_config.json: /server/port: the key \"port\" is written twice: keep one of them",
            "plugin_config.json: /server: the key \"server\" is written twice: keep one of them",
        ],
    );
}

#[test]
fn keys_that_nobody_knows() {
    file(
        r#"{"sever": {}}"#,
        &["plugin_config.json: /sever: unknown key \"sever\": did you mean \"server\"?"],
    );
    file(
        r#"{"xyz": 1}"#,
        &[
            "plugin_config.json: /xyz: unknown key \"xyz\": known are $schema, server, plugin_dirs, routing, health, models, limits, usage, loader, telemetry, plugins",
        ],
    );
    file(
        r#"{"server": {"prot": 1}}"#,
        &["plugin_config.json: /server/prot: unknown key \"prot\": did you mean \"port\"?"],
    );
    file(
        r#"{"routing": {"breaker": {"failure": 1}}}"#,
        &[
            "plugin_config.json: /routing/breaker/failure: unknown key \"failure\": did you mean \"failures\"?",
        ],
    );
    file(
        r#"{"plugins": {"a": {"enabeld": true}}}"#,
        &["plugin_config.json: /plugins/a/enabeld: unknown key \"enabeld\": did you mean \"enabled\"?"],
    );
    file(
        r#"{"plugins": {"a": {"config": {"pricing": {"m/1": {"promt": 1}}}}}}"#,
        &[
            "plugin_config.json: /plugins/a/config/pricing/m~11/promt: unknown key \"promt\": did you mean \"prompt\"?",
        ],
    );
}

#[test]
fn values_of_the_wrong_kind() {
    let port = "write it as in \"port\": 1";
    file(
        r#"{"server": {"port": 70000}}"#,
        &[&format!(
            "plugin_config.json: /server/port: \"port\" is 70000, not a whole number from 0 to 65535: {port}"
        )],
    );
    file(
        r#"{"server": {"port": "80"}}"#,
        &[&format!(
            "plugin_config.json: /server/port: \"port\" is \"80\", not a whole number from 0 to 65535: {port}"
        )],
    );
    file(
        r#"{"server": {"port": null}}"#,
        &[&format!(
            "plugin_config.json: /server/port: \"port\" is null, not a whole number from 0 to 65535: {port}"
        )],
    );
    file(
        r#"{"server": []}"#,
        &["plugin_config.json: /server: \"server\" is a list, not an object: write it as in \"server\": {}"],
    );
    file(
        r#"{"server": {"trusted_proxies": ["10.0.0.1", "proxy"]}}"#,
        &[
            "plugin_config.json: /server/trusted_proxies/1: \"trusted_proxies\" holds \"proxy\", not an IP address or a network such as \"10.0.0.0/8\": write it as in \"127.0.0.1\"",
        ],
    );
    file(
        r#"{"routing": {"default_strategy": "fastest"}}"#,
        &[
            "plugin_config.json: /routing/default_strategy: \"default_strategy\" is \"fastest\", not \"priority_first\", \"round_robin\", \"weighted\", \"least_latency\", \"lowest_cost\": write one of them, such as \"priority_first\"",
        ],
    );
    file(
        r#"{"routing": {"chains": {"m": "n"}}}"#,
        &[
            "plugin_config.json: /routing/chains/m: \"m\" is \"n\", not a list: write it as in \"m\": [\"...\"]",
        ],
    );
    file(
        r#"{"limits": {"max_concurrent": 0}}"#,
        &[
            "plugin_config.json: /limits/max_concurrent: \"max_concurrent\" is 0, not a whole number, 1 or more: write it as in \"max_concurrent\": 1",
        ],
    );
    file(
        r#"{"loader": {"probe_timeout": 0}}"#,
        &[
            "plugin_config.json: /loader/probe_timeout: \"probe_timeout\" is 0, not a time in seconds, above 0 and up to ten years: write it as in \"probe_timeout\": 30",
        ],
    );
}

#[test]
fn values_of_the_wrong_kind_in_entries() {
    let at = |key: &str| format!("plugin_config.json: /plugins/a/{key}");
    file(
        r#"{"plugins": {"a": {"enabled": "yes"}}}"#,
        &[&format!(
            "{}: \"enabled\" is a text, not true, false or \"auto\": write it as in \"enabled\": true",
            at("enabled")
        )],
    );
    file(
        r#"{"plugins": {"a": {"isolation": "process"}}}"#,
        &[&format!(
            "{}: \"isolation\" is a text, not \"in_process\": write one of them, such as \"in_process\"",
            at("isolation")
        )],
    );
    file(
        r#"{"plugins": {"a": {"priority": 1.5}}}"#,
        &[&format!(
            "{}: \"priority\" is 1.5, not a whole number: write it as in \"priority\": 1",
            at("priority")
        )],
    );
    file(
        r#"{"plugins": {"a": {"config": {"timeout": -1}}}}"#,
        &[&format!(
            "{}: \"timeout\" is -1, not a time in seconds, above 0 and up to ten years: write it as in \"timeout\": 30",
            at("config/timeout")
        )],
    );
    file(
        r#"{"plugins": {"a": {"config": {"temperature": 3}}}}"#,
        &[&format!(
            "{}: \"temperature\" is 3, not a number from 0 to 2: write it as in \"temperature\": 0.5",
            at("config/temperature")
        )],
    );
    file(
        r#"{"plugins": {"a": {"config": {"api_key": ["sk-in-a-list"]}}}}"#,
        &[&format!(
            "{}: \"api_key\" is a list, not a text: write it as in \"api_key\": \"...\"",
            at("config/api_key")
        )],
    );
    file(
        r#"{"plugins": {"a": {"config": {"max_tokens": "sk-by-mistake"}}}}"#,
        &[&format!(
            "{}: \"max_tokens\" is a text, not a whole number, 1 or more: write it as in \"max_tokens\": 1",
            at("config/max_tokens")
        )],
    );
    file(
        r#"{"plugins": {"a": {"config": {"pricing": {"m": {"completion": -1, "per": 0, "prompt": "1,5"}}}}}}"#,
        &[
            &format!(
                "{}: \"completion\" is -1, not an amount in US dollars: write it as in \"completion\": 1",
                at("config/pricing/m/completion")
            ),
            &format!(
                "{}: \"per\" is 0, not a whole number from 1 to 1000000: write it as in \"per\": 1",
                at("config/pricing/m/per")
            ),
            &format!(
                "{}: \"prompt\" is a text, not an amount in US dollars: write it as in \"prompt\": 1",
                at("config/pricing/m/prompt")
            ),
        ],
    );
    file(
        r#"{"plugins": {"a": null}}"#,
        &["plugin_config.json: /plugins/a: \"a\" is null, not an object: write it as in \"a\": {}"],
    );
    file(
        r#"{"plugins": {"a/b": {}}}"#,
        &[
            "plugin_config.json: /plugins/a~1b: \"a/b\" is no name for a provider: use letters, digits, \"-\", \"_\" and \".\": requests name it, as in \"provider/model\"",
        ],
    );
}

#[test]
fn variables_that_are_not_set() {
    let mend = "set it in the environment or in .env, or switch the provider off with \"enabled\": false";
    file(
        r#"{"plugins": {"a": {"config": {"api_key": "${A_KEY}"}}}}"#,
        &[&format!(
            "plugin_config.json: /plugins/a/config/api_key: \"api_key\" of \"a\" needs the variable A_KEY, which is not set: {mend}"
        )],
    );
    file(
        r#"{"plugins": {"a": {"config": {"extra_headers": {"X": "Bearer ${TOKEN}"}}}}}"#,
        &[&format!(
            "plugin_config.json: /plugins/a/config/extra_headers/X: \"extra_headers.X\" of \"a\" needs the variable TOKEN, which is not set: {mend}"
        )],
    );
    file(
        r#"{"plugins": {"a": {"config": {"api_key_env": "A_KEY"}}}}"#,
        &[&format!(
            "plugin_config.json: /plugins/a/config/api_key_env: \"api_key_env\" of \"a\" needs the variable A_KEY, which is not set: {mend}"
        )],
    );
    file(
        r#"{"plugins": {"a": {"config": {"api_key": "k", "api_key_env": "A_KEY"}}}}"#,
        &[
            "plugin_config.json: /plugins/a/config/api_key_env: \"a\" has both \"api_key\" and \"api_key_env\": keep one of them",
        ],
    );
    file(
        r#"{"plugins": {"a": {"config": {"model": "${A"}}}}"#,
        &[
            "plugin_config.json: /plugins/a/config/model: \"model\" has a \"${\" without its \"}\": write ${NAME} or ${NAME:-default}, and $${ for a literal ${",
        ],
    );
    file(
        r#"{"plugins": {"a": {"config": {"model": "${a b}"}}}}"#,
        &[
            "plugin_config.json: /plugins/a/config/model: \"model\" has something in \"${...}\" that is no variable's name: write ${NAME} or ${NAME:-default}, and $${ for a literal ${",
        ],
    );
    let setup = Setup::new()
        .file(r#"{"plugins": {"a": {"config": {"timeout": "${T}"}}}}"#)
        .variable("T", "sk-secret");
    assert_eq!(
        setup.problems(),
        [
            "plugin_config.json: /plugins/a/config/timeout: \"timeout\" is a text, not a time in seconds, above 0 and up to ten years: write it as in \"timeout\": 30"
        ]
    );
}

#[test]
fn variables_that_say_the_wrong_thing() {
    variable(
        "PORT",
        "http",
        &[
            "environment: /server/port: PORT is \"http\", not a whole number from 0 to 65535: write it as in PORT=1",
        ],
    );
    variable(
        "PORT",
        "70000",
        &[
            "environment: /server/port: PORT: \"port\" is 70000, not a whole number from 0 to 65535: write it as in \"port\": 1",
        ],
    );
    variable(
        "PATCHBAY__SERVER__OPEN",
        "yes",
        &[
            "environment: /server/open: PATCHBAY__SERVER__OPEN is \"yes\", not true or false: write it as in PATCHBAY__SERVER__OPEN=true",
        ],
    );
    variable(
        "PATCHBAY__SEVER__PORT",
        "1",
        &["environment: PATCHBAY__SEVER__PORT: unknown key \"sever\": did you mean \"server\"?"],
    );
    variable(
        "PATCHBAY__SERVER__PORT__X",
        "1",
        &[
            "environment: PATCHBAY__SERVER__PORT__X: \"/server/port\" has nothing inside: set PATCHBAY__SERVER__PORT itself",
        ],
    );
    variable(
        "PATCHBAY__SERVER____PORT",
        "1",
        &[
            "environment: PATCHBAY__SERVER____PORT: there is a part without a name: write a key between double underscores",
        ],
    );
    variable(
        "PATCHBAY__SERVER",
        "{\"prot\": 1}",
        &["environment: /server/prot: PATCHBAY__SERVER: unknown key \"prot\": did you mean \"port\"?"],
    );
    variable(
        "PATCHBAY__PLUGINS__A__CONFIG__TIMEOUT",
        "sk-by-mistake",
        &[
            "environment: /plugins/a/config/timeout: PATCHBAY__PLUGINS__A__CONFIG__TIMEOUT is not a time in seconds, above 0 and up to ten years: write it as in PATCHBAY__PLUGINS__A__CONFIG__TIMEOUT=30",
        ],
    );
    let setup = Setup::new().file(r#"{"plugins": {"a": {}}}"#).variable("A_TIMEOUT", "soon");
    assert_eq!(
        setup.problems(),
        [
            "environment: /plugins/a/config/timeout: A_TIMEOUT is not a time in seconds, above 0 and up to ten years: write it as in A_TIMEOUT=30"
        ]
    );
}

#[test]
fn variables_that_are_no_text() {
    use std::os::unix::ffi::OsStringExt as _;
    for (name, expected) in [
        ("ADMIN_TOKEN", "environment: ADMIN_TOKEN is not UTF-8: set it to a text"),
        ("HOST", "environment: /server/host: HOST is not UTF-8: set it to a text"),
    ] {
        let mut setup = Setup::new();
        setup.variables.push((name.to_owned(), std::ffi::OsString::from_vec(vec![0xff])));
        assert_eq!(setup.problems(), [expected]);
    }
}

#[test]
fn run_time_changes_that_cannot_be() {
    let setup = Setup::new()
        .runtime("a", Some(json!({"config": {"timeout": "${T}", "api_key_env": "HOME"}, "weigth": 1})));
    assert_eq!(
        setup.problems(),
        [
            "runtime: /plugins/a/config/timeout: \"timeout\" is a text, not a time in seconds, above 0 and up to ten years: write it as in \"timeout\": 30",
            "runtime: /plugins/a/weigth: unknown key \"weigth\": did you mean \"weight\"?",
            "runtime: /plugins/a/config/api_key_env: \"api_key_env\" cannot be set while the host runs: give the key itself as \"api_key\": a change must not read the environment",
        ]
    );
}

#[test]
fn all_of_them_at_once() {
    let setup = Setup::new()
        .file(r#"{"sever": {}, "limits": {"max_concurrent": -1}, "plugins": {"a": {"config": {"model": "${M}"}}}}"#)
        .dotenv("PORT=http\nnonsense")
        .variable("PATCHBAY__ROUTING__FALLBACK", "maybe");
    let problems = setup.problems();
    let said = |part: &str| problems.iter().any(|problem| problem.contains(part));
    for part in
        [".env: line 2", "/sever", "max_concurrent", "/server/port: line 1: PORT", "FALLBACK", "variable M"]
    {
        assert!(said(part), "{part} is not in {problems:#?}");
    }
    assert_eq!(problems.len(), 6);
    let text = setup.read().unwrap_err().to_string();
    assert!(text.starts_with("the configuration has 6 problems\n  "), "{text}");
    assert_eq!(text.lines().count(), 7);
}

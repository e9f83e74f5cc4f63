//! The command line, as it is typed: against hosts that run, and with the examples that its help gives.

// Every example of every help.
mod examples;
// Crates that `plugin new` makes, built for real.
mod new;
// The vendor in the guide.
mod guide;
// What is saved while `dev` runs.
mod dev;
// What is misspelt.
mod slips;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Library, libraries};

/// Runs the binary against this host, in the host's folder. Waited for beside the test's own work.
async fn run(host: &Host, arguments: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    command.args(arguments);
    finish(command, host.dir(), host.address(), stdin).await
}

/// Nothing of the tester's own is in the environment.
async fn finish(mut command: Command, dir: &Path, url: &str, stdin: &str) -> Output {
    let input = dir.join("stdin");
    std::fs::write(&input, stdin).unwrap();
    command.current_dir(dir).env_clear().env("PATCHBAY_URL", url).env("TMPDIR", dir).env("HOME", dir);
    command.env("PATH", format!("{}:/usr/bin:/bin", dir.display()));
    command.stdin(std::fs::File::open(input).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, expected: &[&str]) -> String {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    for expected in expected {
        let said = stdout.contains(expected) || stderr.contains(expected);
        assert!(said, "{expected:?} is not in:\n{stdout}{stderr}");
    }
    assert!(!stdout.contains('\u{1b}'), "colours are for terminals: {stdout:?}");
    stdout
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn mock_host() -> Host {
    Host::start(HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}))).await
}

/// The members of a list, which must have these at least.
#[track_caller]
fn check_keys(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "{key:?} is not in {value}");
    }
}

#[tokio::test]
async fn lists_are_tables_and_json() {
    let host = mock_host().await;
    host.install(&Library::new("half", b"\x7fELF".to_vec()), "libhalf.so");
    host.reload().await;
    let table =
        check(&run(&host, &["plugin", "list"], "").await, 0, &["mock", "active", "refused", "hint: "]);
    assert!(table.starts_with("ID "), "{table}");
    check(&run(&host, &["provider", "list"], "").await, 0, &["NAME", "mock 1.0.0", "999"]);
    check(&run(&host, &["models"], "").await, 0, &["mock-1", "mock-2", "streaming, embeddings"]);
    check(&run(&host, &["health"], "").await, 0, &["healthy, version", "mock"]);

    let json = async |arguments: &[&str]| -> Value {
        let output = run(&host, &[arguments, &["--json"]].concat(), "").await;
        serde_json::from_str(&check(&output, 0, &[])).unwrap()
    };
    let plugins = json(&["plugin", "list"]).await;
    check_keys(&plugins, &["plugins", "total_count"]);
    let keys = ["id", "version", "state", "generation", "in_flight", "file", "providers", "problem"];
    plugins["plugins"].as_array().unwrap().iter().for_each(|plugin| check_keys(plugin, &keys));
    let providers = json(&["provider", "list"]).await;
    check_keys(&providers, &["providers", "total_count", "healthy_count", "default_strategy"]);
    let keys = ["name", "plugin", "plugin_version", "generation", "status", "priority", "default_model"];
    check_keys(&providers["providers"][0], &keys);
    check_keys(&providers["providers"][0], &["in_flight", "requests_total", "errors_total"]);
    let health = json(&["health"]).await;
    check_keys(&health, &["status", "timestamp", "version", "uptime_seconds", "providers", "summary"]);
    for arguments in [&["models"][..], &["models", "mock"]] {
        let models = json(arguments).await;
        check_keys(&models["models"][0], &["provider", "id", "type", "capabilities"]);
        assert_eq!(models["failed"], json!([]));
    }
    host.stop().await;
}

#[tokio::test]
async fn the_models_of_a_provider_have_a_route() {
    let options = HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    let nowhere = json!({ "base_url": "http://127.0.0.1:1/v1" });
    let options = options.builtin(&libraries::openai_compatible());
    let options = options.entry("gone", json!({ "plugin": "openai-compatible", "config": nowhere }));
    let host = Host::start(options).await;
    let models = host.get("/api/providers/mock/models").await.json();
    let expected = json!({
        "id": "mock-1", "name": "mock-1", "type": "chat", "context_length": 4096,
        "capabilities": ["chat_completion", "streaming", "embeddings"],
        "owner": null, "created": null, "pricing": null, "pricing_source": null,
    });
    assert_eq!(models["models"][0], expected);
    let (status, code, details) = host.get("/api/providers/mocks/models").await.error();
    assert_eq!((status, code.as_str()), (404, "provider_not_found"));
    assert!(details.contains("near names: mock"), "{details}");
    assert_eq!(host.get("/api/providers/gone/models").await.status, 502);
    check(&run(&host, &["models"], "").await, 1, &["mock-1", "gone: the host answered 502"]);
    // Plain lines: there is no terminal for a bar.
    let synced = run(&host, &["models", "--sync"], "").await;
    check(
        &synced,
        1,
        &["mock: skipped: cache_valid", "gone: error: cannot connect to", "mock-1  chat  4096"],
    );
    let refreshed = run(&host, &["models", "mock", "--refresh", "--json"], "").await;
    check(&refreshed, 0, &[r#""id":"mock-2""#, r#""failed":[]"#]);
    let one = run(&host, &["models", "mock", "--sync", "--json"], "").await;
    check(&one, 0, &[r#""synced":[{"provider":"mock","status":"skipped""#]);
    host.stop().await;
}

#[tokio::test]
async fn who_has_no_models_to_list_is_left_out() {
    let options = HostOptions::default().custom(&libraries::mock()).custom(&libraries::chameleon());
    let host = Host::start(options.provider("mock", json!({})).provider("chameleon", json!({}))).await;
    let said = ["mock-1", "chameleon: left out, for its plugin cannot list models"];
    for arguments in [&["models"][..], &["models", "--sync"], &["models", "--refresh"]] {
        check(&run(&host, arguments, "").await, 0, &said);
    }
    check(&run(&host, &["models", "chameleon"], "").await, 1, &["422"]);
    host.stop().await;
}

#[tokio::test]
async fn a_host_that_cannot_serve_is_not_healthy() {
    let host = Host::start(HostOptions::default()).await;
    check(&run(&host, &["health"], "").await, 1, &["no_providers"]);
    check(&run(&host, &["chat", "hi"], "").await, 1, &["503", "No providers available"]);
    check(&run(&host, &["demo"], "").await, 1, &["the host has no providers"]);
    host.stop().await;
}

#[tokio::test]
async fn a_chat_is_one_answer_from_an_argument_or_stdin() {
    let host = mock_host().await;
    let said = check(&run(&host, &["chat", "hello", "there"], "").await, 0, &[]);
    assert_eq!(said, "You said: hello there\n");
    let said = check(&run(&host, &["chat", "-m", "mock/mock-2"], "from a file\n").await, 0, &[]);
    assert_eq!(said, "You said: from a file\n");
    check(
        &run(&host, &["chat", "--provider", "mock", "mock:cut one two"], "").await,
        1,
        &["You ", "was cut"],
    );
    check(&run(&host, &["chat", "--provider", "nobody", "hi"], "").await, 1, &["404", "Unknown provider"]);
    check(&run(&host, &["chat"], "").await, 64, &["the text is empty"]);
    host.stop().await;
}

#[tokio::test]
async fn the_demo_shows_a_swap() {
    let host = mock_host().await;
    let output = run(&host, &["demo"], "").await;
    let expected = [
        "an answer of 30 words begins on generation 1: word1...",
        "generation 1 → 2",
        "a new request runs on generation 2",
        "the first one still runs on generation 1",
        "the first answer is whole",
        "generation 1 serves nobody any more, and is gone",
        "all of it worked",
    ];
    check(&output, 0, &expected);
    host.stop().await;

    let options = HostOptions::default().custom(&libraries::chameleon()).provider("chameleon", json!({}));
    let host = Host::start(options).await;
    check(
        &run(&host, &["demo"], "").await,
        0,
        &["green green", "skipped: it needs the mock", "all of it worked"],
    );
    host.stop().await;
}

#[tokio::test]
async fn a_plugin_is_switched_off_and_on() {
    let host = mock_host().await;
    check(&run(&host, &["plugin", "disable", "mock"], "").await, 0, &["removed", "mock"]);
    assert_eq!(host.ask("mock", "hi").await.status, 503);
    check(&run(&host, &["plugin", "enable", "mock"], "").await, 0, &["loaded", "mock"]);
    assert_eq!(host.ask("mock", "hi").await.status, 200);
    check(&run(&host, &["plugin", "enable", "mokc"], "").await, 1, &["404", "Unknown plugin"]);
    host.stop().await;
}

#[tokio::test]
async fn a_good_library_is_installed_and_a_bad_one_is_not() {
    let host = Host::start(HostOptions::default().provider("chameleon", json!({}))).await;
    let outside = tempfile::tempdir().unwrap();
    let library =
        |library: Library| library.install(outside.path(), "libchameleon.so").to_str().unwrap().to_owned();
    let install = async |file: &str, flags: &[&str]| {
        run(&host, &[&["plugin", "install", file], flags].concat(), "").await
    };
    let new = libraries::chameleon().colour("red").version("1.0.1");
    let file = library(new.clone());
    check(&install(&file, &[]).await, 0, &["installed as", "loaded     chameleon"]);
    assert!(host.ask("chameleon", "hi").await.response().contains("red"));
    check(&install(&file, &[]).await, 0, &["installed already"]);

    let file = library(libraries::chameleon().behaviour("create_panic").version("1.0.2"));
    check(&install(&file, &[]).await, 1, &["✗ probe", "it was not installed"]);
    assert_eq!(std::fs::read(host.custom().join("libchameleon.so")).unwrap(), new.bytes());

    let file = library(libraries::chameleon().colour("blue").version("1.0.0"));
    check(&install(&file, &[]).await, 64, &["is version 1.0.1, newer than 1.0.0", "--force"]);
    check(&install(&file, &["--force"]).await, 0, &["reloaded   chameleon"]);
    assert!(host.ask("chameleon", "hi").await.response().contains("blue"));
    let file = library(libraries::mock());
    check(&install(&file, &[]).await, 64, &["is another plugin, \"chameleon\""]);
    check(&install("no.so", &[]).await, 64, &["no.so is no file"]);

    let elsewhere = outside.path().to_str().unwrap();
    let mock = libraries::mock().install(outside.path(), "libmock.so");
    let wrong = ["--dir", elsewhere];
    check(&install(mock.to_str().unwrap(), &wrong).await, 1, &["does not look there", "--dir"]);
    let nobody = ["--dir", elsewhere, "--to", "builtin", "--url", "http://127.0.0.1:1"];
    check(&install(&file, &nobody).await, 0, &["no host runs at http://127.0.0.1:1"]);
    assert!(outside.path().join("plugins/builtin/libchameleon.so").is_file());
    host.stop().await;
}

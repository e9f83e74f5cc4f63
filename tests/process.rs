//! The host as a process: what signals do, who may use its data directory, and what the command line says.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::harness::{Host, HostOptions, Library, Streaming, Upstream, eventually, libraries};

/// Runs the binary to its end, in this folder, which is also where it puts what is temporary.
fn run(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_patchbay"))
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("TMPDIR", dir)
        .output()
        .unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, expected: &[&str]) {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    for expected in expected {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
}

async fn gated_host(upstream: &Upstream) -> Host {
    let config = json!({ "base_url": upstream.base_url(), "model": "gated" });
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    Host::start(options.entry("up", json!({ "plugin": "openai-compatible", "config": config }))).await
}

#[tokio::test]
async fn a_hang_up_reloads() {
    let options = HostOptions::default().custom(&libraries::chameleon()).provider("chameleon", json!({}));
    let host = Host::start(options).await;
    host.install(&libraries::chameleon().colour("red"), "libchameleon.so");
    host.signal(libc::SIGHUP);
    eventually("the new colour", async || {
        host.ask("chameleon", "hi").await.response().contains("red").then_some(())
    })
    .await;
    host.stop().await;
}

/// Each stream takes two, and most shells allow 1,024.
#[tokio::test]
async fn the_limit_of_open_files_is_raised_as_far_as_it_can_be() {
    let host = Host::start(HostOptions::default().open_files(200)).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.process_id())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let [soft, hard] = *line.split_whitespace().take(2).collect::<Vec<_>>() else { panic!("{limits}") };
    assert_eq!(soft, hard);
    assert_ne!(soft, "200");
    host.stop().await;
}

/// A host that was asked to end after the first of three pieces.
async fn asked_to_end_mid_stream(upstream: &Upstream) -> (Host, Streaming) {
    let host = gated_host(upstream).await;
    upstream.release(1);
    let mut stream = host.stream("up", "hi").await;
    assert_eq!(stream.next().await.unwrap().as_deref(), Some("a"));
    host.signal(libc::SIGTERM);
    (host, stream)
}

#[tokio::test]
async fn a_stream_finishes_before_the_host_ends() {
    let upstream = Upstream::start().await;
    let (host, stream) = asked_to_end_mid_stream(&upstream).await;
    let address = host.address().trim_start_matches("http://").to_owned();
    eventually("the door to close", async || {
        tokio::net::TcpStream::connect(&address).await.is_err().then_some(())
    })
    .await;
    upstream.release(10);
    assert_eq!(stream.rest().await.unwrap(), "a b c");
    host.ends_with(0).await;
}

/// There the connection outlives its requests, and is told to end while they go on.
#[tokio::test]
async fn a_stream_over_http2_finishes_too() {
    let upstream = Upstream::start().await;
    let host = gated_host(&upstream).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let body = r#"{"model":"up/gated","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let path = "/v1/chat/completions";
    let request = client.post(format!("{}{path}", host.address()));
    upstream.release(1);
    let begun = host.begin(path, request.header("content-type", "application/json").body(body)).await;
    let mut stream = begun.unwrap();
    assert!(stream.next().await.unwrap().is_some_and(|first| first.contains(r#""content":"a""#)));
    host.signal(libc::SIGTERM);
    eventually("the drain to begin", async || host.log().contains("draining").then_some(())).await;
    upstream.release(10);
    assert!(stream.rest().await.unwrap().ends_with("data: [DONE]\n\n"));
    host.ends_with(0).await;
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let upstream = Upstream::start().await;
    let (host, stream) = asked_to_end_mid_stream(&upstream).await;
    eventually("the drain to begin", async || host.log().contains("draining").then_some(())).await;
    host.signal(libc::SIGTERM);
    host.ends_with(143).await;
    stream.rest().await.expect_err("a stream that was cut does not end cleanly");
}

/// Whoever may write to it may put libraries of his own in the place of the copies.
#[tokio::test]
async fn a_data_directory_of_everybody_is_not_used() {
    let options = || HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    let shared = tempfile::tempdir().unwrap();
    std::fs::set_permissions(shared.path(), Permissions::from_mode(0o777)).unwrap();
    let (status, said) = Host::refuses(options().env("PATCHBAY_DATA_DIR", shared.path())).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("can be written by other users (mode 0777)"), "{said}");

    let host = Host::start(options()).await;
    host.install(&libraries::mock().version("9.0.0"), "libmock.so");
    std::fs::set_permissions(host.dir().join(".patchbay"), Permissions::from_mode(0o770)).unwrap();
    let report = host.reload().await;
    let failed = &report["plugins"]["failed"][0];
    assert_eq!(
        (&failed["code"], &failed["kept_previous"]),
        (&json!("cache_writable_by_others"), &json!(true)),
        "{report}"
    );
    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    host.stop().await;
}

#[tokio::test]
async fn two_hosts_do_not_share_a_data_directory() {
    let host = Host::start(HostOptions::default()).await;
    let second = run(host.dir(), &["serve", "--port", "0"]);
    check(
        &second,
        1,
        &["is in use by another host: stop that one, or set PATCHBAY_DATA_DIR to another folder"],
    );
    host.stop().await;
}

#[tokio::test]
async fn what_a_killed_host_left_is_cleaned_up() {
    let dir = tempfile::tempdir().unwrap();
    let copies = dir.path().join(".patchbay/plugins/chameleon");
    std::fs::create_dir_all(&copies).unwrap();
    for folder in [dir.path().join(".patchbay"), dir.path().join(".patchbay/plugins"), copies.clone()] {
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
    std::fs::write(copies.join("7-0123456789abcdef.so"), "left").unwrap();
    let options = HostOptions::default().custom(&libraries::chameleon()).provider("chameleon", json!({}));
    let data = dir.path().join(".patchbay");
    let host = Host::start(options.env("PATCHBAY_DATA_DIR", data.to_str().unwrap())).await;
    let left: Vec<_> = std::fs::read_dir(&copies).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].to_str().unwrap().starts_with("1-"), "{left:?}");
    host.stop().await;
    assert_eq!(
        std::fs::read_dir(data.join("plugins"))
            .unwrap()
            .flat_map(|dir| std::fs::read_dir(dir.unwrap().path()).unwrap())
            .count(),
        0
    );
}

#[test]
fn a_configuration_that_cannot_be_used_is_said_and_ends_with_78() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("plugin_config.json"), r#"{"sever": {}}"#).unwrap();
    check(
        &run(dir.path(), &["serve", "--port", "0"]),
        78,
        &["plugin_config.json", "unknown key \"sever\": did you mean \"server\"?"],
    );
    check(&run(dir.path(), &["serve", "--config", "other.json"]), 78, &["other.json: cannot be read"]);
    std::fs::write(dir.path().join("plugin_config.json"), "{}").unwrap();
    check(
        &run(dir.path(), &["serve", "--host", "0.0.0.0", "--port", "0"]),
        78,
        &["there is no admin token", "ADMIN_TOKEN="],
    );
    check(&run(dir.path(), &["serve", "--no-such-option"]), 2, &["--no-such-option"]);
}

#[test]
fn a_library_is_checked_without_a_host() {
    let dir = tempfile::tempdir().unwrap();
    let install =
        |library: &Library, name: &str| library.install(dir.path(), name).to_str().unwrap().to_owned();
    let good = install(&libraries::mock(), "libmock.so");
    check(
        &run(dir.path(), &["plugin", "check", &good]),
        0,
        &["✓ file", "✓ read", "✓ metadata", "✓ requires", "✓ probe"],
    );
    let half = libraries::mock();
    let length = half.bytes().len() / 2;
    let half = install(&half.truncate(length), "libhalf.so");
    check(
        &run(dir.path(), &["plugin", "check", &half]),
        1,
        &["✓ file", "✗ read", "[file_truncated]", "hint: copy it again"],
    );
    let panics = install(&libraries::chameleon().behaviour("create_panic"), "libpanics.so");
    check(
        &run(dir.path(), &["plugin", "check", &panics]),
        1,
        &["✓ requires", "✗ probe: it panicked while it was created", "[panicked]"],
    );
    check(&run(dir.path(), &["plugin", "check", "no.so"]), 64, &["no.so is not there"]);
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "a check leaves nothing behind: {left:?}");
}

#[tokio::test]
async fn a_reload_from_the_command_line_says_what_changed() {
    let options = HostOptions::default().custom(&libraries::chameleon()).provider("chameleon", json!({}));
    let host = Host::start(options).await;
    host.install(&libraries::chameleon().colour("red").version("1.0.1"), "libchameleon.so");
    let reload = |flags: &'static [&'static str]| {
        let (dir, address) = (host.dir().to_owned(), host.address().to_owned());
        async move {
            let run = move || run(&dir, &[&["reload", "--url", &address], flags].concat());
            tokio::task::spawn_blocking(run).await.unwrap()
        }
    };
    check(&reload(&["--dry-run"]).await, 0, &["chameleon"]);
    assert!(host.ask("chameleon", "hi").await.response().contains("green"), "a dry run changes nothing");
    check(&reload(&[]).await, 0, &["chameleon"]);
    assert!(host.ask("chameleon", "hi").await.response().contains("red"));
    host.install(&libraries::chameleon().behaviour("create_panic"), "libchameleon.so");
    check(&reload(&[]).await, 1, &["it panicked while it was created"]);
    host.stop().await;
}

#[test]
fn the_configuration_is_checked_and_shown_without_a_host() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir_all(dir.path().join("plugins/custom")).unwrap();
    libraries::mock().install(&dir.path().join("plugins/custom"), "libmock.so");
    write(
        "plugin_config.json",
        r#"{"sever": {}, "plugins": {"mock": {"priority": "high", "config": {"model": "${NO_SUCH}"}}}}"#,
    );
    let expected = ["/sever: unknown key", "/plugins/mock/priority", "NO_SUCH"];
    check(&run(dir.path(), &["config", "check"]), 78, &expected);
    check(&run(dir.path(), &["config", "show"]), 78, &expected);

    write(
        "plugin_config.json",
        r#"{"plugins": {"mock": {"config": {"api_key": "${KEY}", "reply": "hello"}}}}"#,
    );
    write(".env", "KEY=sk-0123456789abcdef\nPORT=8080\n");
    check(&run(dir.path(), &["config", "check"]), 0, &["nothing to mend, 1 providers"]);
    std::fs::create_dir(dir.path().join(".patchbay")).unwrap();
    write(
        ".patchbay/providers.json",
        r#"{"providers": {"gone": {"version": 1, "entry": null}, "x": {"version": 1, "entry": {"plugin": "mokc"}}}}"#,
    );
    let remarks = [
        "the provider \"x\" needs the plugin \"mokc\", and no library here holds it",
        "the provider \"gone\" was removed while a host ran",
    ];
    check(&run(dir.path(), &["config", "check"]), 0, &remarks);
    let shown = run(dir.path(), &["config", "show"]);
    check(
        &shown,
        0,
        &["/server/port", "8080", ".env line 2: PORT", "/plugins/mock/config/reply", "sk-***cdef"],
    );
    check(&shown, 0, &["/plugins/mock/priority", "999", "default of the plugin mock"]);
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("0123456789"), "{shown:?}");
    let json = run(dir.path(), &["config", "show", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let reply =
        json["values"].as_array().unwrap().iter().find(|it| it["pointer"] == "/plugins/mock/config/reply");
    assert_eq!(reply.unwrap()["origin"]["layer"], "file");
    let schema = run(dir.path(), &["config", "schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(schema["properties"]["plugins"].is_object(), "{schema}");
}

//! What listeners are told while a host runs: reloads, how providers do, what becomes of plugins.

use std::process::Stdio;

use axum::Router;
use axum::routing::{get, post};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt as _;

use crate::harness::{Host, HostOptions, Mortal, Streaming, eventually, libraries};

/// A client that listens.
struct Listener {
    stream: Streaming,
    /// How much of what came was looked at.
    read: usize,
    /// Every event, in order.
    heard: Vec<Value>,
}

impl Listener {
    async fn start(host: &Host, query: &str, after: Option<u64>) -> Self {
        let path = format!("/api/events{query}");
        let mut request = host.request(Method::GET, &path);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let stream = host.begin(&path, request).await.unwrap_or_else(|answer| panic!("{}", answer.body));
        assert_eq!(stream.headers["content-type"], "text/event-stream");
        Self { stream, read: 0, heard: Vec::new() }
    }

    /// Listens until an event has these members.
    async fn until(&mut self, wanted: Value) -> Value {
        loop {
            let seen = self.heard.len();
            let piece = self.stream.next().await.unwrap_or_else(|cut| panic!("{cut}: {wanted}"));
            assert!(piece.is_some(), "it ended without {wanted}: {}", self.stream.text);
            self.take();
            if let Some(found) = self.heard[seen..].iter().find(|event| has(event, &wanted)) {
                return found.clone();
            }
        }
    }

    /// The event with these members, which may have come already.
    async fn heard(&mut self, wanted: Value) -> Value {
        match self.heard.iter().find(|event| has(event, &wanted)) {
            Some(found) => found.clone(),
            None => self.until(wanted).await,
        }
    }

    /// Takes the events out of what has come.
    fn take(&mut self) {
        while let Some((event, _)) = self.stream.text[self.read..].split_once("\n\n") {
            self.read += event.len() + 2;
            let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            let Some(data) = line("data: ") else { continue };
            let body: Value = serde_json::from_str(data).unwrap();
            assert_eq!(line("event: "), body["type"].as_str(), "{event}");
            match body["type"].as_str() {
                // What stands for others is none itself.
                Some("missed") => assert_eq!(line("id: "), None, "{event}"),
                // And the figures say from where to go on.
                Some("stats") => assert!(line("id: ").unwrap().parse::<u64>().is_ok(), "{event}"),
                _ => assert_eq!(line("id: ").unwrap(), body["id"].to_string(), "{event}"),
            }
            self.heard.push(body);
        }
    }

    /// The ids must be one after the other, where nothing was left out.
    fn ids(&self) -> Vec<u64> {
        self.heard.iter().map(|event| event["id"].as_u64().unwrap()).collect()
    }
}

#[tokio::test]
async fn the_figures_come_to_whoever_asks_for_them() {
    let host =
        Host::start(HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}))).await;
    let mut figures = Listener::start(&host, "?types=stats", None).await;
    let mut events = Listener::start(&host, "?types=reload", None).await;
    let first = figures.until(json!({"type": "stats"})).await;
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"), "{first}");
    assert_eq!(first["plugins"], json!([]), "{first}");
    let provider = &first["providers"][0];
    assert_eq!((&provider["name"], &provider["requests_total"]), (&json!("mock"), &json!(0)), "{first}");
    for name in ["status", "breaker", "in_flight", "errors_total", "latency_ms"] {
        assert!(provider.get(name).is_some(), "{name}: {first}");
    }
    assert_eq!(host.ask("mock", "hello").await.status, 200);
    while figures.until(json!({"type": "stats"})).await["providers"][0]["requests_total"] != 1 {}
    // Who does not ask is told nothing of them, and who asks for them alone is told nothing else.
    host.reload().await;
    while events.until(json!({"type": "reload"})).await["reason"] != "api" {}
    assert!(events.heard.iter().all(|event| event["type"] == "reload"));
    figures.until(json!({"type": "stats"})).await;
    assert!(figures.heard.iter().all(|event| event["type"] == "stats"));
    host.stop().await;
}

fn has(event: &Value, wanted: &Value) -> bool {
    wanted.as_object().unwrap().iter().all(|(name, value)| event[name] == *value)
}

/// Those of one kind, as they came.
fn kinds<'e>(events: &'e [Value], about: &str) -> Vec<&'e str> {
    let of = events.iter().filter(|event| event["plugin"] == about || event["provider"] == about);
    of.map(|event| event["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_reload_with_a_broken_plugin_is_told_and_what_was_replaced_ends() {
    let red = libraries::chameleon().colour("red");
    let options = HostOptions::default().custom(&libraries::mock()).custom(&red);
    let options = options.provider("mock", json!({})).provider("chameleon", json!({}));
    let host = Host::start(options).await;
    let mut listener = Listener::start(&host, "", None).await;
    let first = listener.until(json!({"type": "reload"})).await;
    assert_eq!(
        [&first["reason"], &first["status"], &first["plugins"]["added"], &first["providers"]["added"]],
        [&json!("start"), &json!("ok"), &json!(2), &json!(2)],
        "{first}"
    );

    host.install(&libraries::mock().truncate(10_000), "libmock.so");
    host.install(&libraries::chameleon().colour("green"), &red.file_name());
    host.reload().await;
    let refused = listener.until(json!({"type": "plugin", "kind": "refused"})).await;
    assert!(refused["file"].as_str().unwrap().ends_with("libmock.so"), "{refused}");
    assert_eq!(refused["phase"], "discovery", "{refused}");
    let second = listener.until(json!({"type": "reload"})).await;
    assert_eq!(
        [&second["reason"], &second["status"], &second["plugins"]["changed"], &second["plugins"]["failed"]],
        [&json!("api"), &json!("partial"), &json!(1), &json!(1)],
        "{second}"
    );
    assert_eq!(second["failed"][0]["code"], refused["code"], "{second}");
    assert!(second["duration_ms"].as_f64().unwrap() > 0.0);
    // What nobody uses any more is gone before the reload that replaced it is told of, or after.
    let ended = listener.heard(json!({"type": "plugin", "plugin": "chameleon", "kind": "unloaded"})).await;
    assert_eq!(ended["generation"], 1);
    let kinds = kinds(&listener.heard, "chameleon");
    assert_eq!(kinds[..2], ["loaded", "draining"]);
    assert!(kinds[2..] == ["loaded", "unloaded"] || kinds[2..] == ["unloaded", "loaded"], "{kinds:?}");

    // A configuration that cannot be read, and nobody's secret with it.
    std::fs::write(host.dir().join("plugin_config.json"), r#"{"plugins": {"mock": {"enabled": 7}}}"#)
        .unwrap();
    host.reload().await;
    let config = listener.until(json!({"type": "config"})).await;
    assert_eq!((&config["kind"], &config["problems"]), (&json!("refused"), &json!(1)), "{config}");
    assert_eq!(listener.until(json!({"type": "reload"})).await["status"], "failed");
    assert!(listener.ids().windows(2).all(|pair| pair[0] + 1 == pair[1]), "{:?}", listener.ids());
    host.stop().await;
}

#[tokio::test]
async fn a_provider_that_fails_and_comes_back_is_told() {
    let answer = json!({"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices":
        [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]});
    let router = Router::new()
        .route("/v1/chat/completions", post(async move || axum::Json(answer)))
        .route("/v1/models", get(async || axum::Json(json!({"object": "list", "data": []}))));
    let mut upstream = Mortal::start(router);
    let config =
        json!({"base_url": format!("http://{}/v1", upstream.address()), "model": "m", "retry_attempts": 0});
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.entry("flaky", json!({"plugin": "openai-compatible", "config": config}));
    let options = options.section("health", json!({"enabled": false}));
    let options = options.section("routing", json!({"breaker": {"failures": 2, "open_for": 0.2}}));
    let host = Host::start(options).await;
    let mut listener = Listener::start(&host, "?types=provider", None).await;
    assert_eq!(host.ask("flaky", "hello").await.status, 200);
    let condition = async |listener: &mut Listener, from: &str, to: &str| {
        listener.until(json!({"kind": "condition", "provider": "flaky", "from": from, "to": to})).await
    };
    condition(&mut listener, "unknown", "available").await;
    // What is as it was is not told again.
    assert_eq!(host.ask("flaky", "hello").await.status, 200);

    upstream.kill().await;
    assert_eq!(host.ask("flaky", "hello").await.status, 502);
    let failed = condition(&mut listener, "available", "unavailable").await;
    assert!(failed["reason"].as_str().unwrap().contains("connection"), "{failed}");
    assert_eq!(host.ask("flaky", "hello").await.status, 502);
    listener.until(json!({"kind": "breaker_opened", "provider": "flaky"})).await;

    upstream.revive();
    eventually("the provider to be tried again", async || {
        (host.ask("flaky", "hello").await.status == 200).then_some(())
    })
    .await;
    listener.until(json!({"kind": "breaker_closed"})).await;
    condition(&mut listener, "unavailable", "available").await;
    let told = kinds(&listener.heard, "flaky");
    assert_eq!(told, ["condition", "condition", "breaker_opened", "breaker_closed", "condition"]);
    host.stop().await;
}

#[tokio::test]
async fn a_quarantine_is_told_once_and_without_the_plugins_words() {
    let bad = libraries::chameleon().behaviour("asked_call_panic");
    let options = HostOptions::default().custom(&bad).provider("chameleon", json!({}));
    let options = options.section("loader", json!({"panic_limit": 2, "panic_window": 3600}));
    let host = Host::start(options).await;
    let mut listener = Listener::start(&host, "?types=plugin", None).await;
    for _ in 0..2 {
        assert_eq!(host.ask("chameleon", "misbehave").await.status, 502);
    }
    let told = listener.until(json!({"kind": "quarantined"})).await;
    assert_eq!((&told["plugin"], &told["code"]), (&json!("chameleon"), &json!("keeps_panicking")), "{told}");
    assert!(!told.to_string().contains("the chameleon was made to panic"), "{told}");
    host.stop().await;
}

#[tokio::test]
async fn who_comes_back_misses_nothing_and_hears_nothing_twice() {
    let host = Host::start(HostOptions::default()).await;
    let mut reloads = 1;
    let (mut heard, mut last) = (Vec::new(), None);
    for round in 0..5 {
        // While nobody listens, too.
        for _ in 0..round {
            host.reload().await;
            reloads += 1;
        }
        let mut listener = Listener::start(&host, "?types=reload", last).await;
        host.reload().await;
        reloads += 1;
        while heard.len() + listener.heard.len() < reloads {
            listener.until(json!({"type": "reload"})).await;
        }
        heard.extend(listener.ids());
        last = heard.last().copied();
    }
    assert_eq!(heard.len(), reloads);
    assert!(heard.is_sorted_by(|one, next| one < next), "{heard:?}");
    host.stop().await;
}

#[tokio::test]
async fn listening_ends_with_the_host_and_goes_on_with_the_next() {
    let host = Host::start(HostOptions::default()).await;
    let mut listener = Listener::start(&host, "", None).await;
    let first = listener.until(json!({"type": "reload"})).await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_patchbay"));
    command.args(["events", "--json", "--types", "reload,audit", "--url", host.address()]);
    let mut follows = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(follows.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().expect("what has happened before");
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), first);
    // A host that waited for its listeners would be killed, and fail here.
    let (_, rest, status) = tokio::join!(host.stop(), listener.stream.rest(), follows.wait());
    rest.expect("a clean end");
    assert!(status.unwrap().success(), "whoever follows ends with the host");

    let host = Host::start(HostOptions::default()).await;
    let mut listener = Listener::start(&host, "", first["id"].as_u64()).await;
    let again = listener.until(json!({"type": "reload"})).await;
    assert_eq!(listener.heard[0], json!({"type": "missed", "count": null}), "nobody knows what came between");
    assert!(again["id"].as_u64() > first["id"].as_u64(), "{again} came after {first}");
    host.stop().await;
}

#[tokio::test]
async fn a_key_that_is_revoked_hears_nothing_more() {
    let host = Host::start(HostOptions::default()).await;
    let made = host.post_json("/api/keys", &json!({"name": "screen", "scopes": ["read"]})).await.json();
    let path = "/api/events";
    let request = host.request(Method::GET, path).bearer_auth(made["key"].as_str().unwrap());
    let mut stream = host.begin(path, request).await.unwrap_or_else(|answer| panic!("{}", answer.body));
    while !stream.text.contains("POST /api/keys") {
        assert!(stream.next().await.unwrap().is_some(), "{}", stream.text);
    }
    let path = format!("/api/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(host.answer(&path, host.request(Method::DELETE, &path)).await.status, 204);
    let heard = stream.rest().await.expect("a clean end");
    assert!(!heard.contains("DELETE /api/keys"), "{heard}");
    host.stop().await;
}

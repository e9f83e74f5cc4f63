//! A line for each request, and how much is logged, changed while the host runs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Host, HostOptions, Upstream, eventually, libraries};

const TOKEN: &str = "an-admin-token-for-this-test-4711";

fn options(upstream: &Upstream) -> HostOptions {
    let config = json!({
        "base_url": upstream.base_url(), "models": ["m"], "retry_attempts": 0,
        "pricing": { "m": { "prompt": 1, "completion": 1 } },
    });
    HostOptions::default()
        .builtin(&libraries::openai_compatible())
        .section("health", json!({ "enabled": false }))
        .entry("up", json!({ "plugin": "openai-compatible", "config": config }))
        .env("LOG_FORMAT", "json")
}

/// The lines about requests so far.
fn lines(host: &Host) -> Vec<Value> {
    let log = host.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "patchbay::access").collect()
}

async fn line(host: &Host, request_id: &str) -> Value {
    let mine = |line: &Value| line["request_id"] == request_id;
    eventually(request_id, async || lines(host).into_iter().find(mine)).await
}

async fn ask(host: &Host, path: &str, id: &str, body: Option<&Value>) -> Answer {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let mut request = host.request(method, path).header("x-request-id", id);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    host.answer(path.split('?').next().unwrap(), request).await
}

async fn put(host: &Host, wanted: Value) -> Answer {
    let request = host.request(Method::PUT, "/api/log").header("content-type", "application/json");
    host.answer("/api/log", request.body(wanted.to_string())).await
}

#[tokio::test]
async fn each_request_has_a_line_that_tells_what_came_of_it() {
    let upstream = Upstream::start().await;
    // However little else is logged.
    let options =
        options(&upstream).section("telemetry", json!({ "access_log": true })).env("LOG_LEVEL", "error");
    let host = Host::start(options.secret("a-secret-in-a-query").secret("a-private-question")).await;
    let chat = json!({ "model": "m", "messages": [{ "role": "user", "content": "a-private-question" }] });
    ask(&host, "/v1/chat/completions", "mine-1", Some(&chat)).await;
    let told = line(&host, "mine-1").await;
    for (name, value) in [
        ("method", json!("POST")),
        ("path", json!("/v1/chat/completions")),
        ("status", json!(200)),
        ("outcome", json!("answered")),
        ("client", json!("127.0.0.1")),
        ("provider", json!("up")),
        ("model", json!("m")),
        ("attempts", json!(1)),
        ("level", json!("INFO")),
    ] {
        assert_eq!(told[name], value, "{name} {told:#}");
    }
    for name in ["prompt_tokens", "completion_tokens", "ms"] {
        assert!(told[name].is_u64(), "{name} {told:#}");
    }
    assert!(told["cost_usd"].is_string(), "{told:#}");
    assert!(told.get("first_token_ms").is_none() && told.get("trace_id").is_none(), "{told:#}");

    let streamed = json!({ "model": "m", "stream": true, "messages": chat["messages"] });
    ask(&host, "/v1/chat/completions", "mine-2", Some(&streamed)).await;
    assert!(line(&host, "mine-2").await["first_token_ms"].is_u64());

    // All of them, also those that were refused or meant nothing.
    ask(&host, "/livez?key=a-secret-in-a-query", "mine-3", None).await;
    let told = line(&host, "mine-3").await;
    assert_eq!((&told["path"], &told["status"]), (&json!("/livez"), &json!(200)), "{told:#}");
    ask(&host, "/nothing/there", "mine-4", None).await;
    let told = line(&host, "mine-4").await;
    assert_eq!(
        (&told["status"], &told["outcome"], &told["code"]),
        (&json!(404), &json!("failed"), &json!("not_found"))
    );
    let foreign = host.request(Method::POST, "/api/chat").header("x-request-id", "mine-5");
    let foreign = foreign.header("origin", "http://evil.example").body("");
    host.answer("/api/chat", foreign).await;
    assert_eq!(line(&host, "mine-5").await["status"], 403);
    let long = format!("/{}", "x".repeat(2000));
    ask(&host, &long, "mine-6", None).await;
    assert_eq!(line(&host, "mine-6").await["path"].as_str().unwrap().len(), 256);
    host.stop().await;
}

#[tokio::test]
async fn the_level_is_changed_while_it_runs() {
    let upstream = Upstream::start().await;
    let host = Host::start(options(&upstream).env("LOG_LEVEL", "warn")).await;
    let was = host.get("/api/log").await.json();
    assert_eq!(
        (&was["level"], &was["access_log"], &was["until"]),
        (&json!("warn"), &json!(false), &json!(null))
    );
    host.reload().await;
    ask(&host, "/livez", "mine-1", None).await;
    assert!(!host.log().contains("reloaded") && lines(&host).is_empty(), "{}", host.log());

    let now = put(&host, json!({ "level": "info,patchbay::access=info", "access_log": true })).await;
    assert_eq!((now.status, &now.json()["configured"]["level"]), (200, &json!("warn")));
    host.logs("log level is to change", "info,patchbay::access=info").await;
    ask(&host, "/livez", "mine-2", None).await;
    line(&host, "mine-2").await;

    // For some time.
    let now = put(&host, json!({ "access_log": false, "for": "1s" })).await.json();
    assert_eq!((&now["access_log"], &now["then"]["access_log"]), (&json!(false), &json!(true)));
    let is_back = async || host.get("/api/log").await.json()["until"].is_null().then_some(());
    eventually("what held before to come back", is_back).await;
    assert_eq!(host.get("/api/log").await.json()["access_log"], true);

    for (wanted, part) in [
        (json!({ "level": "info,loud" }), "\"loud\" is not a level"),
        (json!({ "level": "info,patchbay=loud" }), "\"patchbay=loud\" cannot be read"),
        (json!({ "level": "info", "for": "soon" }), "\"soon\" is not a time"),
        (json!({ "level": "info", "for": "0s" }), "\"0s\" is not a time"),
        (json!({ "lvl": "info" }), "unknown field `lvl`"),
        (json!({}), "Say what to change"),
    ] {
        let (status, code, details) = put(&host, wanted).await.error();
        assert_eq!((status, code.as_str()), (400, "invalid_log_level"), "{details}");
        assert!(details.contains(part), "{details}");
    }
    assert_eq!(host.get("/api/log").await.json()["level"], "info,patchbay::access=info");
    host.stop().await;
}

#[tokio::test]
async fn only_an_operator_changes_it() {
    let upstream = Upstream::start().await;
    let host = Host::start(options(&upstream).env("ADMIN_TOKEN", TOKEN).secret(TOKEN)).await;
    assert_eq!(put(&host, json!({ "level": "off" })).await.status, 401);
    assert_eq!(host.get("/api/log").await.status, 401);
    let admin = |method| host.request(method, "/api/log").header("authorization", format!("Bearer {TOKEN}"));
    assert_eq!(host.answer("/api/log", admin(Method::GET)).await.status, 200);
    let change = admin(Method::PUT).header("content-type", "application/json").body(r#"{"level":"info"}"#);
    assert_eq!(host.answer("/api/log", change).await.status, 200);
    host.stop().await;
}

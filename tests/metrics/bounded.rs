//! Who may read it, and that nobody can make it long.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::scrape::{parsed, scrape};
use super::{CHAT, question};
use crate::harness::{Host, HostOptions, Upstream, libraries};

const TOKEN: &str = "a-token-for-this-test-0123456789";

/// As many models are told apart.
const MODELS: usize = 5;

/// A host whose provider serves whatever model it is asked for, and one that says which.
async fn start(upstream: &Upstream) -> Host {
    let entry = |config: Value| json!({ "plugin": "openai-compatible", "config": config });
    let url = upstream.base_url();
    let options = HostOptions::default()
        .builtin(&libraries::openai_compatible())
        .section("health", json!({ "enabled": false }))
        .section("telemetry", json!({ "metrics": { "max_models": MODELS, "max_keys": 2 } }))
        .entry("any", entry(json!({ "base_url": url })))
        .entry("one", entry(json!({ "base_url": url, "models": ["m"] })));
    // Ten thousand requests are no lines of the log.
    Host::start(options.env("ADMIN_TOKEN", TOKEN).env("LOG_LEVEL", "warn").secret(TOKEN)).await
}

async fn as_bearer(
    host: &Host,
    method: Method,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> (u16, String) {
    let mut request = host.request(method, path).header("authorization", format!("Bearer {token}"));
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = host.answer(path, request).await;
    (answer.status, answer.body)
}

async fn scraped(host: &Host) -> String {
    let (status, text) = as_bearer(host, Method::GET, "/metrics", TOKEN, None).await;
    assert_eq!(status, 200, "{text}");
    text
}

/// The key itself, and its id.
async fn made(host: &Host, wanted: Value) -> (String, String) {
    let (status, body) = as_bearer(host, Method::POST, "/api/keys", TOKEN, Some(&wanted)).await;
    assert_eq!(status, 201, "{body}");
    let made: Value = serde_json::from_str(&body).unwrap();
    (made["key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn only_whoever_may_look_is_told() {
    let upstream = Upstream::start().await;
    let host = start(&upstream).await;
    let status = async |token: &str| as_bearer(&host, Method::GET, "/metrics", token, None).await.0;
    assert_eq!(host.get("/metrics").await.status, 401);
    assert_eq!((status(TOKEN).await, status("pb-guess").await), (200, 401));
    let (reads, _) = made(&host, json!({ "name": "prometheus", "scopes": ["read"] })).await;
    let (chats, _) = made(&host, json!({ "name": "team" })).await;
    assert_eq!((status(&reads).await, status(&chats).await), (200, 403));
    host.stop().await;

    // Where nobody needs a token, whoever is on this machine may look.
    let host = Host::start(HostOptions::default()).await;
    scrape(&host).await;
    host.stop().await;
}

#[tokio::test]
async fn ten_thousand_names_that_nobody_knows_make_no_series() {
    let upstream = Upstream::start().await;
    let host = start(&upstream).await;
    let mut keys = Vec::new();
    for name in ["a", "b", "c"] {
        keys.push(made(&host, json!({ "name": name })).await);
    }
    // Each number is a request of each kind: a model that a provider serves whatever it is, one that nobody serves,
    // and a key that was never given out.
    let ask = async |number: usize| {
        let key = &keys[number % keys.len()].0;
        let served = question(&format!("any/bogus-{number}"));
        assert_eq!(as_bearer(&host, Method::POST, CHAT, key, Some(&served)).await.0, 200);
        let unknown = question(&format!("nobody-{number}/bogus-{number}"));
        assert!(matches!(as_bearer(&host, Method::POST, CHAT, key, Some(&unknown)).await.0, 200 | 404));
        let key = format!("pb-bogus-{number}");
        assert_eq!(as_bearer(&host, Method::POST, CHAT, &key, Some(&served)).await.0, 401);
    };
    let ask_all = async |from: usize, to: usize| {
        let lanes = (0..8).map(|lane| async move {
            for number in (from + lane..to).step_by(8) {
                ask(number).await;
            }
        });
        join_all(lanes).await;
    };
    ask_all(0, 100).await;
    let before = scraped(&host).await;
    ask_all(100, 10_000).await;
    let after = scraped(&host).await;

    // The same series, but for bounds that nothing took as long as before.
    let series = |text: &str| text.lines().count();
    assert_eq!(series(&before), series(&after), "{after}");
    assert!(series(&after) < 500 && after.len() < 50_000, "{after}");
    let apart =
        after.lines().filter(|line| line.starts_with("patchbay_model_requests_total{provider=\"any\""));
    assert_eq!(apart.count(), MODELS + 1, "{after}");
    let scrapes = parsed(&[after]).await;
    for told in scrapes.iter().flatten() {
        let any = [("provider", "any")];
        let others = [any[0], ("model", "other")];
        let served = told.sum("patchbay_model_requests_total", &any);
        told.says("patchbay_requests_total", &[any[0], ("outcome", "answered")], served);
        assert!(served >= 10_000.0);
        told.says("patchbay_model_requests_total", &others, served - MODELS as f64);
        told.says("patchbay_errors_total", &[("route", "other"), ("code", "unauthorized")], 10_000.0);
        // Two of the three keys, and the third by itself among the others.
        told.says("patchbay_key_requests_total", &[], 20_000.0);
        let known =
            keys.iter().filter(|(_, id)| told.sum("patchbay_key_requests_total", &[("key", id)]) > 0.0);
        assert_eq!(known.count(), 2);
        assert!(told.sum("patchbay_key_requests_total", &[("key", "other")]) >= 6_666.0);
    }
    host.stop().await;
}

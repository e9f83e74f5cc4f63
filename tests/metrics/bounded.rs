//! Who may read it, and that nobody can make it long.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::question;
use super::scrape::{parsed, scrape};
use crate::harness::{Host, HostOptions, Upstream, libraries};

const TOKEN: &str = "a-token-for-this-test-0123456789";

/// As many models are told apart.
const MODELS: usize = 5;

/// As many models and keys that nobody knows are asked for and with.
const NAMES: usize = 10_000;

/// One in so many is served all the same, by a provider that takes any.
const SERVED: usize = 5;

/// A host whose provider serves whatever model it is asked for, and one that says which.
async fn start(upstream: &Upstream) -> Host {
    let entry = |config: Value| json!({ "plugin": "openai-compatible", "config": config });
    let url = upstream.base_url();
    let options = HostOptions::default()
        .builtin(&libraries::openai_compatible())
        .section("health", json!({ "enabled": false }))
        .section("server", json!({ "trusted_proxies": ["127.0.0.1"] }))
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

/// Asks with this key for a model of this number that nobody knows, and once more with a key that was never given
/// out: the requests, and the status that each must get.
fn bogus(number: usize, key: &str) -> [(String, u16); 2] {
    let (provider, status) = match number % SERVED {
        0 => ("any".to_owned(), 200),
        _ => (format!("bogus-{number}"), 404),
    };
    let mut body = question(&format!("bogus-{number}"));
    body["provider"] = provider.into();
    let body = body.to_string();
    let length = body.len();
    let request = |key: &str, more: &str| {
        format!(
            "POST /api/chat/complete HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n{more}\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    // From many addresses: who sends many wrong ones from one has to wait for the answers.
    let from = format!("x-forwarded-for: 10.0.0.{}\r\n", number / 50);
    [(request(key, ""), status), (request(&format!("pb-bogus-{number}"), &from), 401)]
}

/// Over a few connections, each with as many requests as it takes, one behind the other.
async fn ask_all(host: &Host, keys: &[(String, String)], from: usize, to: usize) {
    let lanes = (0..4).map(|lane| async move {
        let numbers = (from + lane..to).step_by(4);
        let asked = numbers.flat_map(|number| bogus(number, &keys[number % keys.len()].0));
        let (requests, expected): (Vec<String>, Vec<u16>) = asked.unzip();
        let last = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let requests = requests.concat() + last;
        let socket = TcpStream::connect(host.address().trim_start_matches("http://")).await.unwrap();
        let (mut answers, mut sending) = socket.into_split();
        let writing =
            tokio::spawn(async move { sending.write_all(requests.as_bytes()).await.map(|()| sending) });
        let mut text = Vec::new();
        answers.read_to_end(&mut text).await.unwrap();
        writing.await.unwrap().unwrap();
        let text = String::from_utf8(text).unwrap();
        let statuses = text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse::<u16>().unwrap());
        let expected = expected.into_iter().chain([200]);
        assert!(statuses.eq(expected), "{}", text.lines().rev().take(100).collect::<Vec<_>>().join("\n"));
    });
    join_all(lanes).await;
}

#[tokio::test]
async fn ten_thousand_names_that_nobody_knows_make_no_series() {
    let upstream = Upstream::start().await;
    let host = start(&upstream).await;
    let mut keys = Vec::new();
    for name in ["a", "b", "c"] {
        keys.push(made(&host, json!({ "name": name })).await);
    }
    ask_all(&host, &keys, 0, 200).await;
    let before = scraped(&host).await;
    ask_all(&host, &keys, 200, NAMES).await;
    let after = scraped(&host).await;

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
        told.says("patchbay_requests_total", &[any[0]], served);
        assert_eq!(served, (NAMES / SERVED) as f64);
        told.says("patchbay_model_requests_total", &others, served - MODELS as f64);
        told.says("patchbay_errors_total", &[("route", "other"), ("code", "unauthorized")], NAMES as f64);
        let refused = (NAMES - NAMES / SERVED) as f64;
        told.says("patchbay_errors_total", &[("provider", ""), ("code", "provider_not_found")], refused);
        // Two of the three keys, and the third by itself among the others.
        told.says("patchbay_key_requests_total", &[], NAMES as f64);
        let known =
            keys.iter().filter(|(_, id)| told.sum("patchbay_key_requests_total", &[("key", id)]) > 0.0);
        assert_eq!(known.count(), 2);
        assert!(told.sum("patchbay_key_requests_total", &[("key", "other")]) > 3_000.0);
    }
    host.stop().await;
}

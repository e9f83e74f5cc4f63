//! Keys that the host gives out: who is let in with one, for what, and until when.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Host, HostOptions, Upstream, libraries};

async fn start(upstream: &Upstream, data: &Path) -> Host {
    let config = |models: Value| json!({ "base_url": upstream.base_url(), "models": models });
    let entry = |models| json!({ "plugin": "openai-compatible", "config": config(models) });
    let mut options = HostOptions::default().builtin(&libraries::openai_compatible());
    options = options.section("health", json!({ "enabled": false })).env("PATCHBAY_DATA_DIR", data);
    options = options.entry("a", entry(json!(["m", "a-only"]))).entry("b", entry(json!(["m"])));
    Host::start(options).await
}

/// Asks as somebody with this key; as nobody with an empty one.
async fn with_key(host: &Host, method: Method, path: &str, key: &str, body: Option<Value>) -> Answer {
    let mut request = host.request(method, path);
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    host.answer(path, request).await
}

async fn chat(host: &Host, key: &str, model: &str) -> Answer {
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
    with_key(host, Method::POST, "/v1/chat/completions", key, Some(body)).await
}

/// A new key: its id, and the key itself.
async fn made(host: &Host, wanted: Value) -> (String, String) {
    let answer = host.post_json("/api/keys", &wanted).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let made = answer.json();
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_key_lets_in_until_it_is_revoked_and_survives_a_crash() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    assert_eq!(chat(&host, "", "m").await.status, 200, "nobody needs one yet");
    let (id, key) = made(&host, json!({ "name": "team" })).await;
    let (_, other) = made(&host, json!({ "name": "other" })).await;
    assert_eq!(chat(&host, "", "m").await.status, 401);
    assert_eq!(chat(&host, "pb-guess", "m").await.status, 401);
    assert_eq!(chat(&host, &key, "m").await.status, 200);
    let listed = host.get("/api/keys").await;
    assert!(!listed.body.contains(&key) && !host.log().contains(&key), "it is shown once");
    assert_eq!(listed.json()["keys"][0]["name"], "team");

    host.kill().await;
    let host = start(&upstream, data.path()).await;
    assert_eq!(chat(&host, &key, "m").await.status, 200);
    let revoked = with_key(&host, Method::DELETE, &format!("/api/keys/{id}"), "", None).await;
    assert_eq!(revoked.status, 204);
    assert_eq!(chat(&host, &key, "m").await.status, 401);
    assert_eq!(chat(&host, &other, "m").await.status, 200);
    let again = with_key(&host, Method::DELETE, &format!("/api/keys/{id}"), "", None).await;
    assert_eq!(again.error().1, "key_not_found");
    host.stop().await;
}

#[tokio::test]
async fn a_key_is_only_good_for_what_it_names() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let (_, narrow) = made(&host, json!({ "name": "narrow", "models": ["b/m"] })).await;
    let (_, read) = made(&host, json!({ "name": "read", "scopes": ["read"] })).await;
    let (_, admin) = made(&host, json!({ "name": "admin", "scopes": ["admin"] })).await;

    // Whoever would be asked first may not be: the next one is.
    let answer = chat(&host, &narrow, "m").await;
    assert_eq!((answer.status, answer.header("x-patchbay-provider")), (200, Some("b")));
    let refused = chat(&host, &narrow, "a-only").await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("a: the key that asks may not ask this here"), "{}", refused.body);
    let models = with_key(&host, Method::GET, "/v1/models", &narrow, None).await.json();
    let ids: Vec<&str> =
        models["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["b/m"]);
    let estimate = json!({ "model": "m", "prompt_tokens": 1 });
    let told = with_key(&host, Method::POST, "/api/cost/estimate", &narrow, Some(estimate)).await.json();
    assert_eq!((&told["provider"], &told["candidates"][1]["available"]), (&json!("b"), &json!(false)));

    for (key, method, path, body, status) in [
        (&narrow, Method::GET, "/api/plugins", None, 403),
        (&read, Method::GET, "/api/plugins", None, 200),
        (&read, Method::GET, "/api/keys", None, 200),
        (&read, Method::POST, "/api/providers/reload", None, 403),
        (&read, Method::GET, "/v1/models", None, 403),
        (&admin, Method::POST, "/api/keys", Some(json!({ "name": "more" })), 201),
        (&admin, Method::GET, "/v1/models", None, 200),
    ] {
        let answer = with_key(&host, method.clone(), path, key, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }
    host.stop().await;
}

#[tokio::test]
async fn what_is_no_key_is_refused_in_words() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    for (body, status, code, words) in [
        (json!({}), 400, "invalid_key", "missing field `name`"),
        (json!({ "name": "k", "model": "m" }), 400, "invalid_key", "unknown field `model`"),
        (json!({ "name": "k", "scopes": ["all"] }), 400, "invalid_key", "unknown variant `all`"),
        (json!({ "name": " " }), 422, "invalid_key", "name must be a text"),
    ] {
        let (got, said, details) = host.post_json("/api/keys", &body).await.error();
        assert_eq!((got, said.as_str()), (status, code), "{body}");
        assert!(details.contains(words), "{details}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_damaged_store_is_a_reason_not_to_start_that_says_how_to_mend_it() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("store.sqlite"), "no database, but long enough to be taken for one")
        .unwrap();
    let options = HostOptions::default().custom(&libraries::mock()).env("PATCHBAY_DATA_DIR", data.path());
    let (status, said) = Host::refuses(options).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("store.sqlite cannot be used") && said.contains("put back from a backup"),
        "{said}"
    );
}

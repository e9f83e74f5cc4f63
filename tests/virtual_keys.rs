//! Keys that the host gives out: who is let in with one, for what, and until when.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Host, HostOptions, Upstream, eventually, libraries};

async fn start(upstream: &Upstream, data: &Path) -> Host {
    let config = |models: Value| json!({ "base_url": upstream.base_url(), "models": models, "model": "m" });
    let entry = |models| json!({ "plugin": "openai-compatible", "config": config(models) });
    let mut options = HostOptions::default().builtin(&libraries::openai_compatible());
    options = options.section("health", json!({ "enabled": false })).env("PATCHBAY_DATA_DIR", data);
    let chains = json!({ "chain": ["a/m", "b/m"], "a-chain": ["a/m"] });
    options = options.section("routing", json!({ "chains": chains }));
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
    let first =
        host.post_json("/api/keys", &json!({ "name": "first", "models": ["nobody/m", "m"] })).await.json();
    let warned: Vec<&str> =
        first["warnings"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(warned.len(), 2, "{first}");
    assert!(
        warned[0].contains("no provider is named \"nobody\"") && warned[1].contains("need a key"),
        "{first}"
    );
    let (id, key) = made(&host, json!({ "name": "team" })).await;
    let (_, other) = made(&host, json!({ "name": "other" })).await;
    assert_eq!(chat(&host, "", "m").await.status, 401);
    assert_eq!(chat(&host, "pb-guess", "m").await.status, 401);
    assert_eq!(chat(&host, &key, "m").await.status, 200);
    let listed = host.get("/api/keys").await;
    assert!(!listed.body.contains(&key) && !host.log().contains(&key), "it is shown once");
    assert_eq!(listed.json()["keys"][1]["name"], "team");

    host.kill().await;
    let host = start(&upstream, data.path()).await;
    let shown = async || host.said().contains("-H 'authorization: Bearer pb-...'").then_some(());
    eventually("it to say what to try, with a place for the key", shown).await;
    assert_eq!(chat(&host, &key, "m").await.status, 200);
    let revoked = with_key(&host, Method::DELETE, &format!("/api/keys/{id}"), "", None).await;
    assert_eq!(revoked.status, 204);
    assert_eq!(chat(&host, &key, "m").await.status, 401);
    assert_eq!(chat(&host, &other, "m").await.status, 200);
    let again = with_key(&host, Method::DELETE, &format!("/api/keys/{id}"), "", None).await;
    assert_eq!(again.error().1, "key_not_found");
    // Without any key left, nobody is let in without one.
    let (last, _) = made(&host, json!({ "name": "last" })).await;
    let ids: Vec<String> = host.get("/api/keys").await.json()["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(ids.contains(&last));
    for id in ids {
        assert_eq!(with_key(&host, Method::DELETE, &format!("/api/keys/{id}"), "", None).await.status, 204);
    }
    assert_eq!((chat(&host, "", "m").await.status, chat(&host, &other, "m").await.status), (401, 401));
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
    assert_eq!(ids, ["chain", "b/m"]);
    let estimate = json!({ "model": "m", "prompt_tokens": 1 });
    let told = with_key(&host, Method::POST, "/api/cost/estimate", &narrow, Some(estimate)).await.json();
    assert_eq!((&told["provider"], &told["candidates"][1]["available"]), (&json!("b"), &json!(false)));

    // By whatever way a model can be asked for.
    let hi = json!([{ "role": "user", "content": "hi" }]);
    for (path, body, expected) in [
        ("/v1/chat/completions", json!({ "messages": hi, "model": "auto" }), Ok("b")),
        ("/v1/chat/completions", json!({ "messages": hi, "model": "a/m" }), Err(403)),
        ("/v1/chat/completions", json!({ "messages": hi, "model": "chain" }), Ok("b")),
        ("/v1/chat/completions", json!({ "messages": hi, "model": "a-chain" }), Err(403)),
        ("/v1/completions", json!({ "prompt": "hi", "model": "a/m" }), Err(403)),
        ("/v1/completions", json!({ "prompt": "hi", "model": "b/m" }), Ok("b")),
        ("/v1/embeddings", json!({ "input": "hi", "model": "a/m" }), Err(403)),
        ("/v1/embeddings", json!({ "input": "hi", "model": "b/m" }), Ok("b")),
        ("/api/chat/complete", json!({ "messages": hi, "provider": "a" }), Err(403)),
        ("/api/chat", json!({ "messages": hi, "provider": "a", "model": "m" }), Err(403)),
        // Members that name other models do not go to upstream.
        (
            "/v1/chat/completions",
            json!({ "messages": hi, "model": "m", "Model": "x", "models": ["y"] }),
            Ok("b"),
        ),
    ] {
        let answer = with_key(&host, Method::POST, path, &narrow, Some(body.clone())).await;
        let got = if answer.status == 200 {
            Ok(answer.header("x-patchbay-provider").unwrap())
        } else {
            Err(answer.status)
        };
        assert_eq!(got, expected, "{path} {body}: {}", answer.body);
    }
    let (_, last) = upstream.requests().pop().unwrap();
    assert_eq!((last.get("model"), last.get("Model"), last.get("models")), (Some(&json!("m")), None, None));

    for (key, method, path, body, status) in [
        (&narrow, Method::GET, "/api/plugins", None, 403),
        (&read, Method::GET, "/api/plugins", None, 200),
        (&read, Method::GET, "/api/keys", None, 200),
        (&read, Method::POST, "/api/providers/reload", None, 403),
        (&read, Method::GET, "/v1/models", None, 200),
        (&read, Method::GET, "/api/health", None, 200),
        (&read, Method::POST, "/v1/embeddings", Some(json!({ "input": "hi" })), 403),
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
        (
            json!({ "name": "k", "limits": { "tokens_per_minute": 0 } }),
            400,
            "invalid_key",
            "a limit is 0: it has to be a whole number above 0",
        ),
        (
            json!({ "name": "k", "expires_in": "90d" }),
            400,
            "invalid_key",
            "expires_in is \"90d\": it has to be in whole seconds",
        ),
    ] {
        let (got, said, details) = host.post_json("/api/keys", &body).await.error();
        assert_eq!((got, said.as_str()), (status, code), "{body}");
        assert!(details.contains(words), "{details}");
    }
    let (_, _, details) = host.get("/api/usage?form=2026-11-01").await.error();
    assert!(details.starts_with("form: unknown field `form`, expected one of"), "{details}");
    host.stop().await;
}

#[tokio::test]
async fn a_key_gets_another_secret_and_stays_what_it_was() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let wanted = json!({ "name": "team", "models": ["m"], "limits": { "requests_per_minute": 2 } });
    let (id, old) = made(&host, wanted.clone()).await;
    assert_eq!(chat(&host, &old, "m").await.status, 200);
    let path = format!("/api/keys/{id}/rotate");
    let rotated = with_key(&host, Method::POST, &path, "", None).await;
    assert_eq!(rotated.status, 200, "{}", rotated.body);
    let rotated = rotated.json();
    let new = rotated["key"].as_str().unwrap();
    assert_eq!((&rotated["id"], &rotated["models"]), (&json!(id), &json!(["m"])));
    assert_eq!(chat(&host, &old, "m").await.status, 401);
    assert_eq!(chat(&host, new, "a-only").await.status, 403);
    assert_eq!(chat(&host, new, "m").await.status, 429, "what was taken before counts on");
    let refused = with_key(&host, Method::POST, "/api/keys/key_0/rotate", "", None).await;
    assert_eq!(refused.error().1, "key_not_found");
    // Another of the same name is made, and that is said.
    let twin = host.post_json("/api/keys", &wanted).await.json();
    let said = format!("\"team\" is what {id} is called, too");
    assert!(twin["warnings"][0].as_str().unwrap().starts_with(&said), "{twin}");
    let trail = host.get("/api/audit").await.json();
    let is_it = |entry: &&Value| entry["route"] == "POST /api/keys/{id}/rotate" && entry["outcome"] == "done";
    let entry = trail["entries"].as_array().unwrap().iter().find(is_it).unwrap();
    assert_eq!(entry["target"], json!(id));
    assert!(!host.log().contains(new) && !entry.to_string().contains(&new[8..]), "{entry}");
    host.stop().await;
}

#[tokio::test]
async fn wrong_tokens_keep_nobody_out_who_has_a_right_one() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let (_, key) = made(&host, json!({ "name": "team" })).await;
    for _ in 0..62 {
        assert_eq!(chat(&host, "pb-guess", "m").await.status, 401);
    }
    assert_eq!(chat(&host, &key, "m").await.status, 200);
    host.logs("somebody keeps sending wrong tokens", "127.0.0.1").await;
    host.stop().await;
}

#[tokio::test]
async fn a_lost_store_opens_nothing() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    made(&host, json!({ "name": "team" })).await;
    host.stop().await;
    std::fs::remove_file(data.path().join("store.sqlite")).unwrap();
    let host = start(&upstream, data.path()).await;
    assert_eq!(chat(&host, "", "m").await.status, 401);
    let said = "keys were given out here once, and store.sqlite knows of none";
    assert!(host.log().contains(said), "{}", host.log());
    let (_, key) = made(&host, json!({ "name": "anew" })).await;
    assert_eq!(chat(&host, &key, "m").await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn an_admin_token_that_can_be_guessed_is_warned_of_and_refused_to_others() {
    let short = || HostOptions::default().custom(&libraries::mock()).env("ADMIN_TOKEN", "0123456789");
    let host = Host::start(short()).await;
    host.logs("ADMIN_TOKEN is shorter than 16 characters", "WARN").await;
    host.stop().await;
    let (status, said) = Host::refuses(short().argument("--host").argument("0.0.0.0")).await;
    assert_eq!(status, Some(78), "{said}");
    assert!(said.contains("shorter than 16 characters, and can be guessed: set one"), "{said}");
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

#[tokio::test]
async fn a_key_that_is_changed_is_the_same_key_and_its_changes_hold_at_once() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let (id, key) = made(&host, json!({ "name": "team", "limits": { "requests_per_minute": 1 } })).await;
    let path = format!("/api/keys/{id}");
    let change = async |patch: Value| with_key(&host, Method::PATCH, &path, "", Some(patch)).await;
    assert_eq!([chat(&host, &key, "m").await.status, chat(&host, &key, "m").await.status], [200, 429]);
    let changed = change(json!({ "name": "crew", "limits": { "requests_per_minute": null } })).await;
    assert_eq!((changed.status, &changed.json()["warnings"]), (200, &json!([])), "{}", changed.body);
    assert!(!changed.body.contains(&key));
    assert_eq!(chat(&host, &key, "m").await.status, 200);
    let warned = change(json!({ "models": ["a-only", "nobody/m"] })).await.json();
    assert!(warned["warnings"][0].as_str().unwrap().contains("no provider is named \"nobody\""), "{warned}");
    assert_eq!([chat(&host, &key, "m").await.status, chat(&host, &key, "a-only").await.status], [403, 200]);
    for (patch, status, code) in [
        (json!({}), 400, "invalid_key"),
        (json!([]), 400, "invalid_key"),
        (json!({ "limit": 1 }), 400, "invalid_key"),
        (json!({ "scopes": [] }), 422, "invalid_key"),
    ] {
        let (told, word, details) = change(patch).await.error();
        assert_eq!((told, word.as_str()), (status, code), "{details}");
    }
    let nobody = with_key(&host, Method::PATCH, "/api/keys/key_0", "", Some(json!({ "name": "x" }))).await;
    assert_eq!(nobody.error().1, "key_not_found");

    // Who changed what, and what it was before.
    let audit = host.get("/api/audit").await.json();
    let entries = audit["entries"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["before"]["name"] == "team").unwrap();
    assert_eq!((&entry["route"], &entry["target"]), (&json!("PATCH /api/keys/{id}"), &json!(id)));
    let pictures = json!([{ "name": "team", "limits": { "requests_per_minute": 1 } },
        { "name": "crew", "limits": { "requests_per_minute": null } }]);
    assert_eq!(json!([entry["before"], entry["after"]]), pictures);
    host.kill().await;
    let host = start(&upstream, data.path()).await;
    assert_eq!([chat(&host, &key, "m").await.status, chat(&host, &key, "a-only").await.status], [403, 200]);
    host.stop().await;
}

//! The vendors that come with the host: each waits for its key, and with that alone it serves.

use serde_json::{Value, json};

use crate::dialects::{Vendor, Way};
use crate::harness::upstream::ODD_WHOLE;
use crate::harness::{Host, HostOptions, Library, SECRET, Upstream, eventually, libraries};
use crate::openai::{CHAT, asking};

fn all() -> impl Iterator<Item = (&'static str, Library)> {
    libraries::vendors().into_iter().chain(libraries::translating())
}

fn with_vendors() -> HostOptions {
    let options = HostOptions::default().custom(&libraries::mock());
    all().fold(options, |options, (_, library)| options.builtin(&library))
}

#[tokio::test]
async fn as_shipped_the_mock_serves_and_vendors_wait_for_their_keys() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin_config.json");
    let shipped: Value = serde_json::from_slice(&std::fs::read(shipped).unwrap()).unwrap();
    let options =
        shipped["plugins"].as_object().unwrap().iter().fold(with_vendors(), |options, (name, entry)| {
            let mut entry = entry.clone();
            // Instead of the one that the harness gives to everybody.
            entry["config"] = json!({ "api_key": null });
            options.entry(name, entry)
        });
    let host = Host::start(options).await;

    let health = host.get("/api/health").await.json();
    assert_eq!(health["providers"]["mock"], "available", "{health}");
    assert_eq!(health["summary"]["total"], all().count() + 1, "{health}");
    assert_eq!(host.get("/api/providers").await.json()["total_count"], 1);
    for (id, _) in all() {
        assert_eq!(health["providers"][id], "disabled", "{health}");
        let line = format!("  {id:<20} waits for a key: {}_API_KEY\n", id.to_uppercase());
        eventually(&line, async || host.said().contains(&line).then_some(())).await;
    }
    assert!(!host.said().contains("no provider uses it"), "{}", host.said());
    host.stop().await;
}

#[tokio::test]
async fn a_key_is_enough_and_requests_are_what_the_vendor_takes() {
    let upstream = Upstream::start().await;
    let options = libraries::vendors().iter().fold(with_vendors(), |options, (id, _)| {
        let name = id.to_uppercase();
        options.env(&format!("{name}_API_KEY"), SECRET).env(&format!("{name}_BASE_URL"), upstream.base_url())
    });
    let host = Host::start(options).await;

    let members = r#","user":"u","seed":1,"max_tokens":5,"logprobs":false"#;
    let as_asked = json!({ "user": "u", "seed": 1, "max_tokens": 5, "logprobs": false });
    for (id, expected) in [
        ("deepinfra", as_asked.clone()),
        ("groq", json!({ "user": "u", "seed": 1, "max_tokens": 5 })),
        ("mistral", json!({ "random_seed": 1, "max_tokens": 5 })),
        ("openai", json!({ "user": "u", "seed": 1, "max_completion_tokens": 5, "logprobs": false })),
        ("openrouter", as_asked.clone()),
        ("together", as_asked),
    ] {
        let answer = host.post_text(CHAT, &asking(&format!("{id}/odd"), members)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ODD_WHOLE), "{id}");
        assert_eq!(answer.header("x-patchbay-provider"), Some(id));
        let (headers, mut sent) = upstream.requests().pop().unwrap();
        assert_eq!(headers["authorization"], format!("Bearer {SECRET}"), "{id}");
        sent.as_object_mut().unwrap().remove("messages");
        assert_eq!(sent.as_object_mut().unwrap().remove("model"), Some("odd".into()), "{id}");
        assert_eq!(sent, expected, "{id}");
    }
    host.stop().await;
}

#[tokio::test]
async fn other_dialects_are_translated_there_and_back() {
    let vendor = Vendor::start().await;
    let options = HostOptions::default().section("health", json!({ "enabled": false }));
    // As the README has it: no key, and no list of models.
    let options =
        options.builtin(&libraries::ollama()).entry("ollama", json!({ "config": { "api_key": null } }));
    let options = options.env("OLLAMA_BASE_URL", vendor.base_url("ollama", "plain", Way::Whole));
    let host = Host::start(libraries::translating().into_iter().fold(options, |options, (id, library)| {
        let name = id.to_uppercase();
        let options = options.builtin(&library).env(&format!("{name}_API_KEY"), SECRET);
        options.env(&format!("{name}_BASE_URL"), vendor.base_url(id, "plain", Way::Whole))
    }))
    .await;
    for (id, path, header, key) in [
        ("anthropic", "/messages", "x-api-key", SECRET),
        ("cohere", "/v2/chat", "authorization", SECRET),
        ("gemini", "/models/m-1:generateContent", "x-goog-api-key", SECRET),
        ("ollama", "/api/chat", "authorization", ""),
    ] {
        let answer = host.post_text(CHAT, &asking(&format!("{id}/m-1"), "")).await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.body);
        let whole = answer.json();
        assert_eq!(whole["choices"][0]["message"]["content"], "Hello there.", "{id}");
        assert_eq!(
            (&whole["choices"][0]["finish_reason"], &whole["usage"]["total_tokens"]),
            (&json!("stop"), &json!(12))
        );
        let asked = vendor.asked(id, "plain", Way::Whole).pop().unwrap();
        assert_eq!((asked.path.as_str(), asked.key(header)), (path, key), "{id}");
        let stream = host.open(CHAT, &asking(&format!("{id}/m-1"), r#","stream":true"#)).await;
        let text = stream.rest().await.unwrap();
        assert!(
            text.contains(r#""content":" there.""#) && text.ends_with("data: [DONE]\n\n"),
            "{id}: {text}"
        );
    }
    host.stop().await;
}

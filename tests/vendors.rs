//! The vendors that come with the host: each waits for its key, and with that alone it serves.

use serde_json::{Value, json};

use crate::harness::upstream::ODD_WHOLE;
use crate::harness::{Host, HostOptions, SECRET, Upstream, eventually, libraries};
use crate::openai::{CHAT, asking};

fn with_vendors() -> HostOptions {
    let options = HostOptions::default().custom(&libraries::mock());
    libraries::vendors().iter().fold(options, |options, (_, library)| options.builtin(library))
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
    assert_eq!(health["summary"]["total"], libraries::vendors().len() + 1, "{health}");
    assert_eq!(host.get("/api/providers").await.json()["total_count"], 1);
    for (id, _) in libraries::vendors() {
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

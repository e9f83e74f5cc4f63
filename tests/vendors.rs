//! The vendors that come with the host: each waits for its key, and with that alone it serves.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

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

/// What upstreams of other dialects were asked: the path, and the header that the key stood in.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

const ANTHROPIC: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"from afar"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#;
const ANTHROPIC_STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"from afar\"}}\n\n\
event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n\
event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const GEMINI: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"from afar"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"gemini-x"}"#;

const OLLAMA: &str = r#"{"model":"m-1","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"from afar"},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}"#;

async fn elsewhere(State(asked): State<Asked>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let key = ["x-api-key", "x-goog-api-key"].iter().find_map(|name| request.headers().get(*name));
    let key = key.map(|key| key.to_str().unwrap().to_owned()).unwrap_or_default();
    let body = axum::body::to_bytes(request.into_body(), 100_000).await.unwrap();
    let streamed =
        path.ends_with(":streamGenerateContent") || body.windows(13).any(|it| it == b"\"stream\":true");
    let gemini = path.contains("enerateContent");
    if path.ends_with("/api/chat") {
        asked.lock().unwrap().push((path, key));
        return ([("content-type", "application/x-ndjson")], format!("{OLLAMA}\n")).into_response();
    }
    asked.lock().unwrap().push((path, key));
    let events = ("content-type", "text/event-stream");
    match (gemini, streamed) {
        (true, false) => GEMINI.into_response(),
        (true, true) => ([events], format!("data: {GEMINI}\n\n")).into_response(),
        (false, false) => ANTHROPIC.into_response(),
        (false, true) => ([events], ANTHROPIC_STREAM).into_response(),
    }
}

#[tokio::test]
async fn other_dialects_are_translated_there_and_back() {
    let asked = Asked::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let base = format!("{server}/v1");
    let router = Router::new().fallback(elsewhere).with_state(Arc::clone(&asked));
    let _serving =
        AbortOnDropHandle::new(tokio::spawn(async { axum::serve(listener, router).await.unwrap() }));
    let options = HostOptions::default().section("health", json!({ "enabled": false }));
    // As the README has it: no key, and no list of models.
    let options =
        options.builtin(&libraries::ollama()).entry("ollama", json!({ "config": { "api_key": null } }));
    let options = options.env("OLLAMA_BASE_URL", &server);
    let host = Host::start(libraries::translating().into_iter().fold(options, |options, (id, library)| {
        let name = id.to_uppercase();
        let options = options.builtin(&library).env(&format!("{name}_API_KEY"), SECRET);
        options.env(&format!("{name}_BASE_URL"), &base)
    }))
    .await;
    for (id, path, key) in [
        ("anthropic", "/v1/messages", SECRET),
        ("gemini", "/v1/models/m-1:generateContent", SECRET),
        ("ollama", "/api/chat", ""),
    ] {
        let answer = host.post_text(CHAT, &asking(&format!("{id}/m-1"), "")).await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.body);
        let whole = answer.json();
        assert_eq!(whole["choices"][0]["message"]["content"], "from afar", "{id}");
        assert_eq!(
            (&whole["choices"][0]["finish_reason"], &whole["usage"]["total_tokens"]),
            (&json!("stop"), &json!(5))
        );
        assert_eq!(asked.lock().unwrap().last().unwrap(), &(path.to_owned(), key.to_owned()));
        let stream = host.open(CHAT, &asking(&format!("{id}/m-1"), r#","stream":true"#)).await;
        let text = stream.rest().await.unwrap();
        assert!(
            text.contains(r#""content":"from afar""#) && text.ends_with("data: [DONE]\n\n"),
            "{id}: {text}"
        );
    }
    host.stop().await;
}

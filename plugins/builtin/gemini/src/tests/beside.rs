//! Vectors, models, health, credentials and the configuration.

use patchbay_plugin_api::testing::Native;
use patchbay_plugin_api::testing::conformance::{self, Subject as _};
use patchbay_plugin_api::{Credentials, EmbedRequest, Health};

use super::*;

const BASE: &str = "https://generativelanguage.googleapis.com/v1beta";

#[test]
fn texts_become_vectors() {
    let (host, provider) = provider();
    let answered = json!({"embeddings": [{"values": [0.0, 0.0]}, {"values": [0.0, -0.5]}],
        "usageMetadata": {"promptTokenCount": 3}});
    host.reply(Reply::json(answered.to_string()));
    let asked = br#"{"model": "gemini-embedding-001", "input": ["a", "b"], "dimensions": 2}"#;
    let vectors = block_on(provider.embed(EmbedRequest::parse(asked).unwrap(), call())).unwrap();
    let made: Value = serde_json::from_slice(&vectors.into_json("m", Default::default())).unwrap();
    assert_eq!(made["data"][0]["embedding"], json!([0.0, 0.0]));
    assert_eq!(made["data"][1]["embedding"], json!([0.0, -1.0]));
    assert_eq!(made["usage"]["prompt_tokens"], 3);

    let sent = &host.requests()[0];
    assert_eq!(sent.url, format!("{BASE}/models/gemini-embedding-001:batchEmbedContents"));
    let one = |text: &str| {
        json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]},
            "outputDimensionality": 2})
    };
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body, json!({"requests": [one("a"), one("b")]}));
}

#[test]
fn the_list_of_models_is_read() {
    let (host, provider) = provider();
    host.reply(Reply::json(include_str!("models.json")));
    let models = block_on(provider.models(call())).unwrap();
    let all = ["streaming", "function_calling", "vision", "json_output", "reasoning"];
    let expected = json!([
        {"id": "gemini-3.5-flash", "name": "Gemini 3.5 Flash", "type": "chat", "capabilities": all,
            "context_length": 1_048_576, "owner": "google"},
        {"id": "gemma-4-31b-it", "name": "Gemma 4 31B", "type": "chat", "capabilities": ["streaming"],
            "context_length": 262_144, "owner": "google"},
        {"id": "gemini-3.1-flash-tts-preview", "type": "audio", "capabilities": [], "owner": "google"},
        {"id": "gemini-embedding-001", "name": "Gemini Embedding 001", "type": "embedding", "capabilities": [],
            "context_length": 2048, "owner": "google"},
    ]);
    assert_eq!(json!(models), expected);
    assert_eq!(host.requests()[0].url, format!("{BASE}/models?pageSize=1000"));

    let host = TestHost::new();
    let provider: Http<Translator<Gemini>> =
        host.provider(r#"{"base_url": "https://x.test", "models": ["only"]}"#).unwrap();
    assert_eq!(block_on(provider.models(call())).unwrap()[0].id, "only");
    assert!(host.requests().is_empty());
}

#[test]
fn health_and_credentials_are_asked_of_the_list() {
    let (host, provider) = provider();
    let refused = json!({"error": {"code": 400, "message": "API key not valid.", "details": [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}});
    host.reply(Reply::json("{}")).reply(Reply::new(400).body(refused.to_string()));
    host.reply(Reply::json("{}")).reply(Reply::new(503));
    assert_eq!(block_on(provider.credentials(call())), Ok(Credentials::Valid));
    let message = "the provider answered 400: API key not valid.".to_owned();
    assert_eq!(block_on(provider.credentials(call())), Ok(Credentials::Invalid { message }));
    assert_eq!(block_on(provider.health(call())), Ok(Health::Available));
    assert_eq!(block_on(provider.health(call())), Ok(Health::busy("the provider answered 503")));
    for sent in host.requests() {
        assert_eq!(sent.url, format!("{BASE}/models?pageSize=1"));
        assert_eq!(sent.header("x-goog-api-key"), Some("{{key}}"));
    }
}

#[test]
fn a_wrong_configuration_is_refused_in_a_sentence() {
    for (config, says) in [
        ("{}", "missing field `base_url`"),
        (r#"{"base_url": "x.test"}"#, "must begin with https://"),
        (r#"{"base_url": "https://x.test/v1beta/models"}"#, "where the API begins"),
        (r#"{"base_url": "https://x", "model": "a", "models": ["b"]}"#, "`model` is `a`, which is not among"),
    ] {
        let error = TestHost::new().provider::<Http<Translator<Gemini>>>(config).err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains(says), "{config}: {error}");
    }
    let provider: Http<Translator<Gemini>> =
        TestHost::new().provider(r#"{"base_url": "https://x.test/"}"#).unwrap();
    let error = block_on(provider.complete(ChatRequest::ask("Hi"), call())).unwrap_err();
    assert_eq!(error.message, "the request names no `model`");
}

#[test]
fn it_does_what_every_provider_must() {
    let text = |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]});
    let mut last = text("!");
    last["candidates"][0]["finishReason"] = "STOP".into();
    let streamed = sse(&[text("Hello"), last.clone()]);
    last["candidates"][0]["content"]["parts"][0]["text"] = "Hello!".into();
    let (whole, streamed) = (Reply::json(last.to_string()), Reply::sse(streamed));

    let host = TestHost::new();
    let native =
        Native::create::<Http<Translator<Gemini>>>(host, r#"{"base_url": "https://x.test", "model": "m"}"#)
            .unwrap();
    host.reply(streamed.clone());
    let asked = br#"{"messages": [], "stream": true}"#;
    let batches = native.stream(asked, usize::MAX).unwrap().batches;

    // In the order in which the cases ask: one stream is left after each of its batches.
    host.reply(whole.clone()).reply(whole.clone()).reply(streamed.clone()).reply(whole.clone());
    for _ in 0..=batches {
        host.reply(streamed.clone());
    }
    host.reply(whole).reply(Reply::json("{}")).reply(Reply::json("{}"));
    conformance::check(&native);
    native.close().unwrap();
}

//! What OpenAI is sent, and what is read of its list of models.

use patchbay_plugin_api::testing::outline;
use serde_json::json;

use super::*;

fn check(config: &Value, asked: &Value, expected: &Value) {
    let outline = outline::<Http<OpenAi<OpenAiItself>>>(DEFAULTS, config, asked, include_str!("models.json"));
    for (part, expected) in expected.as_object().unwrap() {
        assert_eq!(&outline[part], expected, "{part}");
    }
}

#[test]
fn requests_go_to_openai() {
    let expected = json!({
        "chat": "https://api.openai.com/v1/chat/completions",
        "completions": null,
        "embeddings": "https://api.openai.com/v1/embeddings",
        "models": "https://api.openai.com/v1/models",
        "credentials": "https://api.openai.com/v1/models",
        "headers": {"authorization": "Bearer {{key}}"},
    });
    check(&json!({}), &json!({}), &expected);
}

#[test]
fn tokens_are_bounded_under_the_name_that_all_models_know() {
    for (asked, sent) in [
        (json!({}), json!({"model": "gpt-6-luna"})),
        (json!({"model": "a", "max_tokens": 5}), json!({"model": "a", "max_completion_tokens": 5})),
        (
            json!({"max_tokens": 5, "max_completion_tokens": 7, "stream": true}),
            json!({"model": "gpt-6-luna", "max_completion_tokens": 7, "stream": true,
                "stream_options": {"include_usage": true}}),
        ),
    ] {
        check(&json!({}), &asked, &json!({"body": sent}));
    }
}

#[test]
fn whoever_pays_is_named() {
    let config = json!({"organization": "org-1", "project": "proj-1"});
    let headers = json!({"authorization": "Bearer {{key}}", "openai-organization": "org-1",
        "openai-project": "proj-1"});
    check(&config, &json!({}), &json!({"headers": headers}));
}

#[test]
fn the_list_of_models_is_read() {
    let expected = json!({"listed": [
        {"id": "gpt-6-luna", "type": "chat", "capabilities": [], "owner": "system", "created": 1_780_000_000},
        {"id": "text-embedding-3-small", "type": "embedding", "capabilities": [], "owner": "system",
            "created": 1_705_948_997},
        {"id": "gpt-4o-mini-tts", "type": "audio", "capabilities": [], "owner": "system",
            "created": 1_742_403_959},
        {"id": "omni-moderation-latest", "type": "moderation", "capabilities": [], "owner": "system",
            "created": 1_731_689_265},
    ]});
    check(&json!({}), &json!({}), &expected);
}

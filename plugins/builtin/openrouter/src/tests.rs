//! What OpenRouter is sent, and what is read of its list of models.

use patchbay_plugin_api::testing::outline;
use serde_json::json;

use super::*;

fn check(config: &Value, asked: &Value, expected: &Value) {
    let outline = outline::<Http<OpenAi<OpenRouter>>>(DEFAULTS, config, asked, include_str!("models.json"));
    for (part, expected) in expected.as_object().unwrap() {
        assert_eq!(&outline[part], expected, "{part}");
    }
}

#[test]
fn requests_go_to_openrouter() {
    let expected = json!({
        "chat": "https://openrouter.ai/api/v1/chat/completions",
        "completions": "https://openrouter.ai/api/v1/completions",
        "embeddings": "https://openrouter.ai/api/v1/embeddings",
        "models": "https://openrouter.ai/api/v1/models",
        "credentials": "https://openrouter.ai/api/v1/key",
        "headers": {"authorization": "Bearer {{key}}"},
    });
    check(&json!({}), &json!({}), &expected);
}

#[test]
fn an_application_is_named_only_if_it_is_configured() {
    for (config, headers) in [
        (json!({"title": "Desk"}), json!({"authorization": "Bearer {{key}}", "x-title": "Desk"})),
        (
            json!({"referer": "https://desk.test", "extra_headers": {"X-Title": "Ours"}}),
            json!({"authorization": "Bearer {{key}}", "http-referer": "https://desk.test", "X-Title": "Ours"}),
        ),
    ] {
        check(&config, &json!({}), &json!({"headers": headers}));
    }
}

#[test]
fn the_list_of_models_is_read() {
    let expected = json!({"listed": [
        {"id": "maker/large", "name": "Maker: Large", "type": "chat", "context_length": 200_000,
            "created": 1_750_000_000,
            "pricing": {"prompt": 2.5, "cached_prompt": 0.25, "cache_write": 3.125, "completion": 10.0},
            "capabilities": ["streaming", "function_calling", "json_output", "reasoning", "vision"]},
        {"id": "maker/free", "name": "Maker: Free", "type": "chat", "context_length": 8192,
            "created": 1_740_000_000, "pricing": {"prompt": 0.0, "completion": 0.0},
            "capabilities": ["streaming"]},
        {"id": "openrouter/auto", "name": "Auto Router", "type": "chat", "context_length": 2_000_000,
            "created": 1_699_401_600, "capabilities": ["streaming"]},
        {"id": "maker/searches", "name": "Maker: Searches", "type": "chat", "context_length": 8192,
            "created": 1_740_000_001, "capabilities": ["streaming"]},
        {"id": "maker/vectors", "name": "Maker: Vectors", "type": "embedding", "context_length": 512,
            "created": 1_760_000_000, "pricing": {"prompt": 0.02, "completion": 0.0}, "capabilities": []},
    ]});
    check(&json!({}), &json!({}), &expected);
}

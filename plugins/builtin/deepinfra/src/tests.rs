//! What DeepInfra is sent, and what is read of its list of models.

use patchbay_plugin_api::testing::outline;
use serde_json::json;

use super::*;

fn check(config: &Value, asked: &Value, expected: &Value) {
    let outline = outline::<Http<OpenAi<DeepInfra>>>(DEFAULTS, config, asked, include_str!("models.json"));
    for (part, expected) in expected.as_object().unwrap() {
        assert_eq!(&outline[part], expected, "{part}");
    }
}

#[test]
fn requests_go_to_deepinfra() {
    let expected = json!({
        "chat": "https://api.deepinfra.com/v1/openai/chat/completions",
        "completions": "https://api.deepinfra.com/v1/openai/completions",
        "embeddings": "https://api.deepinfra.com/v1/openai/embeddings",
        "models": "https://api.deepinfra.com/v1/openai/models",
        "credentials": "https://api.deepinfra.com/v1/me",
        "headers": {"authorization": "Bearer {{key}}"},
    });
    check(&json!({}), &json!({}), &expected);
}

#[test]
fn the_bound_of_tokens_has_its_older_name() {
    let sent = json!({"body": {"model": "openai/gpt-oss-120b", "max_tokens": 5}});
    for asked in [json!({"max_tokens": 5}), json!({"max_completion_tokens": 5})] {
        check(&json!({}), &asked, &sent);
    }
}

#[test]
fn the_list_of_models_is_read() {
    let expected = json!({"listed": [
        {"id": "maker/large", "type": "chat", "capabilities": ["vision", "reasoning"], "owner": "deepinfra",
            "context_length": 131_072, "pricing": {"prompt": 0.05, "cached_prompt": 0.01, "completion": 0.45}},
        {"id": "maker/vectors", "type": "chat", "capabilities": [], "owner": "deepinfra"},
    ]});
    check(&json!({}), &json!({}), &expected);
}

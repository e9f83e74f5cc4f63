//! What Together AI is sent, and what is read of its list of models.

use patchbay_plugin_api::testing::outline;
use serde_json::json;

use super::*;

fn check(config: &Value, asked: &Value, expected: &Value) {
    let outline = outline::<Http<OpenAi<Together>>>(DEFAULTS, config, asked, include_str!("models.json"));
    for (part, expected) in expected.as_object().unwrap() {
        assert_eq!(&outline[part], expected, "{part}");
    }
}

#[test]
fn requests_go_to_together() {
    let expected = json!({
        "chat": "https://api.together.ai/v1/chat/completions",
        "completions": "https://api.together.ai/v1/completions",
        "embeddings": "https://api.together.ai/v1/embeddings",
        "models": "https://api.together.ai/v1/models",
        "credentials": "https://api.together.ai/v1/models",
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
        {"id": "maker/chatty", "name": "Maker Chatty", "type": "chat", "capabilities": [], "owner": "Maker",
            "context_length": 131_072, "created": 1_750_000_000, "pricing": {"prompt": 0.88, "completion": 1.2}},
        {"id": "maker/vectors", "name": "Maker Vectors", "type": "embedding", "capabilities": [],
            "owner": "Maker", "context_length": 512, "pricing": {"prompt": 0.02, "completion": 0.0}},
        {"id": "maker/painter", "name": "Maker Painter", "type": "image", "capabilities": [], "owner": "Maker"},
    ]});
    check(&json!({}), &json!({}), &expected);
}

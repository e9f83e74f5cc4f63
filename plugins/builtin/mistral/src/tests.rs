//! What Mistral is sent, and what is read of its list of models.

use patchbay_plugin_api::testing::outline;
use serde_json::json;

use super::*;

fn check(config: &Value, asked: &Value, expected: &Value) {
    let outline = outline::<Http<OpenAi<Mistral>>>(DEFAULTS, config, asked, include_str!("models.json"));
    for (part, expected) in expected.as_object().unwrap() {
        assert_eq!(&outline[part], expected, "{part}");
    }
}

#[test]
fn requests_go_to_mistral() {
    let expected = json!({
        "chat": "https://api.mistral.ai/v1/chat/completions",
        "completions": null,
        "embeddings": "https://api.mistral.ai/v1/embeddings",
        "models": "https://api.mistral.ai/v1/models",
        "credentials": "https://api.mistral.ai/v1/models",
        "headers": {"authorization": "Bearer {{key}}"},
    });
    check(&json!({}), &json!({}), &expected);
}

#[test]
fn what_mistral_refuses_is_dropped_or_renamed() {
    let asked = json!({"stream": true, "stream_options": {"include_usage": true}, "user": "u", "store": false,
        "logprobs": false, "top_logprobs": 2, "logit_bias": {}, "service_tier": "auto", "prompt_cache_key": "k",
        "safety_identifier": "s", "verbosity": "low", "max_completion_tokens": 5, "seed": 1, "n": 2,
        "parallel_tool_calls": false, "safe_prompt": true});
    let sent = json!({"model": "mistral-small-latest", "stream": true, "max_tokens": 5, "random_seed": 1,
        "n": 2, "parallel_tool_calls": false, "safe_prompt": true});
    check(&json!({}), &asked, &json!({"body": sent}));
}

#[test]
fn the_list_of_models_is_read() {
    let expected = json!({"listed": [
        {"id": "mistral-small-latest", "name": "mistral-small-2603", "type": "chat", "owner": "mistralai",
            "context_length": 131_072, "created": 1_770_000_000,
            "capabilities": ["streaming", "function_calling", "vision", "reasoning"]},
        {"id": "mistral-embed", "name": "mistral-embed", "type": "embedding", "owner": "mistralai",
            "context_length": 8192, "created": 1_770_000_000, "capabilities": []},
        {"id": "mistral-ocr-latest", "type": "ocr", "owner": "mistralai", "context_length": 16_384,
            "created": 1_770_000_000, "capabilities": ["vision"]},
    ]});
    check(&json!({}), &json!({}), &expected);
}

//! What Groq is sent, and what is read of its list of models.

use patchbay_plugin_api::testing::outline;
use serde_json::json;

use super::*;

fn check(config: &Value, asked: &Value, expected: &Value) {
    let outline = outline::<Http<OpenAi<Groq>>>(DEFAULTS, config, asked, include_str!("models.json"));
    for (part, expected) in expected.as_object().unwrap() {
        assert_eq!(&outline[part], expected, "{part}");
    }
}

#[test]
fn requests_go_to_groq() {
    let expected = json!({
        "chat": "https://api.groq.com/openai/v1/chat/completions",
        "completions": null,
        "embeddings": null,
        "models": "https://api.groq.com/openai/v1/models",
        "credentials": "https://api.groq.com/openai/v1/models",
        "headers": {"authorization": "Bearer {{key}}"},
    });
    check(&json!({}), &json!({}), &expected);
}

#[test]
fn what_groq_refuses_is_not_sent() {
    let asked = json!({"stream": true, "logprobs": false, "top_logprobs": 2, "logit_bias": {"1": 1}, "store": true,
        "metadata": {}, "prompt_cache_key": "k", "safety_identifier": "s", "verbosity": "low",
        "user": "u", "seed": 1, "n": 1, "max_completion_tokens": 5});
    let sent = json!({"model": "openai/gpt-oss-120b", "stream": true, "stream_options": {"include_usage": true},
        "user": "u", "seed": 1, "n": 1, "max_completion_tokens": 5});
    check(&json!({}), &asked, &json!({"body": sent}));
}

#[test]
fn the_list_of_models_is_read() {
    let expected = json!({"listed": [
        {"id": "openai/gpt-oss-120b", "type": "chat", "capabilities": [], "owner": "OpenAI",
            "context_length": 131_072, "created": 1_754_408_224},
        {"id": "whisper-large-v3", "type": "audio", "capabilities": [], "owner": "OpenAI", "context_length": 448,
            "created": 1_693_721_698},
    ]});
    check(&json!({}), &json!({}), &expected);
}

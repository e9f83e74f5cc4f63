//! What cannot be done, and what Google says when it fails.

use std::time::Duration;

use super::*;

fn said(status: u16, word: &str, message: &str, details: &Value) -> Reply {
    let body = json!({"error": {"code": status, "status": word, "message": message, "details": details}});
    Reply::new(status).header("content-type", "application/json").body(body.to_string())
}

fn fails(reply: Reply) -> patchbay_plugin_api::ProviderError {
    complete(&json!({"messages": [{"role": "user", "content": "Hi"}]}), reply).unwrap_err()
}

#[test]
fn failures_have_their_kinds() {
    let none = json!([]);
    let unknown_key = json!([
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"},
    ]);
    let long = "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).";
    for (reply, kind, code) in [
        (said(400, "INVALID_ARGUMENT", "API key not valid.", &unknown_key), ErrorKind::Authentication, None),
        (said(403, "PERMISSION_DENIED", "no", &none), ErrorKind::Authentication, None),
        (said(400, "INVALID_ARGUMENT", "bad", &none), ErrorKind::InvalidInput, Some("INVALID_ARGUMENT")),
        (
            said(400, "INVALID_ARGUMENT", long, &none),
            ErrorKind::InvalidInput,
            Some("context_length_exceeded"),
        ),
        (said(400, "FAILED_PRECONDITION", "pay", &none), ErrorKind::Provider, Some("FAILED_PRECONDITION")),
        (said(404, "NOT_FOUND", "no model", &none), ErrorKind::Provider, Some("model_not_found")),
        (said(429, "RESOURCE_EXHAUSTED", "slow", &none), ErrorKind::RateLimited, Some("RESOURCE_EXHAUSTED")),
        (
            said(503, "UNAVAILABLE", "The model is overloaded.", &none),
            ErrorKind::Provider,
            Some("UNAVAILABLE"),
        ),
        (said(504, "DEADLINE_EXCEEDED", "late", &none), ErrorKind::TimedOut, Some("DEADLINE_EXCEEDED")),
        (Reply::json("<html>"), ErrorKind::UnreadableAnswer, None),
        (Reply::json("{}"), ErrorKind::UnreadableAnswer, None),
        (Reply::new(502).body("<html>"), ErrorKind::Provider, None),
    ] {
        let error = fails(reply);
        assert_eq!((error.kind, error.code.as_deref()), (kind, code), "{error}");
    }
    // Nothing of what is said about a key is logged.
    assert_eq!(fails(said(400, "INVALID_ARGUMENT", "no", &unknown_key)).detail, None);
}

#[test]
fn a_limit_says_when_it_ends() {
    let wait =
        |delay: &str| json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]);
    for (delay, expected) in [
        ("34s", Some(Duration::from_secs(34))),
        ("0.5s", Some(Duration::from_millis(500))),
        ("soon", None),
        ("-1s", None),
    ] {
        let error = fails(said(429, "RESOURCE_EXHAUSTED", "slow", &wait(delay)));
        assert_eq!((error.kind, error.retry_after), (ErrorKind::RateLimited, expected), "{delay}");
    }
    // What stands in the header is said to everybody.
    let both = said(429, "RESOURCE_EXHAUSTED", "slow", &wait("34s")).header("retry-after", "2");
    assert_eq!(fails(both).retry_after, Some(Duration::from_secs(2)));
    // Streams are refused in a list.
    let listed = json!([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": wait("3s")}}]);
    assert_eq!(fails(Reply::new(429).body(listed.to_string())).retry_after, Some(Duration::from_secs(3)));
}

#[test]
fn a_failure_within_an_answer_is_one() {
    let text = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}}]});
    let failed = json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}});
    let (chunks, error) = stream(Reply::sse(sse(&[text.clone(), failed.clone()])));
    assert_eq!((chunks, error), (vec![Chunk::text("a")], Some(ErrorKind::Provider)));
    assert_eq!(fails(Reply::json(failed.to_string())).status, Some(503));

    for reason in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"] {
        let ended = json!({"candidates": [{"finishReason": reason, "finishMessage": "call(1"}]});
        let error = fails(Reply::json(ended.to_string()));
        assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Provider, Some(reason)));
        assert_eq!(error.detail.as_deref(), Some("call(1"));
        assert_eq!(stream(Reply::sse(sse(&[text.clone(), ended]))).1, Some(ErrorKind::Provider));
    }
}

#[test]
fn what_cannot_be_translated_is_refused() {
    let user = json!({"role": "user", "content": "Hi"});
    let calls = json!({"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "["}}]});
    let content = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let image = |url: &str| content(json!({"type": "image_url", "image_url": {"url": url}}));
    for (asked, kind, says) in [
        (json!({"messages": [user], "n": 2}), ErrorKind::Unsupported, "several answers"),
        (
            json!({"messages": [user], "tools": [{"type": "web"}]}),
            ErrorKind::Unsupported,
            "tools of type `web`",
        ),
        (json!({"messages": [user], "model": "a/../b?c"}), ErrorKind::Provider, "no model of this name"),
        (
            json!({"messages": [user], "reasoning_effort": "much"}),
            ErrorKind::InvalidInput,
            "`reasoning_effort`",
        ),
        (
            json!({"messages": [user], "response_format": {"type": "x"}}),
            ErrorKind::InvalidInput,
            "`response_format`",
        ),
        (json!({"messages": [user, calls]}), ErrorKind::Unsupported, "arguments that are not a JSON object"),
        (json!({"messages": [{"role": "critic", "content": ""}]}), ErrorKind::InvalidInput, "role `critic`"),
        (
            json!({"messages": [{"role": "tool", "tool_call_id": "y", "content": ""}]}),
            ErrorKind::InvalidInput,
            "the id `y`",
        ),
        (content(json!({"type": "scent"})), ErrorKind::Unsupported, "parts of type `scent`"),
        (content(json!({"type": "file", "file": {"file_id": "1"}})), ErrorKind::Unsupported, "`file_data`"),
        (image("data:image/png"), ErrorKind::InvalidInput, "no data"),
        (image("data:image/png,x"), ErrorKind::InvalidInput, "base64"),
        (image("data:;base64,x"), ErrorKind::InvalidInput, "its type"),
    ] {
        let error = complete(&asked, Reply::new(500)).unwrap_err();
        assert_eq!(error.kind, kind, "{asked}: {error}");
        assert!(error.message.contains(says), "{asked}: {error}");
    }
}

//! What conversations may hold. A plugin may refuse what it does not do; it may not fall over it.

use bytes::Bytes;
use patchbay_plugin_api::ErrorKind;
use serde_json::{Value, json};

use super::report::{Findings, Outcome};
use super::stand::Stand;
use super::upstream::Reply;
use crate::plugins::job::Operation;

pub(super) async fn anything(stand: &Stand) -> Outcome {
    let provider = match stand.usual().await {
        Ok(provider) => provider,
        Err(error) => return Outcome::failed(error.to_string()),
    };
    if let Some(answer) = &stand.captures.answer {
        stand.upstream.answers(Reply::json(answer));
    }
    let mut findings = Findings::default();
    for (what, members) in conversations() {
        let body = Bytes::from(members.to_string());
        let Err(error) = stand.ask(&provider, Operation::Complete, body).await else { continue };
        let problem = match error.kind {
            ErrorKind::Panicked => format!("it panics over {what}: {error}"),
            ErrorKind::TimedOut => format!("it comes to no end with {what}"),
            _ => continue,
        };
        if !findings.add(problem) {
            break;
        }
    }
    findings.outcome()
}

/// Requests, and what is in them.
fn conversations() -> Vec<(&'static str, Value)> {
    let said = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let with = |name: &str, value: Value| {
        let mut asked = said("hi".into());
        asked[name] = value;
        asked
    };
    let call = json!({ "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let tool = json!({ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } });
    let image = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0KGgo=" } });
    let schema =
        json!({ "type": "json_schema", "json_schema": { "name": "s", "schema": { "type": "object" } } });
    vec![
        ("no text", said("".into())),
        ("a text of one letter of four bytes", said("\u{1F600}".into())),
        ("letters of several bytes", said("\u{e9}\u{6f22}\u{5b57}\u{1F600}\u{202e}\u{5d0}\u{0}\"\\".into())),
        ("a long text", said("a long text, ".repeat(10_000).into())),
        ("a text in parts", said(json!([{ "type": "text", "text": "h" }, { "type": "text", "text": "i" }]))),
        ("an image", said(json!([{ "type": "text", "text": "hi" }, image]))),
        ("a part of a type that it does not know", said(json!([{ "type": "smell", "smell": 7 }]))),
        (
            "several turns",
            json!({ "messages": [
                { "role": "system", "content": "be brief" },
                { "role": "user", "content": "hi" },
                { "role": "assistant", "content": "hello" },
                { "role": "user", "content": "and now?" },
            ] }),
        ),
        ("a tool to call", with("tools", json!([tool]))),
        (
            "a call of a tool and its result",
            json!({ "messages": [
                { "role": "user", "content": "hi" },
                { "role": "assistant", "content": null, "tool_calls": [call] },
                { "role": "tool", "tool_call_id": "c1", "content": "7" },
            ] }),
        ),
        ("a schema for the answer", with("response_format", schema)),
        ("several stops", with("stop", json!(["a", "b"]))),
        ("settings out of bounds", with("temperature", json!(-1e9))),
        ("a bound of nothing", with("max_tokens", json!(0))),
    ]
}

//! What is sent and what is read, by the cases in `cases/`: each tells a request of a client's and the body that goes
//! to Anthropic, or what Anthropic answers, whole and as the events of a stream, and what the client gets.

use std::time::Duration;

use patchbay_plugin_api::testing::conformance::{self, Operation, Subject};
use patchbay_plugin_api::testing::{Native, Reply, TestHost, block_on, call, defaults, drain, every_cut};
use patchbay_plugin_api::{Answer, Chunk, ChunkMeta, Credentials, Health, HttpProvider as _, Provider as _};

use super::*;

fn made(config: &Value) -> Result<(TestHost, Http<Translator<Anthropic>>)> {
    let mut merged = defaults::<Http<Translator<Anthropic>>>();
    merged.extend(config.as_object().unwrap().clone());
    let host = TestHost::new();
    Ok((host, host.provider(&Value::from(merged).to_string())?))
}

fn plain() -> (TestHost, Http<Translator<Anthropic>>) {
    made(&json!({})).unwrap()
}

fn sse(events: &Value) -> String {
    let event = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.as_array().unwrap().iter().map(event).collect()
}

fn meta() -> ChunkMeta {
    ChunkMeta { id: "id".into(), created: 7, model: "model".into() }
}

/// What an answer says, without what only names it.
fn answered(answer: Answer) -> Value {
    let mut answer: Value = serde_json::from_slice(&answer.into_json(&meta())).unwrap();
    let mut choice = answer["choices"][0].take();
    choice["message"].as_object_mut().unwrap().remove("role");
    json!({"message": choice["message"], "finish_reason": choice["finish_reason"], "usage": answer["usage"]})
}

/// The answer that the chunks of a stream come to.
fn gathered(chunks: Vec<Chunk>) -> Answer {
    let (mut text, mut thoughts) = (String::new(), String::new());
    let (mut calls, mut reason, mut usage) = (Vec::<ToolCall>::new(), None::<FinishReason>, None::<Usage>);
    for chunk in chunks {
        match chunk {
            Chunk::Text(more) => text += &more,
            Chunk::Reasoning(more) => thoughts += &more,
            Chunk::ToolCall { index, id: Some(id), name, arguments } => {
                assert_eq!(index as usize, calls.len(), "calls come in order");
                calls.push(ToolCall::function(id, name.unwrap(), arguments));
            }
            Chunk::ToolCall { index, arguments, .. } => {
                calls[index as usize].function.arguments += &arguments;
            }
            Chunk::Finish(why) => assert_eq!(reason.replace(why), None),
            Chunk::Usage(counts) => assert_eq!(usage.replace(counts), None),
            other => panic!("{other:?}"),
        }
    }
    let mut answer = Answer::text(text).with_usage(usage.unwrap());
    if !thoughts.is_empty() {
        answer = answer.with_reasoning(thoughts);
    }
    if !calls.is_empty() {
        answer = answer.with_tool_calls(calls);
    }
    answer.with_finish_reason(reason.unwrap())
}

/// What Anthropic is sent.
fn sent(request: &ChatRequest) -> Result<Value> {
    let defaults = Value::from(defaults::<Http<Translator<Anthropic>>>());
    let upstream: Upstream<Own> = serde_json::from_value(defaults).unwrap();
    let sent = Translator::<Anthropic>::create(upstream)?.request(request)?;
    Ok(serde_json::from_slice(&sent.body).unwrap())
}

/// What becomes of a whole answer.
fn read(replied: &str) -> Result<Answer> {
    let (host, provider) = plain();
    host.reply(Reply::json(replied));
    block_on(provider.complete(ChatRequest::ask("hi"), call()))
}

fn check(name: &str, case: &Value) {
    if let Some(asked) = case.get("asked") {
        let mut asked = asked.clone();
        asked["stream"] = case["sent"]["stream"].clone();
        let sent = sent(&ChatRequest::parse(asked.to_string().as_bytes()).unwrap());
        match case.get("refused") {
            Some(refused) => assert_eq!(sent.unwrap_err().message, refused.as_str().unwrap(), "{name}"),
            None => assert_eq!(sent.unwrap(), case["sent"], "{name}: what is sent"),
        }
    }
    if let Some(failed) = case.get("failed") {
        let reply = Reply::new(u16::try_from(case["status"].as_u64().unwrap()).unwrap());
        let headers = case["headers"].as_object().into_iter().flatten();
        let reply = headers.fold(reply, |reply, (name, value)| reply.header(name, value.as_str().unwrap()));
        let (host, provider) = plain();
        host.reply(reply.body(case["replied"].to_string()));
        let error = block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap_err();
        let told = json!({"kind": error.kind, "message": error.message, "code": error.code,
            "wait": error.retry_after.as_ref().map(Duration::as_secs)});
        assert_eq!(&told, failed, "{name}: what is told");
    } else if let Some(replied) = case.get("replied") {
        let answer = read(&replied.to_string()).unwrap();
        assert_eq!(answered(answer), case["answered"], "{name}: what is answered");
    }
    if let Some(events) = case.get("events") {
        let body = sse(events);
        let chunks = |reply: Reply| {
            let (host, provider) = plain();
            host.reply(reply);
            let (chunks, error) = drain(block_on(provider.stream(ChatRequest::ask("hi"), call())).unwrap());
            assert_eq!(error, None, "{name}");
            chunks
        };
        let whole = chunks(Reply::sse(&*body));
        assert_eq!(answered(gathered(whole.clone())), case["answered"], "{name}: what is streamed");
        for pieces in every_cut(body.as_bytes()) {
            assert_eq!(chunks(Reply::sse("").pieces(pieces)), whole, "{name}");
        }
    }
}

#[test]
fn every_case_is_translated() {
    let mut names = Vec::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/cases")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let case = std::fs::read(&path).unwrap();
        check(&name, &serde_json::from_slice(&case).unwrap_or_else(|error| panic!("{name}: {error}")));
        names.push(name);
    }
    assert!(names.len() > 20, "{names:?}");
}

#[test]
fn it_conforms() {
    let message = json!({"content": [{"type": "text", "text": "All."}], "stop_reason": "end_turn"});
    let events = json!([
        {"type": "message_start", "message": {"content": []}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "All."}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]);
    // Each case takes the kind of answer that its operation asked for, from a script made for it alone.
    struct Scripted(String, String);
    impl Scripted {
        fn with(&self, reply: Reply) -> Native {
            let host = TestHost::new();
            host.reply(reply);
            Native::create::<Http<Translator<Anthropic>>>(
                host,
                r#"{"base_url": "https://x.test", "model": "m"}"#,
            )
            .unwrap()
        }
    }
    impl Subject for Scripted {
        fn ask(&self, operation: Operation, body: &[u8]) -> Result<Vec<u8>> {
            let list = r#"{"data": []}"#;
            let answer = if operation == Operation::Complete { &self.0 } else { list };
            self.with(Reply::json(answer)).ask(operation, body)
        }

        fn stream(&self, body: &[u8], batches: usize) -> Result<conformance::Streamed> {
            self.with(Reply::sse(&*self.1)).stream(body, batches)
        }
    }
    conformance::check(&Scripted(message.to_string(), sse(&events)));
}

#[test]
fn requests_carry_the_key_and_what_the_operator_says() {
    let (host, provider) = plain();
    host.reply(Reply::json(r#"{"content": []}"#));
    block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap();
    let sent = &host.requests()[0];
    assert_eq!((&*sent.method, &*sent.url), ("POST", "https://api.anthropic.com/v1/messages"));
    assert_eq!(sent.header("x-api-key"), Some("{{key}}"));
    assert_eq!((sent.header("anthropic-version"), sent.header("authorization")), (Some("2023-06-01"), None));
    assert_eq!(sent.json()["model"], "claude-sonnet-5-5");

    let config = json!({"base_url": "https://x.test/", "model": "a", "max_tokens": 9,
        "extra_headers": {"Anthropic-Version": "2099", "anthropic-beta": "b"}});
    let (host, provider) = made(&config).unwrap();
    host.reply(Reply::json(r#"{"content": []}"#));
    block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap();
    let sent = &host.requests()[0];
    assert_eq!((&*sent.url, sent.header("anthropic-beta")), ("https://x.test/messages", Some("b")));
    assert_eq!((sent.header("Anthropic-Version"), sent.header("anthropic-version")), (Some("2099"), None));
    assert_eq!((&sent.json()["model"], &sent.json()["max_tokens"]), (&"a".into(), &9.into()));
}

#[test]
fn a_stream_that_is_cut_before_its_end_is_broken() {
    let case: Value = serde_json::from_str(include_str!("cases/tool-call.json")).unwrap();
    let body = sse(&case["events"]);
    let end = body.rfind("}\n\n").unwrap();
    for cut in 0..end {
        let (host, provider) = plain();
        host.reply(Reply::sse(&body.as_bytes()[..cut]));
        let (_, error) = drain(block_on(provider.stream(ChatRequest::ask("hi"), call())).unwrap());
        assert_eq!(error.map(|error| error.kind), Some(ErrorKind::BrokenStream), "cut at {cut}");
    }
}

#[test]
fn an_error_within_a_stream_ends_it() {
    for (kind, message, expected) in [
        ("overloaded_error", "Overloaded", (ErrorKind::Provider, Some(529), "overloaded_error")),
        ("rate_limit_error", "slow", (ErrorKind::RateLimited, Some(429), "rate_limit_error")),
        ("invented_error", "odd", (ErrorKind::Provider, Some(500), "invented_error")),
    ] {
        let body = sse(&json!([
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
            {"type": "error", "error": {"type": kind, "message": message}},
            {"type": "message_stop"},
        ]));
        let (host, provider) = plain();
        host.reply(Reply::sse(body));
        let (chunks, error) = drain(block_on(provider.stream(ChatRequest::ask("hi"), call())).unwrap());
        let error = error.unwrap();
        assert_eq!(chunks, [Chunk::text("a")]);
        assert_eq!((error.kind, error.status, error.code.as_deref().unwrap()), expected);
        assert_eq!(error.message, format!("the provider failed: {message}"));
        let whole = json!({"type": "error", "error": {"type": kind, "message": message}});
        assert_eq!(read(&whole.to_string()).unwrap_err(), error);
    }
    for body in ["<html>", "{}", "[]"] {
        assert_eq!(read(body).unwrap_err().kind, ErrorKind::UnreadableAnswer, "{body}");
    }
}

#[test]
fn the_list_of_models_is_read() {
    let (host, provider) = plain();
    host.reply(Reply::json(include_str!("models.json"))).reply(Reply::json("{}"));
    host.reply(Reply::new(401)).reply(Reply::new(529));
    let models = block_on(provider.models(call())).unwrap();
    assert_eq!(
        json!(models),
        json!([
            {"id": "claude-sonnet-5-5", "name": "Claude Sonnet 5.5", "type": "chat", "owner": "Anthropic",
                "context_length": 1_000_000, "created": 1_790_553_600,
                "capabilities": ["streaming", "function_calling", "vision", "json_output", "reasoning"]},
            {"id": "claude-old", "name": "Claude Old", "type": "chat", "owner": "Anthropic", "capabilities": []},
        ])
    );
    assert_eq!(host.requests()[0].url, "https://api.anthropic.com/v1/models?limit=1000");
    assert_eq!(block_on(provider.credentials(call())), Ok(Credentials::Valid));
    assert_eq!(host.requests()[1].url, "https://api.anthropic.com/v1/models?limit=1");
    assert!(matches!(block_on(provider.credentials(call())), Ok(Credentials::Invalid { .. })));
    assert!(matches!(block_on(provider.health(call())), Ok(Health::Busy { .. })));

    let (host, provider) = made(&json!({"models": ["claude-sonnet-5-5"]})).unwrap();
    assert_eq!(block_on(provider.models(call())).unwrap(), [Model::new("claude-sonnet-5-5")]);
    assert!(host.requests().is_empty());
}

#[test]
fn a_wrong_configuration_is_refused_in_a_sentence() {
    for (config, says) in [
        (json!({"base_url": "x.test"}), "must begin with https://"),
        (json!({"base_url": "https://x.test/v1/messages"}), "where the API begins"),
        (json!({"base_url": "https:///v1"}), "names no host"),
        (json!({"models": ["b"]}), "`model` is `claude-sonnet-5-5`, which is not among"),
        (json!({"max_tokens": 0}), "`max_tokens` is not usable"),
        (json!({"extra_headers": {"a b": "c"}}), "not the name of a header"),
    ] {
        let error = made(&config).err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains(says), "{config}: {error}");
    }
}

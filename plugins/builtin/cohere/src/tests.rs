//! What Cohere is sent, and what is read of what it answers, by the cases in `cases/`.

use std::time::Duration;

use patchbay_plugin_api::testing::conformance::{self, Operation, Subject};
use patchbay_plugin_api::testing::{Native, Reply, TestHost, block_on, call, defaults, drain, every_cut};
use patchbay_plugin_api::{Answer, Chunk, ChunkMeta, Credentials, Embeddings, Health, Provider as _};

use super::*;

fn made(config: &Value) -> Result<(TestHost, Http<Translator<Cohere>>)> {
    let mut merged = defaults::<Http<Translator<Cohere>>>();
    merged.extend(config.as_object().unwrap().clone());
    let host = TestHost::new();
    Ok((host, host.provider(&Value::from(merged).to_string())?))
}

fn plain() -> (TestHost, Http<Translator<Cohere>>) {
    made(&json!({})).unwrap()
}

fn case(name: &str) -> Value {
    let path = format!("{}/src/cases/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let read = std::fs::read(&path).unwrap();
    serde_json::from_slice(&read).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Events as Cohere writes them.
fn sse(events: &Value) -> String {
    let event = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.as_array().unwrap().iter().map(event).collect()
}

fn stream(reply: Reply) -> (Vec<Chunk>, Option<ProviderError>) {
    let (host, provider) = plain();
    host.reply(reply);
    drain(block_on(provider.stream(ChatRequest::ask("hi"), call())).unwrap())
}

/// What an answer says, without what only names it.
fn answered(answer: Answer) -> Value {
    let meta = ChunkMeta { id: "id".into(), created: 7, model: "model".into() };
    let mut answer: Value = serde_json::from_slice(&answer.into_json(&meta)).unwrap();
    let mut choice = answer["choices"][0].take();
    choice["message"].as_object_mut().unwrap().remove("role");
    json!({"message": choice["message"], "finish_reason": choice["finish_reason"], "usage": answer["usage"]})
}

/// The answer that the chunks of a stream come to.
fn gathered(chunks: Vec<Chunk>) -> Answer {
    let answer = Chunks::gather(|out| {
        chunks.into_iter().for_each(|chunk| out.push(chunk));
        out.finish();
        Ok(())
    });
    answer.unwrap()
}

fn told(error: &ProviderError) -> Value {
    let wait = error.retry_after.as_ref().map(Duration::as_secs);
    json!({"kind": error.kind, "message": error.message, "code": error.code, "param": error.param, "wait": wait})
}

/// A case has `asked` and `sent`, what a client asks and what Cohere is sent; `replied`, what Cohere answers, or
/// `events`, the same as a stream; and `answered`, what becomes of both, or `failed`, why nothing does.
fn check(name: &str) {
    let case = case(name);
    if let Some(asked) = case.get("asked") {
        check_request(name, asked, &case);
    }
    if let Some(replied) = case.get("replied") {
        let status = u16::try_from(case["status"].as_u64().unwrap_or(200)).unwrap();
        let headers = case["headers"].as_object().into_iter().flatten();
        let reply = headers
            .fold(Reply::new(status), |reply, (name, value)| reply.header(name, value.as_str().unwrap()));
        let (host, provider) = plain();
        host.reply(reply.body(replied.to_string()));
        match block_on(provider.complete(ChatRequest::ask("hi"), call())) {
            Ok(answer) => assert_eq!(answered(answer), case["answered"], "{name}: what is answered"),
            Err(error) => assert_eq!(told(&error), case["failed"], "{name}: why it failed"),
        }
    }
    if let Some(events) = case.get("events") {
        let body = sse(events);
        let (chunks, error) = stream(Reply::sse(&*body));
        assert_eq!(error.as_ref().map_or(Value::Null, told), case["failed"], "{name}: why its stream failed");
        for pieces in every_cut(body.as_bytes()) {
            assert_eq!(stream(Reply::sse("").pieces(pieces)), (chunks.clone(), error.clone()), "{name}");
        }
        assert_eq!(stream(Reply::sse(&*body).byte_by_byte()), (chunks.clone(), error.clone()), "{name}");
        if error.is_none() {
            assert_eq!(answered(gathered(chunks)), case["answered"], "{name}: what is streamed");
        }
    }
}

fn check_request(name: &str, asked: &Value, case: &Value) {
    let asked = || ChatRequest::parse(asked.to_string().as_bytes()).unwrap();
    let (host, provider) = plain();
    host.reply(Reply::new(500)).reply(Reply::new(500));
    let error = block_on(provider.complete(asked(), call())).unwrap_err();
    block_on(provider.stream(asked(), call())).unwrap_err();
    let Some(sent) = case.get("sent") else {
        assert_eq!(told(&error), case["failed"], "{name}: why it is refused");
        return assert!(host.requests().is_empty(), "{name}");
    };
    let mut sent = sent.clone();
    assert_eq!(host.requests()[0].json(), sent, "{name}: what is sent");
    sent["stream"] = true.into();
    assert_eq!(host.requests()[1].json(), sent, "{name}: what is sent for a stream");
}

#[test]
fn every_case_is_translated() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/cases")).unwrap();
    let names = files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    let names: Vec<String> = names.collect();
    assert!(names.len() > 30, "{names:?}");
    names.iter().for_each(|name| check(name));
}

#[test]
fn a_stream_that_is_cut_before_its_end_is_broken() {
    let body = sse(&case("parallel-tools")["events"]);
    for cut in 0..body.rfind("}\n\n").unwrap() {
        let (_, error) = stream(Reply::sse(&body.as_bytes()[..cut]));
        assert_eq!(error.map(|error| error.kind), Some(ErrorKind::BrokenStream), "cut at {cut}");
    }
}

#[test]
fn what_is_no_answer_is_unreadable() {
    for body in ["<html>", "{}", r#"{"message": 1}"#] {
        let (host, provider) = plain();
        host.reply(Reply::json(body));
        let error = block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap_err();
        assert_eq!(error.kind, ErrorKind::UnreadableAnswer, "{body}");
        let (_, error) = stream(Reply::sse(format!("data: {body}\n\n")));
        assert_eq!(error.unwrap().kind, ErrorKind::UnreadableAnswer, "{body}");
    }
}

#[test]
fn requests_go_where_they_are_configured_to_go() {
    let (host, provider) = plain();
    host.reply(Reply::new(500));
    block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap_err();
    let sent = &host.requests()[0];
    assert_eq!((&*sent.method, &*sent.url), ("POST", "https://api.cohere.com/v2/chat"));
    assert_eq!(sent.header("authorization"), Some("Bearer {{key}}"));
    assert_eq!(sent.json()["model"], "command-a-plus-05-2026");

    let config =
        json!({"base_url": "https://x.test/co/", "model": "m", "extra_headers": {"x-client-name": "t"}});
    let (host, provider) = made(&config).unwrap();
    host.reply(Reply::new(500));
    block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap_err();
    let sent = &host.requests()[0];
    assert_eq!((&*sent.url, sent.header("x-client-name")), ("https://x.test/co/v2/chat", Some("t")));
    assert_eq!(sent.json()["model"], "m");

    let (host, provider) = made(&json!({"model": null})).unwrap();
    let error = block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap_err();
    assert_eq!((error.kind, error.param.as_deref()), (ErrorKind::Unsupported, Some("model")));
    assert!(host.requests().is_empty() && provider.plan().is_none());
}

#[test]
fn texts_become_vectors() {
    let (host, provider) = plain();
    let replied = json!({"id": "e-1", "embeddings": {"float": [[1, 0.5], [0, 2]]}, "texts": ["a", "b"],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4}}});
    host.reply(Reply::json(replied.to_string())).reply(Reply::json("{}"));
    let asked =
        br#"{"model": "embed-v4.0", "input": ["a", "b"], "dimensions": 256, "input_type": "search_query",
        "truncate": "NONE", "user": "u"}"#;
    let vectors = block_on(provider.embed(EmbedRequest::parse(asked).unwrap(), call())).unwrap();
    assert_eq!(vectors, Embeddings::new(vec![vec![1.0, 0.5], vec![0.0, 2.0]]).with_usage(Usage::new(4, 0)));
    assert_eq!(&*host.requests()[0].url, "https://api.cohere.com/v2/embed");
    let sent = json!({"model": "embed-v4.0", "texts": ["a", "b"], "embedding_types": ["float"],
        "input_type": "search_query", "output_dimension": 256, "truncate": "NONE"});
    assert_eq!(host.requests()[0].json(), sent);

    let ask = |body: &[u8]| block_on(provider.embed(EmbedRequest::parse(body).unwrap(), call())).unwrap_err();
    assert_eq!(ask(br#"{"input": "a"}"#).kind, ErrorKind::UnreadableAnswer);
    assert_eq!(host.requests()[1].json()["input_type"], "search_document");
    assert_eq!(ask(br#"{"input": [1]}"#).kind, ErrorKind::InvalidInput);
}

#[test]
fn the_list_of_models_is_read() {
    let (host, provider) = plain();
    host.reply(Reply::json(include_str!("models.json"))).reply(Reply::json("{}"));
    host.reply(Reply::new(401)).reply(Reply::new(503));
    let models = block_on(provider.models(call())).unwrap();
    assert_eq!(
        json!(models),
        json!([
            {"id": "command-a-plus-05-2026", "type": "chat", "owner": "Cohere", "context_length": 128_000,
                "capabilities": ["streaming", "function_calling", "vision", "json_output", "reasoning"]},
            {"id": "embed-v4.0", "type": "embedding", "owner": "Cohere", "context_length": 128_000,
                "capabilities": []},
            {"id": "rerank-v4.0-pro", "type": "rerank", "owner": "Cohere", "capabilities": []},
            {"id": "command-of-ones-own", "type": "chat", "owner": "Cohere", "capabilities": []},
        ])
    );
    assert_eq!(host.requests()[0].url, "https://api.cohere.com/v1/models?page_size=1000");
    assert_eq!(block_on(provider.credentials(call())), Ok(Credentials::Valid));
    assert_eq!(host.requests()[1].url, "https://api.cohere.com/v1/models?page_size=1");
    assert!(matches!(block_on(provider.credentials(call())), Ok(Credentials::Invalid { .. })));
    assert!(matches!(block_on(provider.health(call())), Ok(Health::Busy { .. })));

    let (host, provider) = made(&json!({"model": "only", "models": ["only"]})).unwrap();
    assert_eq!(block_on(provider.models(call())).unwrap(), [Model::new("only")]);
    assert!(host.requests().is_empty());
}

#[test]
fn it_does_what_every_provider_must_do() {
    // Each case takes the kind of answer that its operation asked for, from a script made for it alone.
    struct Scripted;
    impl Scripted {
        fn with(reply: Reply) -> Native {
            let host = TestHost::new();
            host.reply(reply);
            Native::create::<Http<Translator<Cohere>>>(host, r#"{"base_url": "https://x.test"}"#).unwrap()
        }
    }
    impl Subject for Scripted {
        fn ask(&self, operation: Operation, body: &[u8]) -> Result<Vec<u8>> {
            let list = json!({"models": []});
            let answer =
                if operation == Operation::Complete { case("plain")["replied"].take() } else { list };
            Self::with(Reply::json(answer.to_string())).ask(operation, body)
        }

        fn stream(&self, body: &[u8], batches: usize) -> Result<conformance::Streamed> {
            Self::with(Reply::sse(sse(&case("plain")["events"]))).stream(body, batches)
        }
    }
    conformance::check(&Scripted);
}

#[test]
fn a_wrong_configuration_is_refused_in_a_sentence() {
    for (config, says) in [
        (json!({"base_url": "api.cohere.com"}), "must begin with https://"),
        (json!({"base_url": "https://api.cohere.com/v2/"}), "such as https://api.cohere.com"),
        (json!({"base_url": "https://api.cohere.ai/compatibility/v1"}), "such as https://api.cohere.com"),
        (json!({"base_url": "https:///x"}), "names no host"),
        (json!({"models": ["b"]}), "`model` is `command-a-plus-05-2026`, which is not among"),
        (json!({"extra_headers": {"a b": "c"}}), "not the name of a header"),
    ] {
        let error = made(&config).err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains(says), "{config}: {error}");
    }
}

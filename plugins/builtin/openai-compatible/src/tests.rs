//! Everything the provider does when it is asked itself, without a network.

use std::time::Duration;

use patchbay_plugin_api::abi::chunk_flags::{CONTENT, FINISH, USAGE};
use patchbay_plugin_api::openai::OpenAi;
use patchbay_plugin_api::testing::{Reply, TestHost, block_on, call, drain, every_cut};
use patchbay_plugin_api::{
    Answer, ChatRequest, Chunk, Credentials, ErrorKind, Health, Http, Provider as _, ProviderError, Result,
};

use crate::AnyServer;

const CONFIG: &str = r#"{"base_url": "https://x.test/v1/", "model": "tiny", "organization": "us",
    "extra_headers": {"x-title": "t"}, "name": "keys of the host are ignored"}"#;
const ANSWER: &str = r#"{"id": "1", "choices": [{"message": {"content": "hi"}}], "kept": true}"#;
const STREAM: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    ": keep-alive\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"h\u{e9}\"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n",
    "data: [DONE]\n\n",
);

fn make(config: &str) -> Result<(TestHost, Http<OpenAi<AnyServer>>)> {
    let host = TestHost::new();
    Ok((host, host.provider(config)?))
}

fn complete(reply: Reply) -> Result<Answer> {
    let (host, provider) = make(CONFIG)?;
    host.reply(reply);
    block_on(provider.complete(ChatRequest::ask("hello"), call()))
}

fn stream(reply: Reply) -> (Vec<u32>, Option<ProviderError>) {
    let (host, provider) = make(CONFIG).unwrap();
    host.reply(reply);
    let (chunks, error) = drain(block_on(provider.stream(ChatRequest::ask("hello"), call())).unwrap());
    (chunks.iter().map(Chunk::flags).collect(), error)
}

#[test]
fn a_request_is_sent_as_configured_and_its_answer_passed_on() {
    let (host, provider) = make(CONFIG).unwrap();
    host.reply(Reply::json(ANSWER));
    let answer = block_on(provider.complete(ChatRequest::ask("hello"), call())).unwrap();
    assert_eq!(answer, Answer::raw(ANSWER));
    let sent = &host.requests()[0];
    assert_eq!((&*sent.method, &*sent.url), ("POST", "https://x.test/v1/chat/completions"));
    assert_eq!(sent.header("authorization"), Some("Bearer {{key}}"));
    assert_eq!((sent.header("openai-organization"), sent.header("x-title")), (Some("us"), Some("t")));
    assert_eq!((&sent.json()["model"], &sent.json()["stream"]), (&"tiny".into(), &().into()));
}

#[test]
fn a_stream_survives_every_cut() {
    let expected = (vec![0, CONTENT, FINISH, USAGE], None);
    for pieces in every_cut(STREAM.as_bytes()) {
        assert_eq!(stream(Reply::sse("").pieces(pieces)), expected);
    }
    assert_eq!(stream(Reply::sse(STREAM).byte_by_byte()), expected);
}

#[test]
fn a_stream_that_is_cut_before_its_end_is_broken() {
    let end = STREAM.find("[DONE]").unwrap();
    for cut in 0..end {
        let (_, error) = stream(Reply::sse(&STREAM.as_bytes()[..cut]));
        assert_eq!(error.map(|error| error.kind), Some(ErrorKind::BrokenStream), "cut at {cut}");
    }
    assert_eq!(stream(Reply::sse(&STREAM[..end + 6])).1, None, "only the last empty line is missing");
}

#[test]
fn an_error_within_a_stream_ends_it() {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"message\":\"full\"}}\n\n";
    let (flags, error) = stream(Reply::sse(body));
    assert_eq!((flags, &*error.unwrap().message), (vec![CONTENT], "the provider failed: full"));
}

#[test]
fn failures_keep_their_kind() {
    let said = |status| Reply::new(status).body(r#"{"error": {"message": "because"}}"#);
    for (reply, kind) in [
        (said(401), ErrorKind::Authentication),
        (said(429), ErrorKind::RateLimited),
        (said(500), ErrorKind::Provider),
        (Reply::json("<html>"), ErrorKind::UnreadableAnswer),
        (Reply::json("{}"), ErrorKind::UnreadableAnswer),
        (Reply::unreachable(), ErrorKind::Connection),
        (Reply::json("{").then_breaks(), ErrorKind::BrokenStream),
    ] {
        assert_eq!(complete(reply).unwrap_err().kind, kind);
    }
    let limited = complete(said(429).header("retry-after", "20")).unwrap_err();
    assert_eq!(limited.retry_after, Some(Duration::from_secs(20)));
    assert_eq!(limited.message, "the provider answered 429: because");
}

#[test]
fn models_come_from_the_server_or_the_configuration() {
    let (host, provider) = make(CONFIG).unwrap();
    host.reply(Reply::json(r#"{"data": [{"id": "a"}, {"id": "b"}]}"#));
    let models = block_on(provider.models(call())).unwrap();
    assert_eq!(models.iter().map(|model| &*model.id).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(&*host.requests()[0].url, "https://x.test/v1/models");
    assert_eq!(host.requests()[0].header("authorization"), Some("Bearer {{key}}"));

    let (host, provider) = make(r#"{"base_url": "http://x", "models": ["only"]}"#).unwrap();
    assert_eq!(block_on(provider.models(call())).unwrap()[0].id, "only");
    assert!(host.requests().is_empty());
}

#[test]
fn credentials_and_health_are_asked_of_the_server() {
    let (host, provider) = make(CONFIG).unwrap();
    host.reply(Reply::json("{}")).reply(Reply::new(401)).reply(Reply::new(503));
    assert_eq!(block_on(provider.credentials(call())), Ok(Credentials::Valid));
    let message = "the provider answered 401".to_owned();
    assert_eq!(block_on(provider.credentials(call())), Ok(Credentials::Invalid { message }));
    assert_eq!(block_on(provider.health(call())), Ok(Health::busy("the provider answered 503")));
}

#[test]
fn text_completions_are_left_to_chat_where_the_server_has_none() {
    for (member, expected) in [
        ("", Some("https://x.test/v1/completions")),
        (r#", "completions": true"#, Some("https://x.test/v1/completions")),
        (r#", "completions": false"#, None),
    ] {
        let (_host, provider) = make(&format!(r#"{{"base_url": "https://x.test/v1"{member}}}"#)).unwrap();
        let endpoint = provider.plan().unwrap().completions;
        assert_eq!(endpoint.as_ref().map(|endpoint| &*endpoint.url), expected, "{member}");
    }
}

#[test]
fn a_wrong_configuration_is_refused_in_a_sentence() {
    for (config, says) in [
        ("{}", "missing field `base_url`"),
        (r#"{"base_url": "x.test"}"#, "must begin with https://"),
        (r#"{"base_url": "https://x.test/v1/chat/completions"}"#, "where the API begins"),
        (r#"{"base_url": "https:///v1"}"#, "names no host"),
        (r#"{"base_url": "https://x", "model": "a", "models": ["b"]}"#, "`model` is `a`, which is not among"),
        (r#"{"base_url": "https://x", "extra_headers": {"a b": "c"}}"#, "not the name of a header"),
        (r#"{"base_url": "https://x", "extra_headers": []}"#, "`extra_headers`"),
    ] {
        let error = make(config).err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains(says), "{config}: {error}");
    }
}

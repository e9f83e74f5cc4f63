use std::pin::pin;

use patchbay_plugin_api::ErrorKind;
use patchbay_plugin_api::testing::{Native, TestHost, block_on, call, conformance, drain, poll_once};

use super::*;

fn mock(config: &str) -> Mock {
    TestHost::new().provider(config).unwrap()
}

fn complete(text: &str) -> Result<Answer> {
    block_on(mock("{}").complete(ChatRequest::ask(text), call()))
}

/// What is streamed, the kind of error at the end, and how many milliseconds it took.
fn stream(config: &str, text: &str) -> (Vec<Chunk>, Option<ErrorKind>, u128) {
    let host = TestHost::new();
    let mock: Mock = host.provider(config).unwrap();
    let (chunks, error) = drain(block_on(mock.stream(ChatRequest::ask(text), call())).unwrap());
    (chunks, error.map(|error| error.kind), host.slept().as_millis())
}

#[test]
fn it_echoes_and_counts() {
    let answer = Answer::text("You said: hi there").with_model("mock-1").with_usage(Usage::new(2, 4));
    assert_eq!(complete("hi there").unwrap(), answer);
}

#[test]
fn it_streams_word_by_word() {
    let end = [Chunk::finish(FinishReason::Stop), Chunk::usage(Usage::new(1, 3))];
    let expected = |texts: &[&str]| texts.iter().copied().map(Chunk::text).chain(end.clone()).collect();
    assert_eq!(stream("{}", "hi"), (expected(&["You ", "said: ", "hi"]), None, 0));
    let two = r#"{"chunks": 2, "reply": "a b c"}"#;
    assert_eq!(stream(two, "hi"), (expected(&["a b ", "c"]), None, 0));
}

#[test]
fn it_takes_its_time() {
    let (chunks, _, millis) = stream(r#"{"latency_ms": 1000}"#, "mock:slow=200 mock:tokens=3 hi");
    assert_eq!((&chunks[2], millis), (&Chunk::text("word3"), 1000 + 5 * 200));
}

#[test]
fn it_fails_as_told() {
    for (told, kind) in [
        ("mock:fail", ErrorKind::Provider),
        ("please mock:fail=rate_limited", ErrorKind::RateLimited),
        ("mock:cut", ErrorKind::BrokenStream),
        ("mock:fial", ErrorKind::InvalidInput),
        ("mock:slow=fast", ErrorKind::InvalidInput),
    ] {
        assert_eq!(complete(told).unwrap_err().kind, kind, "{told}");
    }
    let (chunks, kind, _) = stream("{}", "mock:cut one two");
    assert_eq!((chunks.len(), kind), (2, Some(ErrorKind::BrokenStream)));
}

#[test]
fn a_member_of_the_request_tells_it_too() {
    let body = br#"{"messages": [], "mock": {"tokens": 2}}"#;
    let answer = block_on(mock("{}").complete(ChatRequest::parse(body).unwrap(), call())).unwrap();
    assert_eq!(answer, Answer::text("word1 word2").with_model("mock-1").with_usage(Usage::new(0, 2)));
}

#[test]
#[should_panic(expected = "told to panic midway")]
fn it_hangs_and_panics_as_told() {
    let mock = mock("{}");
    let mut answer = pin!(mock.complete(ChatRequest::ask("mock:hang"), call()));
    assert!((0..3).all(|_| poll_once(answer.as_mut()).is_pending()));
    stream("{}", "mock:panic-midway");
}

#[test]
fn it_embeds_the_same_every_time() {
    let request = EmbedRequest::parse(br#"{"input": ["a b", "c"], "dimensions": 2}"#).unwrap();
    let expected = Embeddings::new(vec![vector("a b", 2), vector("c", 2)]).with_usage(Usage::new(3, 0));
    assert_eq!(block_on(mock("{}").embed(request, call())), Ok(expected));
    assert!(vector("a", 100).iter().all(|number| (-1.0..=1.0).contains(number)));
}

#[test]
fn it_is_as_configured() {
    assert!(matches!(block_on(mock(r#"{"busy": true}"#).health(call())), Ok(Health::Busy { .. })));
    assert!(TestHost::new().provider::<Mock>(r#"{"chunks": 0}"#).is_err());
}

#[test]
fn it_does_what_every_provider_must() {
    let native = Native::create::<Mock>(TestHost::new(), "{}").unwrap();
    conformance::check(&native);
    native.close().unwrap();
}

#[test]
fn a_panic_is_an_error_of_one_call() {
    let host = TestHost::new();
    let native = Native::create::<Mock>(host, "{}").unwrap();
    let ask = |text: &str| {
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
        conformance::Subject::ask(&native, conformance::Operation::Complete, body.as_bytes())
    };
    let error = ask("mock:panic").unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Panicked, "the plugin panicked while it answered")
    );
    assert!(host.logs().iter().any(|line| line.message == "plugin panicked"), "the host is told");
    ask("hello").unwrap();
}

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::chat::{Chunk, FinishReason, Usage};
use crate::model::{Credentials, Health};
use crate::provider::Provider;
use crate::testing::{Reply, TestHost, block_on, call, drain, every_cut};
use crate::{ErrorKind, ProviderError};

/// A dialect of its own: lines of `{"say": ...}`, the last one with `"over": words so far`.
struct Lines {
    framing: Framing,
    just_ends: bool,
}

#[derive(Deserialize)]
struct LinesConfig {
    framing: String,
    #[serde(default)]
    just_ends: bool,
}

#[derive(Deserialize)]
struct Line {
    say: String,
    #[serde(default)]
    over: bool,
}

impl HttpProvider for Lines {
    type Config = LinesConfig;
    type StreamState = u64;

    fn create(config: LinesConfig) -> Result<Self> {
        let framing = if config.framing == "sse" { Framing::Sse } else { Framing::Ndjson };
        Ok(Self { framing, just_ends: config.just_ends })
    }

    fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        HttpRequest::post("https://x/talk")
            .json(&json!({"ask": request.last_user_text(), "stream": request.stream}))
    }

    fn response(&self, body: &[u8]) -> Result<Answer> {
        let line: Line =
            serde_json::from_slice(body).map_err(|error| ProviderError::unreadable(error.to_string()))?;
        Ok(Answer::text(line.say))
    }

    fn event(&self, words: &mut u64, event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        let line: Line = serde_json::from_str(&event.data)
            .map_err(|error| ProviderError::unreadable(error.to_string()))?;
        if line.say == "no" {
            return Err(ProviderError::new(ErrorKind::Provider, "it says no"));
        }
        *words += 1;
        out.push(Chunk::text(line.say));
        if line.over {
            out.push(Chunk::usage(Usage::new(0, *words)));
            out.finish();
        }
        Ok(())
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn ends_without_terminal(&self) -> bool {
        self.just_ends
    }

    fn models_request(&self) -> Option<HttpRequest> {
        Some(HttpRequest::get("https://x/models"))
    }
}

fn lines(host: &TestHost, config: &str) -> Http<Lines> {
    host.provider(config).unwrap()
}

const SSE: &str = r#"{"framing": "sse"}"#;
const NDJSON: &str = r#"{"framing": "ndjson"}"#;

/// What streaming this reply gives.
fn streamed(config: &str, reply: Reply) -> (Vec<Chunk>, Option<ProviderError>) {
    let host = TestHost::new();
    host.reply(reply);
    let provider = lines(&host, config);
    drain(block_on(provider.stream(ChatRequest::ask("hi"), call())).unwrap())
}

fn said() -> Vec<Chunk> {
    vec![Chunk::text("a "), Chunk::text("é"), Chunk::usage(Usage::new(0, 2))]
}

#[test]
fn a_stream_survives_every_cut() {
    let sse = "data: {\"say\": \"a \"}\r\n\r\ndata: {\"say\": \"é\",\ndata: \"over\": true}\n\n: behind\n\n";
    let ndjson = "{\"say\": \"a \"}\n\n{\"say\": \"é\", \"over\": true}\n{\"ignored\": true}\n";
    for (config, body) in [(SSE, sse), (NDJSON, ndjson)] {
        for pieces in every_cut(body.as_bytes()) {
            assert_eq!(streamed(config, Reply::new(200).pieces(pieces)), (said(), None));
        }
        assert_eq!(streamed(config, Reply::new(200).body(body).byte_by_byte()), (said(), None));
    }
}

#[test]
fn a_last_event_without_its_end_counts_if_it_is_whole() {
    for (config, body) in [
        (SSE, "data: {\"say\":\"a \"}\n\ndata: {\"say\":\"é\",\"over\":true}"),
        (NDJSON, "{\"say\":\"a \"}\n{\"say\":\"é\",\"over\":true}"),
    ] {
        assert_eq!(streamed(config, Reply::new(200).body(body)), (said(), None));
    }
}

#[test]
fn a_cut_stream_is_never_taken_for_a_whole_one() {
    let body = "{\"say\":\"a \"}\n{\"say\":\"é\",\"over\":true}\n";
    // The last two cuts leave the last object whole.
    for cut in 0..body.len() - 1 {
        if !body.is_char_boundary(cut) {
            continue;
        }
        let (chunks, error) = streamed(NDJSON, Reply::new(200).body(&body[..cut]));
        assert_eq!(error.map(|error| error.kind), Some(ErrorKind::BrokenStream), "{}", &body[..cut]);
        assert!(said().starts_with(&chunks));
    }
}

#[test]
fn where_streams_just_end_the_end_is_good_but_a_torn_event_is_not() {
    let config = r#"{"framing": "ndjson", "just_ends": true}"#;
    let one = vec![Chunk::text("a")];
    assert_eq!(streamed(config, Reply::new(200).body("{\"say\":\"a\"}\n")), (one.clone(), None));
    let (chunks, error) = streamed(config, Reply::new(200).body("{\"say\":\"a\"}\n{\"sa"));
    assert_eq!((chunks, error.unwrap().kind), (one, ErrorKind::BrokenStream));
}

#[test]
fn what_came_before_an_error_is_delivered() {
    let body = "{\"say\":\"a\"}\n{\"say\":\"b\"}\nnonsense\n{\"say\":\"c\"}\n";
    let (chunks, error) = streamed(NDJSON, Reply::new(200).body(body));
    assert_eq!(chunks, [Chunk::text("a"), Chunk::text("b")]);
    assert_eq!(error.unwrap().kind, ErrorKind::UnreadableAnswer);

    let (chunks, error) = streamed(NDJSON, Reply::new(200).body("{\"say\":\"a\"}\n").then_breaks());
    assert_eq!(chunks, [Chunk::text("a")]);
    assert_eq!(error.unwrap().message, "the connection to the provider broke");
}

#[test]
fn an_error_that_upstream_tells_counts_though_its_event_is_not_closed() {
    for (config, body) in [
        (SSE, "data: {\"say\":\"a\"}\n\ndata: {\"say\":\"no\"}"),
        (NDJSON, "{\"say\":\"a\"}\n{\"say\":\"no\"}"),
    ] {
        let (chunks, error) = streamed(config, Reply::new(200).body(body));
        assert_eq!(chunks, [Chunk::text("a")]);
        assert_eq!(error.unwrap().message, "it says no");
    }
}

#[test]
fn after_the_last_event_nothing_is_waited_for() {
    let body = "{\"say\":\"a \"}\n{\"say\":\"é\",\"over\":true}\n";
    assert_eq!(streamed(NDJSON, Reply::new(200).body(body).then_hangs()), (said(), None));
}

#[test]
fn an_upstream_that_answers_a_stream_whole_is_streamed() {
    let whole = vec![Chunk::text("all"), Chunk::finish(FinishReason::Stop)];
    assert_eq!(streamed(SSE, Reply::json("{\"say\":\"all\"}")), (whole, None));
}

#[test]
fn failures_come_before_the_stream_begins() {
    let host = TestHost::new();
    let provider = lines(&host, SSE);
    host.reply(Reply::new(429).header("retry-after", "7").body(r#"{"error": {"message": "slow down"}}"#));
    let error = block_on(provider.stream(ChatRequest::ask("hi"), call())).unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::RateLimited, Some(429)));
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(error.message, "the provider answered 429: slow down");

    host.reply(Reply::unreachable());
    let error = block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Connection);
    // A failure whose body never ends is a failure all the same, as soon as enough of it is there.
    host.reply(Reply::new(500).body(vec![b'x'; 100_000]).then_hangs());
    let error = block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Provider);
}

#[test]
fn upstream_is_asked_for_what_the_operation_needs() {
    let host = TestHost::new();
    let provider = lines(&host, SSE);
    host.reply(Reply::json("{\"say\":\"whole\"}")).reply(Reply::sse(""));
    let asked = ChatRequest { stream: true, ..ChatRequest::ask("hi") };
    assert_eq!(block_on(provider.complete(asked.clone(), call())).unwrap(), Answer::text("whole"));
    block_on(provider.stream(asked, call())).unwrap();
    let bodies: Vec<_> = host.requests().iter().map(|sent| sent.json()["stream"].clone()).collect();
    assert_eq!(bodies, [false, true]);
    assert_eq!(host.requests()[0].call, 1);
}

#[test]
fn health_and_credentials_are_what_the_list_of_models_says() {
    let host = TestHost::new();
    let provider = lines(&host, SSE);
    let health = |status| {
        host.reply(Reply::new(status).body(r#"{"error": "why"}"#));
        block_on(provider.health(call())).map_err(|error| error.kind)
    };
    assert_eq!(health(200), Ok(Health::Available));
    assert_eq!(health(429), Ok(Health::busy("the provider answered 429: why")));
    assert_eq!(health(503), Ok(Health::busy("the provider answered 503: why")));
    assert_eq!(health(529), Ok(Health::busy("the provider answered 529: why")));
    assert_eq!(health(401), Err(ErrorKind::Authentication));
    let credentials = |status| {
        host.reply(Reply::new(status).body(r#"{"error": "why"}"#));
        block_on(provider.credentials(call())).map_err(|error| error.kind)
    };
    assert_eq!(credentials(200), Ok(Credentials::Valid));
    let message = "the provider answered 403: why".to_owned();
    assert_eq!(credentials(403), Ok(Credentials::Invalid { message }));
    assert_eq!(credentials(500), Err(ErrorKind::Provider));
    // Somebody answers there, and it is not the vendor.
    let page = || Reply::new(200).body("\n <!doctype html><title>Log in</title>");
    host.reply(page()).reply(page());
    let error = block_on(provider.credentials(call())).unwrap_err();
    assert!(error.kind == ErrorKind::UnreadableAnswer && error.message.contains("base_url"), "{error}");
    assert_eq!(
        block_on(provider.health(call())).map_err(|error| error.kind),
        Err(ErrorKind::UnreadableAnswer)
    );
}

#[test]
fn what_is_not_written_is_unsupported() {
    struct Nothing;
    impl HttpProvider for Nothing {
        type Config = serde_json::Value;
        type StreamState = ();
        fn create(_config: Self::Config) -> Result<Self> {
            Ok(Self)
        }
    }
    let provider: Http<Nothing> = TestHost::new().provider("{}").unwrap();
    let kind = |error: ProviderError| error.kind;
    let unsupported = Some(ErrorKind::Unsupported);
    assert_eq!(block_on(provider.complete(ChatRequest::ask("hi"), call())).err().map(kind), unsupported);
    assert_eq!(block_on(provider.credentials(call())).err().map(kind), unsupported);
    assert_eq!(block_on(provider.models(call())), Ok(Vec::new()));
    assert_eq!(block_on(provider.health(call())), Ok(Health::Available));
}

#[test]
fn a_plan_alone_is_a_provider() {
    struct Planned;
    impl HttpProvider for Planned {
        type Config = serde_json::Value;
        type StreamState = ();
        fn create(_config: Self::Config) -> Result<Self> {
            Ok(Self)
        }
        fn plan(&self) -> Option<Plan> {
            let mut plan = Plan::openai("https://x/v1");
            plan.stream.terminal = "over".into();
            Some(plan)
        }
    }
    let host = TestHost::new();
    let provider: Http<Planned> = host.provider("{}").unwrap();
    let chunk = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
    host.reply(Reply::sse(format!("data: {chunk}\n\ndata: over\n\n")));
    let stream = block_on(provider.stream(ChatRequest::ask("hi"), call())).unwrap();
    assert_eq!(drain(stream), (vec![Chunk::raw(chunk)], None));
    assert_eq!(host.requests()[0].json()["stream_options"], json!({"include_usage": true}));

    let vectors = r#"{"data": [{"embedding": [1]}]}"#;
    host.reply(Reply::json(vectors));
    let request = EmbedRequest::parse(br#"{"input": "a"}"#).unwrap();
    assert_eq!(block_on(provider.embed(request, call())), Ok(Embeddings::raw(vectors)));
    assert_eq!(host.requests()[1].url, "https://x/v1/embeddings");
}

#[test]
fn every_failure_is_read_as_the_gateway_needs_it() {
    use crate::testing::conformance::{FAILURES, misread};
    let wait = Duration::from_secs(7);
    for (status, _) in FAILURES {
        let host = TestHost::new();
        host.reply(Reply::new(status).header("retry-after", "7").body("why"));
        let error = block_on(lines(&host, SSE).complete(ChatRequest::ask("hi"), call())).unwrap_err();
        assert_eq!(misread(status, Some(wait), &error), None);
        let other = ProviderError::new(ErrorKind::Panicked, "boom");
        assert!(misread(status, None, &other).is_some(), "{status} is no panic");
    }
    let hasty = ProviderError::new(ErrorKind::RateLimited, "slow down");
    let said = misread(429, Some(wait), &hasty).unwrap();
    assert_eq!(said, "upstream asked to be left alone for 7s, the error says None");
}

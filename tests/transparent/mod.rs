//! Whatever a client of OpenAI's says to an upstream that speaks the same comes there as it was said, and so does
//! what comes back: shown with any JSON at all, cut wherever it may be.

// Any JSON.
mod json;
// What is said in OpenAI's dialect.
mod said;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures_util::{StreamExt as _, stream};
use proptest::prelude::{Just, Strategy};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use proptest::{prop_assert, prop_assert_eq};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;

use crate::harness::scripted::script;
use crate::harness::{Host, HostOptions, Mortal, libraries};
use said::Asked;

const CHAT: &str = "/v1/chat/completions";

/// So many of each kind.
const CASES: u32 = 300;

/// What upstream answers whoever comes next, and what it was asked.
#[derive(Default)]
struct Script {
    kind: Mutex<&'static str>,
    pieces: Mutex<Vec<Vec<u8>>>,
    asked: Mutex<Vec<Bytes>>,
}

impl Script {
    fn answers(&self, kind: &'static str, pieces: &[Vec<u8>]) {
        *self.kind.lock().unwrap() = kind;
        *self.pieces.lock().unwrap() = pieces.to_vec();
    }
}

async fn play(State(script): State<Arc<Script>>, body: Bytes) -> Response {
    script.asked.lock().unwrap().push(body);
    let (kind, pieces) = (*script.kind.lock().unwrap(), script.pieces.lock().unwrap().clone());
    let pieces = stream::iter(pieces).map(|piece| Ok::<_, Infallible>(Bytes::from(piece)));
    ([("content-type", kind)], Body::from_stream(pieces)).into_response()
}

/// A host before an upstream that speaks OpenAI's dialect and has any model.
struct Stage {
    script: Arc<Script>,
    host: Host,
    _upstream: Mortal,
}

impl Stage {
    async fn set() -> Self {
        let script = Arc::new(Script::default());
        let upstream = Mortal::start(Router::new().route(CHAT, post(play)).with_state(Arc::clone(&script)));
        let config = json!({ "base_url": format!("http://{}/v1", upstream.address()), "retry_attempts": 0 });
        let options = HostOptions::default().builtin(&libraries::openai_compatible()).env("RUST_LOG", "warn");
        let options = options.section("health", json!({ "enabled": false }));
        let options = options.entry("up", json!({ "plugin": "openai-compatible", "config": config }));
        Self { script, host: Host::start(options).await, _upstream: upstream }
    }
}

/// Has it checked with many values of a kind.
fn for_all<S: Strategy>(values: &S, check: impl AsyncFn(&Stage, S::Value) -> Result<(), TestCaseError>) {
    let runtime = Runtime::new().unwrap();
    let stage = runtime.block_on(Stage::set());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(values, |value| runtime.block_on(check(&stage, value)));
    match outcome {
        Ok(()) => runtime.block_on(stage.host.stop()),
        Err(TestError::Fail(why, value)) => panic!("{why}\nwith {value:#?}"),
        Err(abort) => panic!("{abort}"),
    };
}

#[test]
fn any_request_reaches_upstream_as_it_was_made() {
    for_all(&said::request(), async |stage, asked| {
        let streamed = asked.options.is_some();
        let kind = if streamed { "text/event-stream" } else { "application/json" };
        let answer = if streamed { script::says("a") + &script::done() } else { script::answer("a") };
        stage.script.answers(kind, &[answer.into_bytes()]);
        let answer = stage.host.post_text(CHAT, &asked.body.text).await;
        prop_assert_eq!(answer.status, 200, "{}", answer.body);
        let seen = stage.script.asked.lock().unwrap().pop().unwrap();
        check_seen(&asked, &seen)
    });
}

/// Every member is there byte for byte, but for those that have to be set.
fn check_seen(asked: &Asked, seen: &[u8]) -> Result<(), TestCaseError> {
    let mut seen: BTreeMap<String, &RawValue> = serde_json::from_slice(seen).unwrap();
    let model: String = serde_json::from_str(seen.remove("model").unwrap().get()).unwrap();
    prop_assert_eq!(&model, &asked.model);
    let (stream, options) = (seen.remove("stream"), seen.remove("stream_options"));
    match &asked.options {
        None => prop_assert!(stream.is_none() && options.is_none()),
        Some(asked) => {
            prop_assert_eq!(stream.unwrap().get(), "true");
            let options: BTreeMap<String, &RawValue> = serde_json::from_str(options.unwrap().get()).unwrap();
            prop_assert_eq!(texts(&options), members(&asked.members, &[]));
        }
    }
    prop_assert_eq!(texts(&seen), members(&asked.body.members, &["model", "stream", "stream_options"]));
    Ok(())
}

fn texts<'a>(object: &'a BTreeMap<String, &RawValue>) -> BTreeMap<&'a str, &'a str> {
    object.iter().map(|(name, value)| (name.as_str(), value.get())).collect()
}

fn members<'a>(members: &'a [(String, String)], without: &[&str]) -> BTreeMap<&'a str, &'a str> {
    let members = members.iter().filter(|(name, _)| !without.contains(&name.as_str()));
    members.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn any_whole_answer_comes_back_as_it_was_given() {
    let answers = said::answer().prop_flat_map(|answer| (said::pieces(answer.clone().into()), Just(answer)));
    for_all(&answers, async |stage, (pieces, expected)| {
        stage.script.answers("application/json", &pieces);
        let answer = stage.host.post_text(CHAT, &asking(false)).await;
        prop_assert_eq!((answer.status, answer.body), (200, expected));
        Ok(())
    });
}

#[test]
fn any_stream_comes_back_chunk_by_chunk_as_it_was_given() {
    let streams = said::chunks().prop_flat_map(|chunks| {
        let events = said::events(chunks.clone()).prop_flat_map(said::pieces);
        (events, Just(chunks))
    });
    for_all(&streams, async |stage, (pieces, chunks)| {
        stage.script.answers("text/event-stream", &pieces);
        let answer = stage.host.post_text(CHAT, &asking(true)).await;
        let event = |data: &str| format!("data: {}\n\n", data.replace('\n', "\ndata: "));
        let expected: String = chunks.iter().map(String::as_str).chain(["[DONE]"]).map(event).collect();
        prop_assert_eq!((answer.status, answer.body), (200, expected));
        Ok(())
    });
}

fn asking(streamed: bool) -> String {
    let mut body = json!({ "model": "up/m", "messages": [{ "role": "user", "content": "hi" }] });
    if streamed {
        body["stream"] = true.into();
        body["stream_options"] = json!({ "include_usage": true });
    }
    body.to_string()
}

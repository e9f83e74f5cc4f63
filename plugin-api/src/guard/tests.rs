//! Code that panics wherever an author's code can, called as a host calls it. That the test goes on is the point:
//! a panic that met the boundary would abort the process.

use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use futures_util::{StreamExt as _, stream};

use crate::testing::conformance::{Operation, Subject as _};
use crate::testing::{Native, Reply, TestHost};
use crate::{
    Answer, Call, ChatRequest, Chunk, ChunkStream, ErrorKind, Host, HttpRequest, Plan, Provider,
    ProviderError, Result,
};

/// Panics where its configuration says.
struct Panicker {
    place: String,
    host: Host,
}

fn panic_at(place: &str, here: &str) {
    assert!(place != here, "told to panic in {here}");
}

/// Panics when it is dropped, if it is to.
struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0, "told to panic in a drop");
    }
}

/// Panics when it is woken.
struct BadWaker;

impl Wake for BadWaker {
    fn wake(self: Arc<Self>) {
        panic!("told to panic in a waker");
    }
}

impl Provider for Panicker {
    type Config = String;

    fn create(place: String, host: Host) -> Result<Self> {
        panic_at(&place, "create");
        Ok(Self { place, host })
    }

    fn validate(place: &String) -> Result<()> {
        panic_at(place, "validate");
        Ok(())
    }

    fn plan(&self) -> Option<Plan> {
        panic_at(&self.place, "plan");
        None
    }

    async fn complete(&self, _request: ChatRequest, call: Call) -> Result<Answer> {
        let _bomb = Bomb(self.place == "drop of a future");
        panic_at(&self.place, "complete");
        if self.place == "waker" {
            let mut body = self.host.http(&call, HttpRequest::get("https://example.com")).await?.body;
            let waker = Waker::from(Arc::new(BadWaker));
            // The scripted host is not ready the first time, and wakes at once.
            let polled = body.poll_next_unpin(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        if self.place == "payload" {
            std::panic::panic_any(Bomb(true));
        }
        Ok(Answer::text("fine"))
    }

    async fn stream(&self, _request: ChatRequest, _call: Call) -> Result<ChunkStream> {
        panic_at(&self.place, "stream");
        let (place, bomb) = (self.place.clone(), Bomb(self.place == "drop of a stream"));
        Ok(ChunkStream::new(stream::iter(0..3).map(move |n| {
            let _ = &bomb;
            assert!(n != 1 || place != "chunk", "told to panic in chunk");
            Ok(Chunk::text("word"))
        })))
    }
}

impl Drop for Panicker {
    fn drop(&mut self) {
        if self.place == "drop" {
            panic!("told to panic in drop");
        }
    }
}

const REQUEST: &[u8] = br#"{"messages": [{"role": "user", "content": "hi"}]}"#;

/// Everything a host does with a provider, until something fails.
fn run(host: TestHost, place: &str) -> Result<()> {
    let native = Native::create::<Panicker>(host, &format!("{place:?}"))?;
    native.plan()?;
    native.ask(Operation::Complete, REQUEST)?;
    native.stream(REQUEST, 1)?;
    native.stream(REQUEST, usize::MAX)?;
    native.close()
}

fn check(place: &str, expected: Result<(), &str>, logged: &[&str]) {
    let host = TestHost::new();
    host.reply(Reply::json("{}"));
    let outcome = run(host, place);
    match (outcome, expected) {
        (Ok(()), Ok(())) => {}
        (Err(ProviderError { kind, message, .. }), Err(expected)) => {
            assert_eq!((kind, message.as_str()), (ErrorKind::Panicked, expected), "{place}");
        }
        (outcome, expected) => panic!("{place}: {outcome:?}, expected {expected:?}"),
    }
    let panics: Vec<String> = host
        .logs()
        .iter()
        .map(|line| {
            let fields: serde_json::Value = serde_json::from_str(&line.fields).unwrap();
            format!("{}: {}", fields["during"].as_str().unwrap(), fields["panic"].as_str().unwrap())
        })
        .collect();
    assert_eq!(panics, logged, "{place}");
}

#[test]
fn a_panic_anywhere_is_an_error_and_a_line_in_the_log() {
    check("nowhere", Ok(()), &[]);
    check(
        "create",
        Err("the plugin panicked while it was created"),
        &["while it was created: told to panic in create"],
    );
    check(
        "validate",
        Err("the plugin panicked while it was created"),
        &["while it was created: told to panic in validate"],
    );
    check(
        "plan",
        Err("the plugin panicked while it made its plan"),
        &["while it made its plan: told to panic in plan"],
    );
    check(
        "complete",
        Err("the plugin panicked while it answered"),
        &["while it answered: told to panic in complete"],
    );
    check(
        "stream",
        Err("the plugin panicked while it began a stream"),
        &["while it began a stream: told to panic in stream"],
    );
    // Of the first stream only what came before the panic is read.
    let chunk = "while it streamed: told to panic in chunk";
    check("chunk", Err("the plugin panicked while it streamed"), &[chunk, chunk]);
    check(
        "drop",
        Err("the plugin panicked while it was dropped"),
        &["while it was dropped: told to panic in drop"],
    );
}

#[test]
fn a_panic_in_a_value_that_is_dropped_is_contained_too() {
    check(
        "drop of a future",
        Err("the plugin panicked while it answered"),
        &["while it answered: told to panic in a drop"],
    );
    // The chunks are whole, so there is nobody to tell but the log: once for each of the two streams.
    let dropped = "while a value was dropped: told to panic in a drop";
    check("drop of a stream", Ok(()), &[dropped, dropped]);
    check("waker", Ok(()), &["in a waker: told to panic in a waker"]);
    check(
        "payload",
        Err("the plugin panicked while it answered"),
        &["while it answered: a value that is not text"],
    );
}

//! What every provider must do, whatever it talks to. The same cases run on a plugin's type in its own tests
//! (through [`Native`](super::Native)) and on its built library in a host.

use std::time::Duration;

use serde_json::{Value, json};

use crate::abi::{ChunkEnd, chunk_flags};
use crate::{ErrorKind, ProviderError, Result};

/// Something that answers as a provider does.
pub trait Subject {
    /// One question, one answer.
    fn ask(&self, operation: Operation, body: &[u8]) -> Result<Vec<u8>>;

    /// Begins a stream, reads so many batches of it, and drops it there.
    fn stream(&self, body: &[u8], batches: usize) -> Result<Streamed>;
}

/// The operations with one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A chat request.
    Complete,
    /// An embeddings request.
    Embed,
    /// The models.
    Models,
    /// Whether it can take requests.
    Health,
    /// Whether upstream accepts the key.
    Credentials,
}

/// What was read of a stream.
#[derive(Debug, Default)]
pub struct Streamed {
    /// The chunks' JSON, with their flags.
    pub chunks: Vec<(Vec<u8>, u32)>,
    /// How many batches they came in.
    pub batches: usize,
    /// Whether the stream was read to its end.
    pub ended: bool,
}

impl Streamed {
    /// Adds a batch.
    ///
    /// # Panics
    ///
    /// When the chunks' ends do not lie in order within the data.
    pub fn add(&mut self, data: &[u8], chunks: &[ChunkEnd]) {
        let mut begin = 0;
        for chunk in chunks {
            let end = chunk.end as usize;
            assert!(begin <= end && end <= data.len(), "chunk ends are out of order: {chunks:?}");
            self.chunks.push((data[begin..end].to_vec(), chunk.flags));
            begin = end;
        }
        assert_eq!(begin, data.len(), "a batch has bytes that belong to no chunk");
        self.batches += 1;
    }
}

/// One thing that every provider must do.
#[derive(Clone, Copy)]
pub struct Case {
    /// What it does then, in words that follow its name.
    pub name: &'static str,
    /// Panics where the provider does not.
    pub check: fn(&dyn Subject),
}

/// Every case.
pub const CASES: [Case; 5] = [
    Case { name: "answers whole, and the same again", check: answers_are_whole },
    Case { name: "streams what it answers whole", check: streams_say_the_same },
    Case { name: "can be left after every batch of a stream", check: a_stream_can_be_left_anywhere },
    Case { name: "refuses requests that are nonsense", check: nonsense_is_refused },
    Case { name: "tells its health and its models", check: health_is_one_of_two },
];

/// Runs every case.
///
/// # Panics
///
/// At the first that fails.
pub fn check(subject: &dyn Subject) {
    for case in CASES {
        (case.check)(subject);
    }
}

/// The statuses that upstreams fail with, and the kinds of error that each may become: by them the gateway knows
/// whether to try again, elsewhere, or with another key.
pub const FAILURES: [(u16, &[ErrorKind]); 8] = [
    (400, &[ErrorKind::InvalidInput]),
    (401, &[ErrorKind::Authentication]),
    (403, &[ErrorKind::Authentication, ErrorKind::Provider]),
    (404, &[ErrorKind::Provider, ErrorKind::InvalidInput, ErrorKind::Unsupported]),
    (413, &[ErrorKind::InvalidInput]),
    (429, &[ErrorKind::RateLimited]),
    (500, &[ErrorKind::Provider]),
    (503, &[ErrorKind::Provider, ErrorKind::RateLimited]),
];

/// What is wrong with the error that became of a status of failure, if anything is. Upstream's `Retry-After` is what
/// upstream asked for, if it did.
pub fn misread(status: u16, retry_after: Option<Duration>, error: &ProviderError) -> Option<String> {
    let kinds = FAILURES.iter().find(|(known, _)| *known == status).map_or(&[][..], |(_, kinds)| kinds);
    if !kinds.contains(&error.kind) {
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        return Some(format!("{status} became {}, not {}: {error}", error.kind, kinds.join(" or ")));
    }
    if error.kind == ErrorKind::RateLimited && retry_after.is_some() && error.retry_after != retry_after {
        let (asked, kept) = (retry_after.unwrap_or_default(), error.retry_after);
        return Some(format!("upstream asked to be left alone for {asked:?}, the error says {kept:?}"));
    }
    None
}

/// The chat request that the cases ask with.
pub fn request(stream: bool) -> Vec<u8> {
    // With a member that nobody knows: those are never a reason to refuse.
    let body = json!({
        "model": "conformance", "stream": stream, "x_unknown": {"a": [1, null]},
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say what you can."}],
    });
    body.to_string().into_bytes()
}

fn read(json: &[u8]) -> Value {
    serde_json::from_slice(json)
        .unwrap_or_else(|error| panic!("not JSON: {error}: {}", String::from_utf8_lossy(json)))
}

fn text_of_answer(subject: &dyn Subject) -> String {
    let answer = subject.ask(Operation::Complete, &request(false)).expect("a plain request is answered");
    let answer = read(&answer);
    assert_eq!(answer["object"], "chat.completion", "{answer}");
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["role"], "assistant", "{answer}");
    assert!(choice["finish_reason"].is_string(), "an answer says why it ended: {answer}");
    choice["message"]["content"].as_str().unwrap_or_default().to_owned()
}

fn answers_are_whole(subject: &dyn Subject) {
    assert_eq!(
        text_of_answer(subject),
        text_of_answer(subject),
        "conformance needs a provider that repeats itself"
    );
}

fn streams_say_the_same(subject: &dyn Subject) {
    let streamed = subject.stream(&request(true), usize::MAX).expect("a stream is answered");
    assert!(streamed.ended);
    let (mut text, mut finished) = (String::new(), 0);
    for (json, flags) in &streamed.chunks {
        let chunk = read(json);
        assert_eq!(chunk["object"], "chat.completion.chunk", "{chunk}");
        let choice = &chunk["choices"][0];
        let content = choice["delta"]["content"].as_str().unwrap_or_default();
        assert!(content.is_empty() || flags & chunk_flags::CONTENT != 0, "content is flagged: {chunk}");
        assert_eq!(choice["finish_reason"].is_string(), flags & chunk_flags::FINISH != 0, "{chunk}");
        finished += u32::from(choice["finish_reason"].is_string());
        text += content;
    }
    assert_eq!(finished, 1, "a stream says once why it ended: with `Chunk::finish(..)` behind its content");
    assert_eq!(text, text_of_answer(subject), "a stream says what a whole answer says");
}

fn a_stream_can_be_left_anywhere(subject: &dyn Subject) {
    let all = subject.stream(&request(true), usize::MAX).expect("a stream is answered").batches;
    for batches in 0..all {
        let left = subject.stream(&request(true), batches).expect("a stream is answered");
        assert_eq!((left.batches, left.ended), (batches, false));
    }
    text_of_answer(subject);
}

fn nonsense_is_refused(subject: &dyn Subject) {
    for body in ["", "null", "[]", "{", "{\"messages\": 1}", "\u{0}"] {
        for operation in [Operation::Complete, Operation::Embed] {
            let error = subject.ask(operation, body.as_bytes()).expect_err("nonsense is refused");
            assert_eq!(error.kind, ErrorKind::InvalidInput, "{operation:?} of {body:?}: {error}");
        }
        let error = subject.stream(body.as_bytes(), 1).expect_err("nonsense is refused");
        assert_eq!(error.kind, ErrorKind::InvalidInput, "a stream of {body:?}: {error}");
    }
}

fn health_is_one_of_two(subject: &dyn Subject) {
    let health = subject.ask(Operation::Health, b"").expect("health is told");
    let health = read(&health);
    assert!(health["status"] == "available" || health["status"] == "busy", "{health}");
    let models = subject.ask(Operation::Models, b"").expect("models are listed");
    assert!(read(&models)["models"].is_array(), "{}", String::from_utf8_lossy(&models));
}

//! What a scripted upstream does, step by step: data, so that a case of a test is a row.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// One thing after the other; at the end of them the connection is closed.
#[derive(Clone, Default)]
pub struct Script(pub(super) Vec<Step>);

#[derive(Clone, PartialEq)]
pub(super) enum Step {
    /// Nobody listens. Only ever the first step.
    Refuse,
    /// Somebody listens and takes no connection any more. Only ever the first step.
    Ignore,
    /// All of it at once.
    Send(Vec<u8>),
    /// Every byte by itself.
    Trickle(Vec<u8>),
    /// Over and over, until the peer goes away.
    Repeat(Vec<u8>),
    /// Until the test lets it go on.
    Gate,
    /// Until the peer goes away.
    Hang,
    /// Ends the connection as a crash does.
    Reset,
}

impl Script {
    pub fn refuse() -> Self {
        Self(vec![Step::Refuse])
    }

    pub fn ignore() -> Self {
        Self(vec![Step::Ignore])
    }

    /// Closes the connection as soon as it has been asked.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A head, with these headers and the one that no other request follows on this connection: without a length of
    /// its own, the body goes on until it is closed.
    pub fn head(status: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().chain(&[("connection", "close")]);
        let lines: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Self::default().send(format!("HTTP/1.1 {status}\r\n{lines}\r\n"))
    }

    /// The head of a stream.
    pub fn stream() -> Self {
        Self::head("200 OK", &[("content-type", "text/event-stream")])
    }

    /// The head of a stream whose pieces say how long they are, so that a cut is seen; for [`Self::piece`].
    pub fn stream_in_pieces() -> Self {
        Self::head("200 OK", &[("content-type", "text/event-stream"), ("transfer-encoding", "chunked")])
    }

    /// The head of a whole answer.
    pub fn json() -> Self {
        Self::head("200 OK", &[("content-type", "application/json")])
    }

    /// An answer that is an error.
    pub fn error(status: &str, headers: &[(&str, &str)], message: &str) -> Self {
        let body = json!({ "error": { "message": message } }).to_string();
        Self::head(status, &[&[("content-type", "application/json")], headers].concat()).send(body)
    }

    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.and(Step::Send(bytes.into()))
    }

    pub fn trickle(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.and(Step::Trickle(bytes.into()))
    }

    pub fn repeat(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.and(Step::Repeat(bytes.into()))
    }

    /// With its length before it, as HTTP wants it of pieces.
    pub fn piece(self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let length = format!("{:x}\r\n", bytes.len());
        self.send([length.as_bytes(), &bytes, b"\r\n"].concat())
    }

    pub fn gate(self) -> Self {
        self.and(Step::Gate)
    }

    pub fn hang(self) -> Self {
        self.and(Step::Hang)
    }

    pub fn reset(self) -> Self {
        self.and(Step::Reset)
    }

    fn and(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }
}

/// A chunk with these words.
pub fn chunk(words: &str) -> String {
    let choice = json!({ "index": 0, "delta": { "content": words }, "finish_reason": null });
    json!({ "id": "s-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice] }).to_string()
}

/// An event with these words.
pub fn says(words: &str) -> String {
    event(&chunk(words))
}

/// An event with this data.
pub fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// The event that says who speaks, and no word.
pub fn role() -> String {
    event(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#)
}

/// The event that says why there is nothing more to say.
pub fn finish() -> String {
    event(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
}

/// The events at the end of a whole stream.
pub fn done() -> String {
    finish() + &event("[DONE]")
}

/// A whole answer with these words.
pub fn answer(words: &str) -> String {
    whole(
        json!([{ "index": 0, "message": { "role": "assistant", "content": words }, "finish_reason": "stop" }]),
    )
}

/// A whole answer with these choices.
pub fn whole(choices: Value) -> String {
    json!({ "id": "s-1", "object": "chat.completion", "model": "m", "choices": choices }).to_string()
}

/// Compressed, each part so that it can be read when it is there.
pub fn gzip(parts: &[&str]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for part in parts {
        encoder.write_all(part.as_bytes()).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap()
}

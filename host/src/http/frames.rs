//! An answer on its way out: as bare text, or as server-sent events.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use memchr::memchr2;
use patchbay_plugin_api::ProviderError;
use tokio::time::{Instant, timeout};
use tracing::warn;

// What is in them.
mod events;

pub(super) use self::events::{Done, Message};
use super::connection::{Connection, Mark};
use super::error::ApiError;
use super::stall::Stalling;
use super::texts;
use crate::gateway::{CommittedAnswer, text_of};
use crate::providers::{Alarm, Chunk};

/// A client that takes longer to read what it was sent is not told the rest of it.
const FLUSH_WITHIN: Duration = Duration::from_secs(10);

/// HTTP/2 queues what was written in a task of its own, which a reset overtakes.
const HTTP2_PAUSE: Duration = Duration::from_millis(20);

/// A whole answer for clients that cannot be streamed to is no larger.
const MAX_BUFFERED_BYTES: usize = 64 * 1024 * 1024;

/// What the client gets to see of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The words alone. A cut answer ends the connection abnormally.
    Text,
    /// Events. A cut answer ends with an event that says so.
    Events,
    /// Upstream's own chunks, as OpenAI sends them. A cut answer ends with such an event, and then abnormally.
    Chunks {
        /// Whether the client wants to be told what it took.
        usage: bool,
    },
    /// The same, made from chunks of chat for a client that asked how a text goes on.
    Texts {
        /// Whether the client wants to be told what it took.
        usage: bool,
    },
}

/// The pieces of an answer.
pub(super) struct Frames {
    answer: CommittedAnswer,
    form: Form,
    request_id: Arc<str>,
    /// When nothing came for so long, an event says that the connection lives.
    keep_alive: Duration,
    silence: Alarm,
    /// An error that the client was told, and has yet to be cut off for.
    told: Option<ApiError>,
    ended: bool,
}

impl Frames {
    pub(super) fn new(
        answer: CommittedAnswer,
        form: Form,
        request_id: Arc<str>,
        keep_alive: Duration,
    ) -> Self {
        let silence = Alarm::at(Instant::now() + keep_alive);
        Self { answer, form, request_id, keep_alive, silence, told: None, ended: false }
    }

    /// The body that sends the pieces as they come; pulled by the client's reading.
    pub(super) fn into_body(self, connection: Connection, http2: bool) -> Body {
        let sending =
            Sending { frames: self, mark: connection.mark(), connection: connection.clone(), http2 };
        let pieces = stream::unfold(Some(sending), |sending| async {
            let mut sending = sending?;
            let piece = tokio::select! {
                biased;
                piece = sending.frames.next() => piece,
                () = sending.connection.is_cut_when_looked_at() => {
                    Some(sending.frames.cut_off(ApiError::shutting_down()))
                }
            };
            match piece? {
                Ok(frame) => {
                    sending.mark = sending.connection.mark();
                    Some((Ok(frame), Some(sending)))
                }
                Err(_) => {
                    let Sending { frames, connection, mark, http2 } = sending;
                    // Upstream and its place are free, however long the client takes to read.
                    drop(frames);
                    Some((Err(cut(&connection, mark, http2).await), None))
                }
            }
        });
        if http2 {
            Body::from_stream(Stalling::new(pieces.boxed(), connection))
        } else {
            // There the connection notices.
            Body::from_stream(pieces)
        }
    }

    /// All pieces at once, for clients that could not tell a cut answer from a whole one.
    pub(super) async fn collect(mut self) -> Result<Bytes, ApiError> {
        let mut whole = BytesMut::new();
        while let Some(frame) = self.next().await {
            whole.extend_from_slice(&frame?);
            if whole.len() > MAX_BUFFERED_BYTES {
                let error = ProviderError::unreadable("the answer is too large to be sent whole");
                return Err(ApiError::of_provider(self.answer.provider().name(), &error));
            }
        }
        Ok(whole.freeze())
    }

    /// The next piece. An error ends the answer, and is for the caller to show.
    async fn next(&mut self) -> Option<Result<Bytes, ApiError>> {
        if let Some(error) = self.told.take() {
            self.ended = true;
            return Some(Err(error));
        }
        while !self.ended {
            self.silence.set(Instant::now() + self.keep_alive);
            let item = tokio::select! {
                biased;
                item = self.answer.next() => item,
                () = self.silence.rung() => match self.form {
                    Form::Text => continue,
                    _ => return Some(Ok(Bytes::from_static(b": keep-alive\n\n"))),
                },
            };
            let item = match item {
                Some(Ok(chunks)) if matches!(self.form, Form::Texts { .. }) => {
                    Some(texts::chunks_of_chat(chunks))
                }
                item => item,
            };
            let frame = match (item, self.form) {
                (Some(Ok(chunks)), Form::Text) => text(&chunks),
                (Some(Ok(chunks)), Form::Events) => events(&chunks),
                (Some(Ok(chunks)), Form::Chunks { usage } | Form::Texts { usage }) => {
                    forwarded(&chunks, usage)
                }
                (None, Form::Text) => return None,
                (None, Form::Events) => self.done(),
                (None, Form::Chunks { .. } | Form::Texts { .. }) => {
                    self.ended = true;
                    Bytes::from_static(b"data: [DONE]\n\n")
                }
                (Some(Err(error)), _) => {
                    self.log(&error);
                    let shown = ApiError::of_provider(self.answer.provider().name(), &error);
                    return Some(self.cut_off(shown));
                }
            };
            if !frame.is_empty() {
                return Some(Ok(frame));
            }
        }
        None
    }

    /// What the client may not even be told: in text, all it sees is the cut.
    fn log(&self, error: &ProviderError) {
        warn!(
            provider = self.answer.provider().name(),
            request_id = &*self.request_id,
            kind = error.kind.as_str(),
            status = error.status,
            detail = error.detail.as_deref(),
            problem = error.message,
            "answer cut short"
        );
    }

    fn done(&mut self) -> Bytes {
        self.ended = true;
        let facts = self.answer.facts();
        let mut out = BytesMut::new();
        let done = Done {
            provider: self.answer.provider().name(),
            model: facts.model.as_deref().unwrap_or(&self.answer.served.model),
            usage: facts.usage,
            finish_reason: facts.finish_reason.as_deref(),
            cost_usd: facts.usage.and_then(|usage| self.answer.served.cost(&usage)),
        };
        put_event(&mut out, "done", &serde_json::to_vec(&done).unwrap_or_default());
        out.freeze()
    }

    /// Ends the answer before its end: tells the error where the form has a way to.
    fn cut_off(&mut self, error: ApiError) -> Result<Bytes, ApiError> {
        let mut out = BytesMut::new();
        match self.form {
            Form::Text => {
                self.ended = true;
                return Err(error);
            }
            Form::Events => {
                self.ended = true;
                put_event(&mut out, "error", &error.json(&self.request_id));
            }
            Form::Chunks { .. } | Form::Texts { .. } => {
                put_data(&mut out, &error.openai_json());
                // The next piece is the cut.
                self.told = Some(error);
            }
        }
        Ok(out.freeze())
    }
}

/// Pieces on their way to one client.
struct Sending {
    frames: Frames,
    connection: Connection,
    /// When the last piece was handed over.
    mark: Mark,
    http2: bool,
}

/// Waits until the client has what came before, then gives the error that cuts the connection: the server would
/// throw away what it still holds.
async fn cut(connection: &Connection, mark: Mark, http2: bool) -> io::Error {
    let _ = timeout(FLUSH_WITHIN, connection.flushed_since(mark)).await;
    if http2 {
        tokio::time::sleep(HTTP2_PAUSE).await;
    }
    io::Error::other("the answer was cut")
}

/// The words of some chunks in one piece.
fn text(chunks: &[Chunk]) -> Bytes {
    let mut out = BytesMut::new();
    for chunk in chunks.iter().filter(|chunk| chunk.has_content()) {
        out.extend_from_slice(text_of(&chunk.json).as_bytes());
    }
    out.freeze()
}

fn events(chunks: &[Chunk]) -> Bytes {
    let mut out = BytesMut::new();
    for chunk in chunks.iter().filter(|chunk| chunk.has_content()) {
        let content = text_of(&chunk.json);
        if !content.is_empty() {
            put_event(
                &mut out,
                "message",
                &serde_json::to_vec(&Message { content: &content }).unwrap_or_default(),
            );
        }
    }
    out.freeze()
}

/// Chunks as they came. Token counts that only this host asked for stay here.
fn forwarded(chunks: &[Chunk], usage: bool) -> Bytes {
    let wanted = || chunks.iter().filter(|chunk| usage || !chunk.is_only_usage());
    let mut out = BytesMut::with_capacity(wanted().map(|chunk| chunk.json.len() + 8).sum());
    for chunk in wanted() {
        put_data(&mut out, &chunk.json);
    }
    out.freeze()
}

/// Data may have come in several lines, and is only whole when it goes out in as many.
fn put_data(out: &mut BytesMut, json: &[u8]) {
    let mut rest = json;
    while let Some(end) = memchr2(b'\n', b'\r', rest) {
        put_line(out, &rest[..end]);
        rest = &rest[end + 1..];
    }
    put_line(out, rest);
    out.put_u8(b'\n');
}

fn put_line(out: &mut BytesMut, line: &[u8]) {
    out.put_slice(b"data: ");
    out.put_slice(line);
    out.put_u8(b'\n');
}

/// JSON of this host has no line ends in it, so one line of data will do.
fn put_event(out: &mut BytesMut, name: &str, json: &[u8]) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\ndata: ");
    out.put_slice(json);
    out.put_slice(b"\n\n");
}

impl Form {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Events | Self::Chunks { .. } | Self::Texts { .. } => "text/event-stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_out_in_the_lines_it_came_in() {
        for (json, expected) in [
            ("{\"a\": 1.50}", "data: {\"a\": 1.50}\n\n"),
            ("{\n\"a\":1}", "data: {\ndata: \"a\":1}\n\n"),
            ("{\r\n}", "data: {\ndata: \ndata: }\n\n"),
        ] {
            let mut out = BytesMut::new();
            put_data(&mut out, json.as_bytes());
            assert_eq!(out, expected, "{json:?}");
        }
    }
}

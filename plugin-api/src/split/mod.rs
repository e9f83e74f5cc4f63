//! Cuts what arrives in arbitrary pieces into the events an upstream sent.
//!
//! ```
//! # use patchbay_plugin_api::split::{Framing, Splitter};
//! let mut splitter = Splitter::new(Framing::Sse);
//! let mut seen = Vec::new();
//! for piece in ["data: on", "e\n\ndata: two\n", "\n"] {
//!     splitter.push(piece.as_bytes());
//!     while let Some(event) = splitter.next_event()? {
//!         seen.push(event.data.into_owned());
//!     }
//! }
//! assert_eq!(seen, ["one", "two"]);
//! # Ok::<(), patchbay_plugin_api::ProviderError>(())
//! ```

use std::borrow::Cow;

use crate::{ProviderError, Result};

mod buffer;
mod ndjson;
mod sse;
#[cfg(test)]
mod tests;

pub use ndjson::NdjsonSplitter;
pub use sse::SseSplitter;

/// The most bytes one event may have, unless said otherwise.
pub const DEFAULT_EVENT_LIMIT: usize = 8 << 20;

/// How an upstream tells where an event of its stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// One JSON object per line.
    Ndjson,
}

/// One event of a stream, borrowed from its splitter. Bytes that are not UTF-8 are replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its `event:`; empty where it has none.
    pub name: Cow<'a, str>,
    /// Its data; of several `data:` lines, all, with line breaks between. With NDJSON, the line.
    pub data: Cow<'a, str>,
    /// Its own `id:`, if it has one.
    pub id: Option<Cow<'a, str>>,
    /// How many milliseconds a client should wait before it connects again, if it says so.
    pub retry: Option<u64>,
}

/// The splitter for either framing.
#[derive(Debug)]
pub enum Splitter {
    /// For server-sent events.
    Sse(SseSplitter),
    /// For lines.
    Ndjson(NdjsonSplitter),
}

impl Splitter {
    /// A splitter with the default limit.
    pub fn new(framing: Framing) -> Self {
        Self::with_limit(framing, DEFAULT_EVENT_LIMIT)
    }

    /// A splitter that fails at an event of more bytes than this.
    pub fn with_limit(framing: Framing, limit: usize) -> Self {
        match framing {
            Framing::Sse => Self::Sse(SseSplitter::with_limit(limit)),
            Framing::Ndjson => Self::Ndjson(NdjsonSplitter::with_limit(limit)),
        }
    }

    /// Takes what arrived. Call [`next_event`](Self::next_event) until there are none before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Sse(splitter) => splitter.push(bytes),
            Self::Ndjson(splitter) => splitter.push(bytes),
        }
    }

    /// The next event that has arrived whole. After an error the stream cannot be read any further.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>> {
        match self {
            Self::Sse(splitter) => splitter.next_event(),
            Self::Ndjson(splitter) => splitter.next_event(),
        }
    }

    /// At the end of the stream: the event that had begun but was not closed, which may be cut.
    pub fn finish(&mut self) -> Option<Event<'_>> {
        match self {
            Self::Sse(splitter) => splitter.finish(),
            Self::Ndjson(splitter) => splitter.finish(),
        }
    }
}

/// Nobody sends such an event on purpose, and without a bound it would take the host's memory.
fn too_long(limit: usize) -> ProviderError {
    ProviderError::unreadable(format!("the provider sent an event of more than {limit} bytes"))
}

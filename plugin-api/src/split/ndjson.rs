//! One JSON object per line.

use memchr::memchr;

use super::buffer::Buffer;
use super::{DEFAULT_EVENT_LIMIT, Event, too_long};
use crate::Result;

/// Cuts a stream of lines. Empty lines, which some servers send to keep the connection, are not events.
#[derive(Debug)]
pub struct NdjsonSplitter {
    buffer: Buffer,
    /// How far the line being read was searched for its end.
    searched: usize,
    at_start: bool,
    limit: usize,
}

impl Default for NdjsonSplitter {
    fn default() -> Self {
        Self::with_limit(DEFAULT_EVENT_LIMIT)
    }
}

impl NdjsonSplitter {
    /// A splitter that fails at a line of more bytes than this.
    pub fn with_limit(limit: usize) -> Self {
        Self { buffer: Buffer::default(), searched: 0, at_start: true, limit }
    }

    /// Takes what arrived. Call [`next_event`](Self::next_event) until there are none before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.push(bytes);
    }

    /// The next line that has arrived whole. After an error the stream cannot be read any further.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>> {
        loop {
            let rest = self.buffer.rest();
            let found = memchr(b'\n', &rest[self.searched..]).map(|at| self.searched + at);
            let end = found.unwrap_or(rest.len());
            if end > self.limit {
                return Err(too_long(self.limit));
            }
            if found.is_none() {
                self.searched = end;
                return Ok(None);
            }
            self.buffer.use_up(end, 1);
            self.searched = 0;
            let at_start = std::mem::take(&mut self.at_start);
            if !trimmed(self.buffer.last(end), at_start).is_empty() {
                return Ok(Some(event(trimmed(self.buffer.last(end), at_start))));
            }
        }
    }

    /// At the end of the stream: the last line, if nothing ended it.
    pub fn finish(&mut self) -> Option<Event<'_>> {
        let line = trimmed(self.buffer.rest(), self.at_start);
        (!line.is_empty()).then(|| event(line))
    }
}

fn trimmed(line: &[u8], at_start: bool) -> &[u8] {
    let line = if at_start { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
    line.trim_ascii()
}

fn event(line: &[u8]) -> Event<'_> {
    Event { data: String::from_utf8_lossy(line), ..Event::default() }
}

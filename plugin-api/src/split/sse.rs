//! Server-sent events, as the HTML standard defines them.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2};

use super::buffer::Buffer;
use super::{DEFAULT_EVENT_LIMIT, Event, too_long};
use crate::Result;

/// Cuts a stream of server-sent events. A line may end in LF, CR or CRLF, and anything may be cut anywhere.
#[derive(Debug)]
pub struct SseSplitter {
    /// What is not used yet begins with the event that no empty line has closed yet.
    buffer: Buffer,
    /// Where in that the line being read begins, and how far it was searched for its end.
    line: usize,
    searched: usize,
    /// The last line ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The stream may begin with a byte order mark, which means nothing.
    at_start: bool,
    /// The data of an event with several `data:` lines.
    joined: Vec<u8>,
    limit: usize,
}

impl Default for SseSplitter {
    fn default() -> Self {
        Self::with_limit(DEFAULT_EVENT_LIMIT)
    }
}

impl SseSplitter {
    /// A splitter that fails at an event of more bytes than this.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            buffer: Buffer::default(),
            line: 0,
            searched: 0,
            after_cr: false,
            at_start: true,
            joined: Vec::new(),
            limit,
        }
    }

    /// Takes what arrived. Call [`next_event`](Self::next_event) until there are none before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.push(bytes);
    }

    /// The next event that has arrived whole. After an error the stream cannot be read any further.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>> {
        while let Some(length) = self.next_block()? {
            let at_start = std::mem::take(&mut self.at_start);
            let fields = Fields::read(self.buffer.last(length), at_start, &mut self.joined);
            if fields.data != Data::None {
                return Ok(Some(fields.event(self.buffer.last(length), &self.joined)));
            }
        }
        Ok(None)
    }

    /// At the end of the stream: the event that no empty line closed. The standard drops it; a caller may know
    /// better, since there are servers that do not send the last empty line.
    pub fn finish(&mut self) -> Option<Event<'_>> {
        let rest = self.buffer.rest();
        let fields = Fields::read(rest, self.at_start, &mut self.joined);
        (fields.data != Data::None).then(|| fields.event(rest, &self.joined))
    }

    /// Uses up everything to the end of the next empty line; answers with the length of what is before that line.
    fn next_block(&mut self) -> Result<Option<usize>> {
        loop {
            let rest = self.buffer.rest();
            if self.after_cr && self.searched < rest.len() {
                self.after_cr = false;
                if rest[self.searched] == b'\n' {
                    // The line whose end this belongs to may have been used up already.
                    if self.line == 0 {
                        self.buffer.advance(1);
                    } else {
                        self.next_line(self.searched + 1);
                    }
                    continue;
                }
            }
            let found = memchr2(b'\r', b'\n', &rest[self.searched..]).map(|at| self.searched + at);
            let end = found.unwrap_or(rest.len());
            if end > self.limit {
                return Err(too_long(self.limit));
            }
            if found.is_none() {
                self.searched = end;
                return Ok(None);
            }
            // Whether an LF follows may only be known after the next push, but the line is over now.
            self.after_cr = rest[end] == b'\r';
            if end == self.line {
                self.buffer.use_up(end, 1);
                self.next_line(0);
                return Ok(Some(end));
            }
            if self.line == 0 && rest[0] == b':' {
                // A comment in front of an event: an idle server sends nothing else for hours.
                self.at_start = false;
                self.buffer.advance(end + 1);
                self.next_line(0);
            } else {
                self.next_line(end + 1);
            }
        }
    }

    fn next_line(&mut self, at: usize) {
        (self.line, self.searched) = (at, at);
    }
}

/// Where in an event's lines its fields are.
struct Fields {
    name: Range<usize>,
    data: Data,
    id: Option<Range<usize>>,
    retry: Option<u64>,
}

#[derive(PartialEq)]
enum Data {
    None,
    /// The usual case needs no copy.
    Line(Range<usize>),
    Joined,
}

impl Fields {
    fn read(block: &[u8], at_start: bool, joined: &mut Vec<u8>) -> Self {
        let mut fields = Self { name: 0..0, data: Data::None, id: None, retry: None };
        let mut from = if at_start && block.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        while from < block.len() {
            let end = memchr2(b'\r', b'\n', &block[from..]).map_or(block.len(), |at| from + at);
            fields.line(block, from..end, joined);
            // Between CR and LF this sees an empty line, which means nothing here.
            from = end + 1;
        }
        fields
    }

    fn line(&mut self, block: &[u8], line: Range<usize>, joined: &mut Vec<u8>) {
        let colon = memchr(b':', &block[line.clone()]).map_or(line.end, |at| line.start + at);
        let space = usize::from(block[..line.end].get(colon + 1) == Some(&b' '));
        let value = (colon + 1 + space).min(line.end)..line.end;
        match &block[line.start..colon] {
            b"data" => match &self.data {
                Data::None => self.data = Data::Line(value),
                Data::Line(first) => {
                    joined.clear();
                    joined.extend_from_slice(&block[first.clone()]);
                    add_line(joined, &block[value]);
                    self.data = Data::Joined;
                }
                Data::Joined => add_line(joined, &block[value]),
            },
            b"event" => self.name = value,
            b"id" if !block[value.clone()].contains(&0) => self.id = Some(value),
            b"retry" if block[value.clone()].iter().all(u8::is_ascii_digit) => {
                self.retry = str::from_utf8(&block[value]).ok().and_then(|digits| digits.parse().ok());
            }
            _ => {}
        }
    }

    fn event<'a>(&self, block: &'a [u8], joined: &'a [u8]) -> Event<'a> {
        let text = |range: &Range<usize>| String::from_utf8_lossy(&block[range.clone()]);
        Event {
            name: text(&self.name),
            data: match &self.data {
                Data::None => Cow::default(),
                Data::Line(line) => text(line),
                Data::Joined => String::from_utf8_lossy(joined),
            },
            id: self.id.as_ref().map(text),
            retry: self.retry,
        }
    }
}

fn add_line(joined: &mut Vec<u8>, line: &[u8]) {
    joined.push(b'\n');
    joined.extend_from_slice(line);
}

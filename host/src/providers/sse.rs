//! Server-sent events, taken out of the bytes as they arrive.
//!
//! However a stream is cut into reads, the same events come out. An event that lies whole within one read is a
//! slice of it; only what a cut goes through is copied.

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2};
use patchbay_plugin_api::ProviderError;

/// An event beyond this size is not an answer any more.
const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// Splits a stream of bytes into the data of its events.
#[derive(Debug, Default)]
pub struct SseSplitter {
    /// What was not looked at yet.
    input: Bytes,
    /// A line whose end has not come.
    partial: BytesMut,
    /// The data lines of the event that is being read.
    event: Event,
    /// The last read ended with a carriage return: a line feed next belongs to it.
    after_return: bool,
}

#[derive(Debug, Default)]
enum Event {
    #[default]
    Empty,
    /// As almost always: one line.
    One(Bytes),
    /// Several lines; joined by line feeds.
    Many(BytesMut),
}

impl SseSplitter {
    /// Takes what arrived. The events in it are then got with [`next_event`](Self::next_event).
    pub fn push(&mut self, bytes: Bytes) {
        debug_assert!(self.input.is_empty(), "events are taken out before more goes in");
        self.input = bytes;
    }

    /// The data of the next event; none until more is pushed. Comments and other fields are passed over.
    pub fn next_event(&mut self) -> Result<Option<Bytes>, ProviderError> {
        while let Some(line) = self.line()? {
            if line.is_empty() {
                match std::mem::take(&mut self.event) {
                    Event::Empty => {}
                    Event::One(data) => return Ok(Some(data)),
                    Event::Many(data) => return Ok(Some(data.freeze())),
                }
            } else if let Some(data) = data_of(&line) {
                self.add(data)?;
            }
        }
        Ok(None)
    }

    /// What an event without the empty line behind it holds, once nothing more will come. May be asked again.
    pub fn finish(&mut self) -> Result<Option<Bytes>, ProviderError> {
        // One of the two is left where only the empty line was missing.
        if self.input.is_empty() {
            self.push(Bytes::from_static(b"\n\n"));
        }
        self.next_event()
    }

    fn add(&mut self, data: Bytes) -> Result<(), ProviderError> {
        self.event = match std::mem::take(&mut self.event) {
            Event::Empty => Event::One(data),
            Event::One(first) => {
                let mut joined = BytesMut::with_capacity(first.len() + data.len() + 1);
                joined.extend_from_slice(&first);
                Event::Many(join(joined, &data)?)
            }
            Event::Many(joined) => Event::Many(join(joined, &data)?),
        };
        Ok(())
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> Result<Option<Bytes>, ProviderError> {
        if self.after_return && !self.input.is_empty() {
            self.after_return = false;
            if self.input[0] == b'\n' {
                let _ = self.input.split_to(1);
            }
        }
        let Some(end) = memchr2(b'\n', b'\r', &self.input) else {
            if self.partial.len() + self.input.len() > MAX_EVENT_BYTES {
                return Err(too_large());
            }
            self.partial.extend_from_slice(&std::mem::take(&mut self.input));
            return Ok(None);
        };
        let line = self.input.split_to(end);
        self.after_return = self.input[0] == b'\r';
        let _ = self.input.split_to(1);
        if self.partial.is_empty() {
            return Ok(Some(line));
        }
        self.partial.extend_from_slice(&line);
        Ok(Some(self.partial.split().freeze()))
    }
}

fn join(mut joined: BytesMut, data: &Bytes) -> Result<BytesMut, ProviderError> {
    if joined.len() + data.len() > MAX_EVENT_BYTES {
        return Err(too_large());
    }
    joined.extend_from_slice(b"\n");
    joined.extend_from_slice(data);
    Ok(joined)
}

fn too_large() -> ProviderError {
    ProviderError::unreadable(format!("an event of the stream is larger than {MAX_EVENT_BYTES} bytes"))
}

/// The value of a `data` field; none for comments and other fields.
fn data_of(line: &Bytes) -> Option<Bytes> {
    let (name, value) = match memchr(b':', line) {
        Some(colon) => (&line[..colon], line.slice(colon + 1..)),
        None => (&line[..], Bytes::new()),
    };
    // A stream may begin with a byte order mark.
    if name.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(name) != b"data" {
        return None;
    }
    Some(if value.first() == Some(&b' ') { value.slice(1..) } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = SseSplitter::default();
        let mut events = Vec::new();
        for piece in pieces {
            splitter.push(Bytes::copy_from_slice(piece));
            while let Some(data) = splitter.next_event().unwrap() {
                events.push(String::from_utf8(data.to_vec()).unwrap());
            }
        }
        while let Some(data) = splitter.finish().unwrap() {
            events.push(String::from_utf8(data.to_vec()).unwrap());
        }
        events
    }

    const CASES: &[(&str, &[&str])] = &[
        ("data: a\n\ndata: b\n\n", &["a", "b"]),
        ("data:a\r\n\r\ndata:  b\r\n\r\n", &["a", " b"]),
        ("data: a\r\rdata: b\r\r", &["a", "b"]),
        (": comment\n\ndata: a\nid: 7\nevent: x\n\n: more\n\n", &["a"]),
        ("data: one\ndata: two\ndata\ndata: three\n\n", &["one\ntwo\n\nthree"]),
        ("\n\n\ndata: é🎉漢\n\n", &["é🎉漢"]),
        ("data: [DONE]", &["[DONE]"]),
        ("data: a\n\ndata: without its empty line\n", &["a", "without its empty line"]),
        ("\u{feff}data: a\n\ndatax: b\n\n", &["a"]),
        ("data: {\"a\":\"b: c\"}\n\n", &["{\"a\":\"b: c\"}"]),
        ("", &[]),
    ];

    #[test]
    fn any_cut_gives_the_same_events() {
        for (stream, expected) in CASES {
            let bytes = stream.as_bytes();
            assert_eq!(events(&[bytes]), *expected, "{stream:?}");
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    assert_eq!(events(&pieces), *expected, "{stream:?} cut at {first} and {second}");
                }
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(events(&single), *expected, "{stream:?} byte by byte");
        }
    }

    #[test]
    fn a_whole_event_is_not_copied() {
        let read = Bytes::from_static(b"data: abc\n\n");
        let mut splitter = SseSplitter::default();
        splitter.push(read.clone());
        assert_eq!(splitter.next_event().unwrap().unwrap().as_ptr(), read[6..].as_ptr());
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut splitter = SseSplitter::default();
        let megabyte = Bytes::from(vec![b'x'; 1024 * 1024]);
        let failed = (0..20).any(|_| {
            splitter.push(megabyte.clone());
            splitter.next_event().is_err()
        });
        assert!(failed);
    }
}

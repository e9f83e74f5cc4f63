//! Whatever the pieces, the events are the same.

use super::{Event, Framing, Splitter, SseSplitter};
use crate::ErrorKind;

/// What a stream gives: each event as `name|data|id|retry`, and what was left over, behind `...`.
fn events<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let show = |event: &Event<'_>| {
        let retry = event.retry.map(|retry| retry.to_string()).unwrap_or_default();
        format!("{}|{}|{}|{retry}", event.name, event.data, event.id.as_deref().unwrap_or("-"))
    };
    let mut splitter = Splitter::new(framing);
    let mut seen = Vec::new();
    for piece in pieces {
        splitter.push(piece);
        while let Some(event) = splitter.next_event().unwrap() {
            seen.push(show(&event));
        }
    }
    if let Some(event) = splitter.finish() {
        seen.push(format!("...{}", show(&event)));
    }
    seen
}

#[track_caller]
fn check(framing: Framing, stream: &[u8], expected: &[&str]) {
    let name = String::from_utf8_lossy(stream);
    assert_eq!(events(framing, [stream]), expected, "whole: {name:?}");
    assert_eq!(events(framing, stream.chunks(1)), expected, "byte by byte: {name:?}");
    for first in 0..=stream.len() {
        let (a, rest) = stream.split_at(first);
        assert_eq!(events(framing, [a, rest]), expected, "cut at {first}: {name:?}");
        // A second cut behind the first finds what depends on two states at once.
        for second in 0..=rest.len().min(8) {
            let (b, c) = rest.split_at(second);
            assert_eq!(events(framing, [a, b, c]), expected, "cut at {first} and {second} on: {name:?}");
        }
    }
}

#[test]
fn server_sent_events() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        ("data: a\n\n", &["|a|-|"]),
        ("data:a\n\ndata:  b\n\n", &["|a|-|", "| b|-|"]),
        ("data: a\r\n\r\ndata: b\r\n\r\n", &["|a|-|", "|b|-|"]),
        ("data: a\r\rdata: b\r\r", &["|a|-|", "|b|-|"]),
        ("data: a\n\r\ndata: b\r\n\ndata: c\r\n\r", &["|a|-|", "|b|-|", "|c|-|"]),
        ("data: a\r\n\r\n\r\n\n\r\rdata: b\n\n", &["|a|-|", "|b|-|"]),
        ("data: one\ndata: two\ndata:\ndata: four\n\n", &["|one\ntwo\n\nfour|-|"]),
        ("data: one\r\ndata: two\r\n\r\ndata: x\rdata: y\r\r", &["|one\ntwo|-|", "|x\ny|-|"]),
        (": hello\n\n: again\r\n\r\n:\rdata: a\n\n", &["|a|-|"]),
        (":a\n:b\n:c\r\ndata: a\n: in the middle\ndata: b\n\n", &["|a\nb|-|"]),
        ("event: ping\n\ndata: a\n\n", &["|a|-|"]),
        ("event: delta\nid: 7\nretry: 30\ndata: {\"a\": \"b: c\"}\n\n", &["delta|{\"a\": \"b: c\"}|7|30"]),
        ("retry: 3s\nid: a\0b\ndata: a\n\n", &["|a|-|"]),
        ("event: a\nevent: b\nid\ndata: a\n\n", &["b|a||"]),
        ("data\n\n", &["||-|"]),
        ("data:\n\n", &["||-|"]),
        ("data\ndata\n\n", &["|\n|-|"]),
        (" data: no\nDATA: no\ndatax: no\n\n", &[]),
        ("data: é€😀 日本\n\n", &["|é€😀 日本|-|"]),
        ("\u{feff}data: a\n\n\u{feff}data: no\n\n", &["|a|-|"]),
        ("\u{feff}: comment\n\ndata: a\n\n", &["|a|-|"]),
        ("\u{feff}\r\n\r\ndata: a\n\n", &["|a|-|"]),
        (": comment\n\u{feff}data: no\n\n", &[]),
        ("data: a\n\ndata: cut", &["|a|-|", "...|cut|-|"]),
        ("data: a\n\ndata: cut\n", &["|a|-|", "...|cut|-|"]),
        ("data: a\n\nevent: x\r\ndata: cut\r", &["|a|-|", "...x|cut|-|"]),
        ("data: a\n\n: only a comment\n", &["|a|-|"]),
        ("data: a\r\n\r\nevent: x\r\n", &["|a|-|"]),
    ];
    for (stream, expected) in table {
        check(Framing::Sse, stream.as_bytes(), expected);
    }
}

#[test]
fn lines() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        ("{\"a\":1}\n{\"b\":2}\n", &["|{\"a\":1}|-|", "|{\"b\":2}|-|"]),
        ("{}\r\n\r\n\n  \n[]\r\n", &["|{}|-|", "|[]|-|"]),
        ("\u{feff}{}\n", &["|{}|-|"]),
        ("{\"a\":\"é😀\"}\n{\"cut\":", &["|{\"a\":\"é😀\"}|-|", "...|{\"cut\":|-|"]),
        ("data: x\n", &["|data: x|-|"]),
    ];
    for (stream, expected) in table {
        check(Framing::Ndjson, stream.as_bytes(), expected);
    }
}

#[test]
fn bytes_that_are_not_text_are_replaced() {
    check(Framing::Sse, b"data: a\xff\xe2\x82\ndata: \x80b\n\n", &["|a\u{fffd}\u{fffd}\n\u{fffd}b|-|"]);
    check(Framing::Ndjson, b"\xc3\n", &["|\u{fffd}|-|"]);
}

#[test]
fn an_endless_event_is_refused_however_it_comes() {
    for (framing, end) in [(Framing::Sse, "\n\n"), (Framing::Sse, "\r\n\r\n"), (Framing::Ndjson, "\n")] {
        for (text, fits) in
            [("data: 34567890", true), ("data: 345678901234567", false), (": 34567890123456", true)]
        {
            let stream = format!("{text}{end}");
            for size in 1..=stream.len() {
                let mut splitter = Splitter::with_limit(framing, 16);
                let mut outcome = Ok(());
                for piece in stream.as_bytes().chunks(size) {
                    splitter.push(piece);
                    while outcome.is_ok() {
                        match splitter.next_event() {
                            Ok(Some(_)) => {}
                            Ok(None) => break,
                            Err(error) => outcome = Err(error.kind),
                        }
                    }
                }
                let expected = if fits { Ok(()) } else { Err(ErrorKind::UnreadableAnswer) };
                assert_eq!(outcome, expected, "{stream:?} in pieces of {size}");
            }
        }
    }
}

#[test]
fn a_long_event_in_small_pieces_is_read_in_linear_time() {
    let mut splitter = SseSplitter::default();
    splitter.push(b"data: ");
    // With a search from the beginning at each piece this would look at half a terabyte.
    for _ in 0..1_000_000 {
        splitter.push(b"x");
        assert!(splitter.next_event().unwrap().is_none());
    }
    splitter.push(b"\n\n");
    assert_eq!(splitter.next_event().unwrap().unwrap().data.len(), 1_000_000);
}

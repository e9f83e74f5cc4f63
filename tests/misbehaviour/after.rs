//! It broke after the client had seen it begin: nobody else can take over, and the client sees that this is not all.
//!
//! What breaks waits at the gate until the client has read the words before it.

use serde_json::json;

use super::case::{Case, cut, fails};
use crate::harness::SECRET;
use crate::harness::scripted::script::{Script, answer, event, finish, gzip, role, says};

/// A stream that has begun, and waits. Its words come together: no time passes between them.
fn begun() -> Script {
    Script::stream().send(role()).send(says("a") + &says(" b")).gate()
}

#[tokio::test]
async fn resets_between_tokens() {
    Case::streamed(begun().reset(), cut("a b", "broken_stream", "broke off")).check().await;
}

#[tokio::test]
async fn closes_between_pieces() {
    let script = Script::stream_in_pieces().piece(says("a")).gate();
    Case::streamed(script, cut("a", "broken_stream", "broke off")).check().await;
}

/// Of a whole answer nothing is seen before all of it is there.
#[tokio::test]
async fn closes_before_the_length_that_it_announced() {
    let headers = |kind| [("content-type", kind), ("content-length", "4000")];
    let script = Script::head("200 OK", &headers("text/event-stream")).send(says("a")).gate();
    let case = Case::streamed(script, cut("a", "broken_stream", "broke off"));
    let script = Script::head("200 OK", &headers("application/json")).send(answer("a"));
    case.and_whole(script, fails(502, "broken_stream", "broke off")).check().await;
}

/// The end of the connection is no end of an answer, not even behind the last word.
#[tokio::test]
async fn closes_without_the_terminal_marker() {
    let words = "ended before its end was announced";
    Case::streamed(begun(), cut("a b", "broken_stream", words)).check().await;
    let script = Script::stream_in_pieces().piece(says("a")).gate().piece(finish()).send("0\r\n\r\n");
    Case::streamed(script, cut("a", "broken_stream", words)).check().await;
}

#[tokio::test]
async fn closes_amid_an_event() {
    let script = begun().send("data: {\"choices\":[{\"del");
    Case::streamed(script, cut("a b", "broken_stream", "ended before its end was announced")).check().await;
}

#[tokio::test]
async fn hangs_between_tokens() {
    let case = Case::streamed(begun().hang(), cut("a b", "timed_out", "no further chunk within 200ms"));
    case.with("chunk_timeout", 0.2).check().await;
}

/// A sign of life is not a word, here either.
#[tokio::test]
async fn comments_for_ever_between_tokens() {
    let script = begun().repeat(": still thinking\n\n");
    let case = Case::streamed(script, cut("a b", "timed_out", "no further chunk within 200ms"));
    case.with("chunk_timeout", 0.2).check().await;
}

#[tokio::test]
async fn fails_between_tokens() {
    let error = json!({ "error": { "message": format!("out of memory at {SECRET}") } }).to_string();
    let script = begun().send(event(&error)).hang();
    Case::streamed(script, cut("a b", "provider", "out of memory at ***")).check().await;
}

#[tokio::test]
async fn fails_in_the_same_breath() {
    let error = event(r#"{"error":{"code":429,"message":"enough"}}"#);
    let script = Script::stream().send([says("a"), error, says(" never")].concat());
    Case::streamed(script, cut("a", "rate_limited", "enough")).check().await;
}

#[tokio::test]
async fn fails_in_its_last_line() {
    let script = begun().send("data: {\"error\":\"and so it ends\"}");
    Case::streamed(script, cut("a b", "provider", "and so it ends")).check().await;
}

#[tokio::test]
async fn sends_garbage_between_tokens() {
    let script = begun().send(event(&format!("<oops {SECRET}>"))).hang();
    Case::streamed(script, cut("a b", "unreadable_answer", "holds an event that is not a chunk"))
        .check()
        .await;
}

#[tokio::test]
async fn loses_the_frame_of_its_pieces() {
    let script = Script::stream_in_pieces().piece(says("a")).gate().send("oops\r\n");
    Case::streamed(script, cut("a", "broken_stream", "broke off")).check().await;
}

#[tokio::test]
async fn breaks_what_it_compresses() {
    let headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
    let packed = gzip(&[&says("a"), &says(" b")]);
    let first = gzip(&[&says("a")]).len();
    let script = Script::head("200 OK", &headers).send(&packed[..first - 10]).gate();
    Case::streamed(script, cut("a", "broken_stream", "broke off")).check().await;
}

#[tokio::test]
async fn begins_an_event_that_does_not_end() {
    let script = begun().send("data: ").repeat(vec![b'x'; 1 << 20]);
    Case::streamed(script, cut("a b", "unreadable_answer", "is larger than 16777216 bytes")).check().await;
}

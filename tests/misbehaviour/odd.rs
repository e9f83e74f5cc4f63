//! It is odd, and an answer all the same.

use super::case::{Case, whole};
use crate::harness::scripted::script::{Script, answer, chunk, done, event, gzip, role, says};

/// The usual stream, in whatever way a case sends it.
fn usual() -> String {
    role() + &says("a ") + &says("é🎉漢") + &done()
}

const WORDS: &str = "a é🎉漢";

async fn check(script: Script) {
    Case::streamed(script, whole(WORDS)).check().await;
}

#[tokio::test]
async fn comes_byte_by_byte() {
    let case = Case::streamed(Script::stream().trickle(usual()), whole(WORDS));
    case.and_whole(Script::json().trickle(answer(WORDS)), whole(WORDS)).check().await;
}

#[tokio::test]
async fn comes_all_at_once() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    check(Script::nothing().send(head.to_owned() + &usual())).await;
}

#[tokio::test]
async fn speaks_an_older_http() {
    let head = "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    check(Script::nothing().send(head).send(usual())).await;
}

#[tokio::test]
async fn hints_before_it_answers() {
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    check(Script::nothing().send(hint).send(usual())).await;
}

/// And goes on only when the client has read what was before it.
#[tokio::test]
async fn waits_amid_a_character() {
    let (before, after) = (says("a "), says("é🎉漢") + &done());
    let middle = after.find('🎉').unwrap() + 2;
    let (half, rest) = after.as_bytes().split_at(middle);
    check(Script::stream().send([before.as_bytes(), half].concat()).gate().send(rest)).await;
}

#[tokio::test]
async fn ends_its_lines_as_it_likes() {
    for end in ["\r\n", "\r"] {
        check(Script::stream().send(usual().replace('\n', end))).await;
    }
}

#[tokio::test]
async fn comments_and_has_fields_of_its_own() {
    let odd = usual().replace("data: {", ": ping\n\nevent: chunk\nid: 7\nretry: 10\ndata:{");
    check(Script::stream().send("\u{feff}".to_owned() + &odd)).await;
}

#[tokio::test]
async fn breaks_its_data_into_lines() {
    check(Script::stream().send(usual().replace(r#""delta":"#, "\ndata: \"delta\":\r\ndata:"))).await;
}

#[tokio::test]
async fn leaves_out_the_last_empty_line() {
    check(Script::stream().send(usual().trim_end())).await;
}

#[tokio::test]
async fn does_not_say_what_it_sends() {
    check(Script::head("200 OK", &[]).send(usual())).await;
    let case =
        Case::streamed(Script::head("200 OK", &[("content-type", "text/html")]).send(usual()), whole(WORDS));
    let script = Script::head("200 OK", &[("content-type", "text/plain")]).send(answer(WORDS));
    case.and_whole(script, whole(WORDS)).check().await;
}

/// Whoever cannot stream answers whole, and the client gets that as a stream.
#[tokio::test]
async fn answers_whole_whatever_is_asked_for() {
    let script = Script::head("200 OK", &[("content-type", "application/json; charset=utf-8")]);
    Case::both(script.send(answer(WORDS)), whole(WORDS)).check().await;
}

#[tokio::test]
async fn compresses() {
    let headers = |kind| [("content-type", kind), ("content-encoding", "gzip")];
    let packed = gzip(&[&usual()]);
    let case =
        Case::streamed(Script::head("200 OK", &headers("text/event-stream")).trickle(packed), whole(WORDS));
    let script = Script::head("200 OK", &headers("application/json")).send(gzip(&[&answer(WORDS)]));
    case.and_whole(script, whole(WORDS)).check().await;
}

/// What is there can be read before the rest is sent.
#[tokio::test]
async fn compresses_and_waits() {
    let packed = gzip(&[&says("a "), &says("é🎉漢"), &done()]);
    // What comes first is as long as it is alone, less the end of the file.
    let first = gzip(&[&says("a ")]).len() - 10;
    let headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
    check(Script::head("200 OK", &headers).send(&packed[..first]).gate().send(&packed[first..])).await;
}

/// The answer ends where its end is announced, whatever the connection does.
#[tokio::test]
async fn hangs_after_the_end() {
    check(Script::stream().send(usual()).hang()).await;
    check(Script::stream().send(usual()).send(says("more")).send(event("nonsense")).reset()).await;
}

#[tokio::test]
async fn sends_an_event_of_ten_megabytes() {
    let words = "ten bytes ".repeat(1 << 20);
    let case = Case::streamed(Script::stream().send(event(&chunk(&words)) + &done()), whole(&words));
    case.and_whole(Script::json().send(answer(&words)), whole(&words)).check().await;
}

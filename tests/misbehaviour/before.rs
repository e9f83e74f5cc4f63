//! Nothing came that a client could be shown: it gets an error, or the answer of somebody else.

use crate::harness::SECRET;
use crate::harness::scripted::script::{Script, answer, event, gzip, role, says, whole};

use super::case::{Case, fails};
use serde_json::json;

const LOST: &str = "was lost before an answer came";
const BROKE_OFF: &str = "broke off";

/// Long enough for nobody to wait for it, and whatever the machine is busy with, it is what happens first: nothing
/// else ever does.
const SHORT: f64 = 0.2;

#[tokio::test]
async fn refuses() {
    Case::both(Script::refuse(), fails(502, "connection", "cannot connect to 127.0.0.1:")).check().await;
}

#[tokio::test]
async fn does_not_take_the_connection() {
    let case = Case::both(Script::ignore(), fails(504, "timed_out", "no connection to 127.0.0.1:"));
    case.with("connect_timeout", SHORT).check().await;
}

#[tokio::test]
async fn resets_before_headers() {
    Case::both(Script::nothing().reset(), fails(502, "connection", LOST)).check().await;
}

#[tokio::test]
async fn closes_before_headers() {
    Case::both(Script::nothing(), fails(502, "connection", LOST)).check().await;
}

#[tokio::test]
async fn closes_amid_headers() {
    let script = Script::nothing().send("HTTP/1.1 200 OK\r\ncontent-type: text/event-str");
    Case::both(script, fails(502, "connection", LOST)).check().await;
}

#[tokio::test]
async fn speaks_no_http() {
    let script = Script::nothing().send(format!("\x16\x03\x01 nonsense {SECRET}\r\n\r\n"));
    Case::both(script, fails(502, "connection", LOST)).check().await;
}

#[tokio::test]
async fn sends_headers_without_end() {
    let script = Script::nothing().send("HTTP/1.1 200 OK\r\n").repeat("x-and: so on\r\n");
    Case::both(script, fails(502, "connection", LOST)).check().await;
}

#[tokio::test]
async fn hangs_before_headers() {
    let hang = Script::nothing().hang();
    let case = Case::streamed(hang.clone(), fails(504, "timed_out", "no first token within 200ms"));
    case.and_whole(hang, fails(504, "timed_out", "no answer within 200ms"))
        .with("timeout", SHORT)
        .check()
        .await;
}

#[tokio::test]
async fn hangs_before_the_first_token() {
    let case = Case::streamed(
        Script::stream().send(role()).hang(),
        fails(504, "timed_out", "no first token within 200ms"),
    );
    let half = Script::json().send(r#"{"choices":[{"mess"#).hang();
    case.and_whole(half, fails(504, "timed_out", "no answer within 200ms"))
        .with("timeout", SHORT)
        .check()
        .await;
}

#[tokio::test]
async fn hangs_for_longer_than_a_stream_may_take() {
    let script = Script::stream().send(role()).hang();
    let case = Case::streamed(script, fails(504, "timed_out", "no end of the stream within 200ms"));
    case.with("total_timeout", SHORT).check().await;
}

/// A sign of life is not a word.
#[tokio::test]
async fn comments_for_ever() {
    let script = Script::stream().repeat(": still thinking\n\n");
    Case::streamed(script, fails(504, "timed_out", "no first token within 200ms"))
        .with("timeout", SHORT)
        .check()
        .await;
}

#[tokio::test]
async fn clears_its_throat_for_ever() {
    let script = Script::stream().repeat(role());
    Case::streamed(script, fails(502, "unreadable_answer", "does not come to an answer")).check().await;
}

#[tokio::test]
async fn resets_after_headers() {
    let case = Case::streamed(Script::stream().send(role()).reset(), fails(502, "broken_stream", BROKE_OFF));
    let half = Script::json().send(r#"{"choices":[{"mess"#).reset();
    case.and_whole(half, fails(502, "broken_stream", BROKE_OFF)).check().await;
}

#[tokio::test]
async fn closes_after_headers() {
    let case = Case::streamed(Script::stream_in_pieces(), fails(502, "broken_stream", BROKE_OFF));
    let script = Script::head("200 OK", &[("content-length", "100")]).send("{");
    case.and_whole(script, fails(502, "broken_stream", BROKE_OFF)).check().await;
}

#[tokio::test]
async fn answers_nothing() {
    let case =
        Case::streamed(Script::stream(), fails(502, "broken_stream", "ended before its end was announced"));
    case.and_whole(Script::json(), fails(502, "unreadable_answer", "is not the JSON")).check().await;
}

#[tokio::test]
async fn ends_without_a_word() {
    let script = Script::stream().send(role()).send(event("[DONE]"));
    Case::streamed(script, fails(502, "unreadable_answer", "ended without an answer")).check().await;
}

#[tokio::test]
async fn sends_garbage_for_events() {
    let garbage = format!("}}{{ {SECRET} \u{7}");
    let case = Case::streamed(
        Script::stream().send(event(&garbage)),
        fails(502, "unreadable_answer", "holds an event that is not a chunk"),
    );
    let script = Script::json().send(garbage);
    case.and_whole(script, fails(502, "unreadable_answer", "is not the JSON of a chat completion"))
        .check()
        .await;
}

#[tokio::test]
async fn sends_garbage_for_a_stream() {
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let case = Case::streamed(
        Script::stream().send(bytes.clone()),
        fails(502, "broken_stream", "ended before its end was announced"),
    );
    case.and_whole(Script::json().send(bytes), fails(502, "unreadable_answer", "is not the JSON"))
        .check()
        .await;
}

#[tokio::test]
async fn frames_its_pieces_wrongly() {
    let script = Script::stream_in_pieces().send("not a length\r\n").send(says("a"));
    Case::both(script, fails(502, "broken_stream", BROKE_OFF)).check().await;
}

#[tokio::test]
async fn answers_with_no_choices() {
    let none = whole(json!([]));
    let case = Case::streamed(
        Script::stream().send(event(&none)).send(event("[DONE]")),
        fails(502, "unreadable_answer", "ended without an answer"),
    );
    case.and_whole(Script::json().send(none), fails(502, "unreadable_answer", "holds no choices"))
        .check()
        .await;
}

/// What was asked for as a stream may come whole, and may have nothing in it then.
#[tokio::test]
async fn answers_whole_and_with_no_choices() {
    let script = Script::json().send(r#"{"object":"chat.completion"}"#);
    Case::both(script, fails(502, "unreadable_answer", "holds no choices")).check().await;
}

/// In whichever form it was asked for.
#[tokio::test]
async fn answers_with_an_empty_choice() {
    let script = Script::json().send(whole(json!([{ "index": 0, "finish_reason": "stop" }])));
    Case::both(script, fails(502, "unreadable_answer", "holds no message")).check().await;
}

#[tokio::test]
async fn answers_with_a_page() {
    let script = Script::head("200 OK", &[("content-type", "text/html")]);
    let script = script.send("<html>\n<p>data: it is our pleasure\n</html>");
    let case =
        Case::streamed(script.clone(), fails(502, "broken_stream", "ended before its end was announced"));
    case.and_whole(script, fails(502, "unreadable_answer", "is not the JSON")).check().await;
}

#[tokio::test]
async fn calls_a_stream_json() {
    let script = Script::json().send(says("a")).send(event("[DONE]"));
    Case::both(script, fails(502, "unreadable_answer", "is not the JSON of a chat completion")).check().await;
}

#[tokio::test]
async fn fails_in_its_first_event() {
    let error = json!({ "error": { "code": 503, "message": format!("overloaded, {SECRET}") } }).to_string();
    let case =
        Case::streamed(Script::stream().send(event(&error)), fails(502, "provider", "overloaded, ***"));
    case.and_whole(Script::json().send(error), fails(502, "provider", "overloaded, ***")).check().await;
}

#[tokio::test]
async fn sends_an_event_without_end() {
    let script = Script::stream().send("data: ").repeat(vec![b'x'; 1 << 20]);
    let case = Case::streamed(script, fails(502, "unreadable_answer", "is larger than 16777216 bytes"));
    let script = Script::json().send("\"").repeat(vec![b'x'; 1 << 20]);
    case.and_whole(script, fails(502, "unreadable_answer", "is larger than 67108864 bytes")).check().await;
}

/// What is small on the way may be large when it is unpacked.
#[tokio::test]
async fn compresses_an_event_that_is_too_large() {
    let headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
    let script = Script::head("200 OK", &headers).send(gzip(&["data: ", &"x".repeat(17 << 20)]));
    Case::streamed(script, fails(502, "unreadable_answer", "is larger than 16777216 bytes")).check().await;
}

#[tokio::test]
async fn says_it_is_compressed_and_is_not() {
    let headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
    let script = Script::head("200 OK", &headers).send(says("a"));
    Case::both(script, fails(502, "broken_stream", BROKE_OFF)).check().await;
}

#[tokio::test]
async fn closes_amid_what_is_compressed() {
    let packed = gzip(&[&role(), &says("a")]);
    let headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
    let script = Script::head("200 OK", &headers).send(&packed[..20]);
    Case::both(script, fails(502, "broken_stream", BROKE_OFF)).check().await;
}

/// Wherever it is: what this host does not read itself is passed on as it came.
#[tokio::test]
async fn sends_what_is_no_utf8() {
    let broken =
        |text: &str| -> Vec<u8> { text.bytes().map(|byte| if byte == b'@' { 0xFF } else { byte }).collect() };
    let unread = |text: &str| broken(&text.replace("\"s-1\"", "\"s-@\""));
    for (event, answer) in
        [(broken(&says("a @")), broken(&answer("a @"))), (unread(&says("a")), unread(&answer("a")))]
    {
        let case = Case::streamed(
            Script::stream().send(event),
            fails(502, "unreadable_answer", "holds an event that is not a chunk"),
        );
        let case = case.and_whole(
            Script::json().send(answer),
            fails(502, "unreadable_answer", "is not the JSON of a chat completion"),
        );
        case.check().await;
    }
}

#[tokio::test]
async fn closes_amid_a_character() {
    let event = says("é").into_bytes();
    let half = event.iter().position(|byte| !byte.is_ascii()).unwrap() + 1;
    Case::streamed(
        Script::stream().send(&event[..half]),
        fails(502, "broken_stream", "ended before its end was announced"),
    )
    .check()
    .await;
}

//! Requests, answers and streams by case: each is a file that holds both sides of what it has.

use super::*;

/// A case has `asked` and `sent`, what a client asks and what Google is sent; `received` and `answer`, what Google
/// answers and what becomes of it; `events` and `chunks`, the same for a stream.
fn check(case: &str) {
    let path = format!("{}/src/tests/fixtures/{case}.json", env!("CARGO_MANIFEST_DIR"));
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    if let Some(asked) = fixture.get("asked") {
        check_request(case, asked, &fixture["sent"]);
    }
    if let Some(received) = fixture.get("received") {
        let answer = complete(&json!({"messages": []}), Reply::json(received.to_string())).unwrap();
        let expected = &fixture["answer"];
        let choice = &answer["choices"][0];
        let made = json!({"id": answer["id"], "model": answer["model"], "message": choice["message"],
            "finish_reason": choice["finish_reason"], "usage": answer["usage"]});
        assert_eq!(&made, expected, "{case}: the answer");
    }
    if let Some(events) = fixture.get("events") {
        check_stream(case, events.as_array().unwrap(), fixture["chunks"].as_array().unwrap());
    }
}

fn check_request(case: &str, asked: &Value, sent: &Value) {
    let (host, provider) = provider();
    host.reply(Reply::new(500)).reply(Reply::new(500));
    block_on(provider.complete(request(asked).unwrap(), call())).unwrap_err();
    block_on(provider.stream(request(asked).unwrap(), call())).unwrap_err();
    let model = asked["model"].as_str().unwrap_or("gemini-3.5-flash").trim_start_matches("models/");
    let url = format!("https://generativelanguage.googleapis.com/v1beta/models/{model}");
    for (request, method) in
        host.requests().iter().zip([":generateContent", ":streamGenerateContent?alt=sse"])
    {
        assert_eq!(request.url, format!("{url}{method}"), "{case}");
        assert_eq!(request.header("x-goog-api-key"), Some("{{key}}"), "{case}");
        assert_eq!(&serde_json::from_slice::<Value>(&request.body).unwrap(), sent, "{case}: what is sent");
    }
}

/// However the network cuts the stream, its chunks are the same; without its last event it is no answer.
fn check_stream(case: &str, events: &[Value], expected: &[Value]) {
    let body = sse(events);
    let (chunks, error) = stream(Reply::sse(body.clone()));
    assert_eq!(chunks.iter().map(outline).collect::<Vec<_>>(), expected, "{case}: the chunks");
    assert_eq!(error, None, "{case}");
    for pieces in every_cut(body.as_bytes()) {
        assert_eq!(stream(Reply::sse("").pieces(pieces)), (chunks.clone(), None), "{case}");
    }
    assert_eq!(stream(Reply::sse(body.clone()).byte_by_byte()), (chunks, None), "{case}");

    let last = sse(&events[events.len() - 1..]).len();
    for end in [0, body.len() - last, body.len() - last / 2] {
        let (_, error) = stream(Reply::sse(&body.as_bytes()[..end]));
        assert_eq!(error, Some(ErrorKind::BrokenStream), "{case}: cut at {end}");
    }
}

macro_rules! cases {
    ($($name:ident = $case:literal,)+) => {
        $(#[test] fn $name() { check($case); })+
    };
}

cases! {
    plain = "plain",
    system = "system",
    system_alone = "system-alone",
    multi_turn = "multi-turn",
    settings = "settings",
    stop = "stop",
    stop_one = "stop-one",
    tool_call = "tool-call",
    tool_choice_named = "tool-choice-named",
    tool_choice_allowed = "tool-choice-allowed",
    parallel_tools = "parallel-tools",
    tool_result = "tool-result",
    tool_result_unsigned = "tool-result-unsigned",
    tool_result_older = "tool-result-older",
    image_url = "image-url",
    image_base64 = "image-base64",
    audio_and_file = "audio-and-file",
    json_schema = "json-schema",
    json_object = "json-object",
    reasoning = "reasoning",
    reasoning_budget = "reasoning-budget",
    reasoning_off = "reasoning-off",
    reasoning_own = "reasoning-own",
    length = "length",
    length_while_thinking = "length-while-thinking",
    safety_stop = "safety-stop",
    recitation = "recitation",
    prohibited_content = "prohibited-content",
    blocked_question = "blocked-question",
    usage = "usage",
    empty_answer = "empty-answer",
    unicode = "unicode",
}

/// A file that no case names would look tested.
#[test]
fn every_fixture_is_a_case() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/fixtures");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let case = name.trim_end_matches(".json");
        assert!(include_str!("translation.rs").contains(&format!("= \"{case}\",")), "{case}");
    }
}

//! `/v1/completions`, which was there before chat: passed on where upstream has it, and everywhere else made of chat.

use serde_json::{Value, json};

use crate::harness::upstream::{ODD_TEXT, ODD_TEXT_CHUNKS, ODD_TEXT_USAGE};
use crate::harness::{Host, HostOptions, Streaming, Upstream, libraries};
use crate::openai::{error, providers};

const TEXTS: &str = "/v1/completions";

/// The usual ones, whose upstream has this, and `chatty`, whose upstream is said to have chat only.
async fn host(upstream: &Upstream) -> Host {
    let config =
        json!({ "base_url": upstream.base_url(), "models": ["any", "cut", "odd"], "completions": false });
    let entry = json!({ "plugin": "openai-compatible", "priority": 80, "config": config });
    Host::start(providers(upstream).entry("chatty", entry)).await
}

fn asking(model: &str, members: &str) -> String {
    format!(r#"{{"model":"{model}","prompt":"hi"{members}}}"#)
}

/// The data of the events of a whole stream, but for the one that ends it.
async fn chunks(stream: Streaming) -> Vec<Value> {
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    let text = stream.rest().await.unwrap();
    let mut events: Vec<&str> =
        text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
    assert_eq!(events.pop(), Some("[DONE]"), "{text}");
    events.iter().map(|event| serde_json::from_str(event).unwrap()).collect()
}

/// The words of a text that comes in chunks, each of which has the shape that it should.
fn words(chunks: &[Value]) -> String {
    let mut words = String::new();
    for chunk in chunks {
        assert_eq!(chunk["object"], "text_completion", "{chunk}");
        for choice in chunk["choices"].as_array().unwrap() {
            let names: Vec<&str> = choice.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, ["finish_reason", "index", "logprobs", "text"], "{chunk}");
            words += choice["text"].as_str().unwrap();
        }
    }
    words
}

#[tokio::test]
async fn texts_go_through_byte_for_byte() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    let requests = [
        r#"{"model":"odd","prompt":"a \u00e9","max_tokens":5,"seed":1.50,"x_unknown":{"a":[ 1e0,null ]}}"#,
        r#"{"model":"odd","prompt":["a","b"],"suffix":"s","echo":true,"best_of":3,"n":2,"logprobs":2}"#,
        r#"{"model":"odd","prompt":[[1,2],[3]],"stop":[ "x" ],"user":"u"}"#,
        r#"{"model":"odd","prompt":null}"#,
    ];
    for sent in requests {
        let answer = host.post_text(TEXTS, sent).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ODD_TEXT));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        for (name, value) in
            [("x-patchbay-provider", "up"), ("x-patchbay-model", "odd-2"), ("x-patchbay-attempts", "1")]
        {
            assert_eq!(answer.header(name), Some(value));
        }
    }
    assert_eq!(upstream.bodies(), requests, "nothing is added or lost");
    host.stop().await;
}

#[tokio::test]
async fn chunks_of_texts_go_through_byte_for_byte() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    let events =
        |chunks: &[&str]| chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect::<String>();
    let [first, second, last] = ODD_TEXT_CHUNKS;
    for (members, expected) in [
        (r#","stream":true"#, events(&[first, second, last, "[DONE]"])),
        (
            r#","stream":true,"stream_options":{"include_usage":true,"x":1}"#,
            events(&[first, second, last, ODD_TEXT_USAGE, "[DONE]"]),
        ),
    ] {
        let stream = host.open(TEXTS, &asking("odd", members)).await;
        assert_eq!(stream.headers["content-type"], "text/event-stream");
        assert_eq!(stream.headers["x-patchbay-provider"], "up");
        assert_eq!(stream.rest().await.unwrap(), expected, "{members}");
    }
    let expected = asking("odd", r#","stream":true,"stream_options":{"include_usage":true}"#);
    assert_eq!(upstream.bodies()[0], expected, "but for the token counts, nothing is added");
    host.stop().await;
}

#[tokio::test]
async fn where_there_is_chat_only_texts_are_made_of_it() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    let answer = host.post_text(TEXTS, &asking("mock/mock-1", "")).await;
    assert_eq!((answer.status, answer.header("x-patchbay-provider")), (200, Some("mock")));
    let answer = answer.json();
    assert_eq!(answer["object"], "text_completion");
    let choice = json!({ "text": "You said: hi", "index": 0, "logprobs": null, "finish_reason": "stop" });
    assert_eq!(answer["choices"], json!([choice]));
    assert_eq!(answer["usage"], json!({ "prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4 }));
    assert!(answer["id"].is_string() && answer["created"].is_u64(), "{answer}");

    let members = r#","max_tokens":5,"temperature":0.10,"n":2,"echo":false,"logprobs":null,"top_k":4"#;
    let sent = asking("chatty/any", members).replace(r#""hi""#, r#"["hi"]"#);
    let answer = host.post_text(TEXTS, &sent).await.json();
    let choice =
        |index| json!({ "text": "a b c", "index": index, "logprobs": null, "finish_reason": "stop" });
    assert_eq!((&answer["model"], &answer["choices"]), (&json!("any"), &json!([choice(0), choice(1)])));
    assert_eq!(answer["x_own"], json!({ "kept": true }), "what nobody here knows is passed on");
    let asked = r#"{"model":"any","max_tokens":5,"temperature":0.10,"n":2,"top_k":4,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(upstream.bodies(), [asked]);
    host.stop().await;
}

#[tokio::test]
async fn streams_of_chat_become_streams_of_text() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    for (model, expected) in [("mock/mock-1", "You said: hi"), ("chatty/any", "a b c"), ("open/any", "a b c")]
    {
        for (options, counted) in [("", 0), (r#","stream_options":{"include_usage":true}"#, 1)] {
            let body = asking(model, &format!(r#","stream":true{options}"#));
            let chunks = chunks(host.open(TEXTS, &body).await).await;
            assert_eq!(words(&chunks), expected, "{model}");
            let reasons = chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str());
            assert_eq!(reasons.collect::<Vec<_>>(), ["stop"], "{model}");
            let usages = chunks.iter().filter(|chunk| chunk["usage"].is_object()).count();
            assert_eq!(usages, counted, "{model}{options}: {chunks:?}");
        }
    }
    host.stop().await;
}

/// What goes on with a text piece by piece is not held back, and upstream is left with the client.
#[tokio::test]
async fn texts_come_as_they_are_written() {
    let upstream = Upstream::start().await;
    let config = json!({ "base_url": upstream.base_url(), "completions": false });
    let options =
        providers(&upstream).entry("chatty", json!({ "plugin": "openai-compatible", "config": config }));
    let host = Host::start(options).await;
    for model in ["open/gated", "chatty/gated"] {
        upstream.release(1);
        let mut stream = host.open(TEXTS, &asking(model, r#","stream":true"#)).await;
        let first = stream.next().await.unwrap().unwrap();
        assert!(first.contains(r#""text":"a""#) && first.ends_with("\n\n"), "{first}");
        upstream.open_streams(1).await;
        drop(stream);
        upstream.open_streams(0).await;
    }
    host.stop().await;
}

#[tokio::test]
async fn who_cannot_stream_says_a_text_in_one_piece() {
    let upstream = Upstream::start().await;
    let silent = |library: libraries::Library| {
        library.manifest(|manifest| {
            manifest["supported_features"].as_array_mut().unwrap().retain(|feature| feature != "streaming");
        })
    };
    let options = HostOptions::default().custom(&silent(libraries::mock()));
    let options = options.builtin(&silent(libraries::openai_compatible()));
    let entry = |completions: bool| {
        let config = json!({ "base_url": upstream.base_url(), "completions": completions });
        json!({ "plugin": "openai-compatible", "config": config })
    };
    let options = options.entry("texts", entry(true)).entry("chatty", entry(false));
    let host = Host::start(options.provider("mock", json!({}))).await;
    for (model, expected) in [("mock/mock-1", "You said: hi"), ("chatty/m", "a b c"), ("texts/m", "a b c")] {
        let chunks = chunks(host.open(TEXTS, &asking(model, r#","stream":true"#)).await).await;
        assert_eq!((chunks.len(), words(&chunks)), (1, expected.to_owned()), "{model}");
    }
    assert!(
        upstream.requests().iter().all(|(_, body)| body.get("stream").is_none()),
        "{:?}",
        upstream.bodies()
    );
    host.stop().await;
}

#[tokio::test]
async fn what_chat_cannot_say_is_refused_where_there_is_nothing_else() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    for (members, param, said) in [
        (r#""prompt":["a","b"]"#, "prompt", "prompt must be a string, or a list of one string"),
        (r#""prompt":[1,2]"#, "prompt", "prompt must be a string, or a list of one string"),
        (r#""prompt":[[1,2]]"#, "prompt", "prompt must be a string, or a list of one string"),
        (r#""prompt":null"#, "prompt", "prompt must be a string, or a list of one string"),
        (r#""prompt":"a","suffix":"b""#, "suffix", "suffix must be left out"),
        (r#""prompt":"a","echo":true"#, "echo", "echo must be false"),
        (r#""prompt":"a","best_of":2"#, "best_of", "best_of must be 1"),
        (r#""prompt":"a","logprobs":1"#, "logprobs", "logprobs must be left out"),
    ] {
        for (model, provider) in [("mock/mock-1", "mock"), ("chatty/any", "chatty")] {
            for stream in ["", r#","stream":true"#] {
                let answer =
                    host.post_text(TEXTS, &format!(r#"{{"model":"{model}",{members}{stream}}}"#)).await;
                let expected = (400, json!("invalid_request_error"), json!("invalid_field"));
                assert_eq!(error(&answer), expected, "{members}: {}", answer.body);
                assert_eq!(answer.json()["error"]["param"], param);
                let message = answer.json()["error"]["message"].clone();
                let expected = format!("{provider}: has chat only, where {said}");
                assert!(message.as_str().unwrap().contains(&expected), "{message}");
            }
        }
    }
    assert!(upstream.requests().is_empty(), "nobody was asked");
    // One of those who offer the model has more than chat.
    let answer = host.post_text(TEXTS, r#"{"model":"odd","prompt":["a","b"]}"#).await;
    assert_eq!((answer.status, answer.header("x-patchbay-provider")), (200, Some("up")));
    host.stop().await;
}

#[tokio::test]
async fn the_next_is_asked_in_its_own_way() {
    let upstream = Upstream::start().await;
    let entry = |priority: u32, base_url: &str, models: &[&str], completions: bool| {
        let config = json!({
            "base_url": base_url, "models": models, "priority": priority, "completions": completions,
            "retry_attempts": 0,
        });
        json!({ "plugin": "openai-compatible", "config": config })
    };
    // Nothing listens there.
    let nowhere = "http://127.0.0.1:1/v1";
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.entry("down", entry(1, nowhere, &["a", "b"], true));
    let options = options.entry("down-chatty", entry(2, nowhere, &["a", "b"], false));
    let options = options.entry("texts", entry(3, upstream.base_url(), &["a"], true));
    let host = Host::start(options.entry("chatty", entry(3, upstream.base_url(), &["b"], false))).await;
    for (model, provider, asked) in [("a", "texts", "prompt"), ("b", "chatty", "messages")] {
        for members in ["", r#","stream":true"#] {
            let answer = host.post_text(TEXTS, &asking(model, members)).await;
            assert_eq!((answer.status, answer.header("x-patchbay-provider")), (200, Some(provider)));
            assert_eq!(answer.header("x-patchbay-attempts"), Some("3"), "{model}{members}");
            assert!(answer.body.contains(r#""object":"text_completion""#), "{}", answer.body);
            assert!(upstream.requests().last().unwrap().1.get(asked).is_some(), "{:?}", upstream.bodies());
        }
    }
    // Who has chat only is passed over, and that is told.
    let answer = host.post_text(TEXTS, r#"{"model":"a","prompt":"hi","echo":true}"#).await;
    assert_eq!((answer.status, answer.header("x-patchbay-attempts")), (200, Some("2")));
    let route = answer.header("x-patchbay-route").unwrap();
    assert!(route.contains("down-chatty: has chat only, where echo must be false"), "{route}");
    host.stop().await;
}

#[tokio::test]
async fn a_text_that_is_cut_says_so_and_has_no_end() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    for model in ["open/cut", "chatty/cut"] {
        let mut stream = host.open(TEXTS, &asking(model, r#","stream":true"#)).await;
        let cut = loop {
            match stream.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a cut answer was presented as a whole one: {:?}", stream.text),
                Err(cut) => break cut,
            }
        };
        assert!(!cut.is_empty() && !stream.text.contains("[DONE]"), "{}", stream.text);
        let mut events: Vec<Value> = stream
            .text
            .split_terminator("\n\n")
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
            .collect();
        let error = events.pop().unwrap()["error"].clone();
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("api_error"), &json!("broken_stream")),
            "{model}"
        );
        assert_eq!(words(&events), "a b c", "{model}");
    }
    host.stop().await;
}

#[tokio::test]
async fn failures_are_told_as_those_of_chat() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    for (body, status, code, param) in [
        ("{".to_owned(), 400, "invalid_json", Value::Null),
        ("{}".to_owned(), 400, "missing_field", json!("prompt")),
        (asking("odd", r#","stream":1"#), 400, "invalid_field", json!("stream")),
        (asking("up/nosuch", ""), 404, "model_not_found", json!("model")),
        (asking("open/says-400", ""), 400, "context_length_exceeded", json!("its.param[0]")),
        (asking("open/says-404", r#","stream":true"#), 404, "context_length_exceeded", json!("its.param[0]")),
        (asking("limits/limits", ""), 429, "rate_limited", Value::Null),
        // It rests now.
        (asking("limits/limits", r#","stream":true"#), 429, "rate_limited", Value::Null),
    ] {
        let kind = if status == 429 { "rate_limit_error" } else { "invalid_request_error" };
        let answer = host.post_text(TEXTS, &body).await;
        assert_eq!(error(&answer), (status, json!(kind), json!(code)), "{body}: {}", answer.body);
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    host.stop().await;
}

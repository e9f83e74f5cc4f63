//! `/v1`: what goes to upstream and what comes back are the same bytes, in the shapes of OpenAI.

use serde_json::{Value, json};

use crate::harness::upstream::{ODD_CHUNKS, ODD_EMBEDDINGS, ODD_USAGE, ODD_WHOLE};
use crate::harness::{Answer, Host, HostOptions, Upstream, libraries};

pub(crate) const CHAT: &str = "/v1/chat/completions";

/// The mock, and providers with a plan: `up` offers two models, `open` takes any, and those who fail are each a
/// provider of their own, as whoever fails is left alone for a while.
pub(crate) fn providers(upstream: &Upstream) -> HostOptions {
    let config =
        json!({ "base_url": upstream.base_url(), "model": "odd", "models": ["odd", "vendor/slashed"] });
    let options = HostOptions::default().builtin(&libraries::openai_compatible()).custom(&libraries::mock());
    let options = options.entry("up", json!({ "plugin": "openai-compatible", "config": config }));
    let open = json!({ "base_url": upstream.base_url(), "priority": 60 });
    let options = options.entry("open", json!({ "plugin": "openai-compatible", "config": open }));
    let options = ["limits", "fails", "refuses"].into_iter().fold(options, |options, name| {
        let config = json!({ "base_url": upstream.base_url(), "models": [name], "retry_attempts": 0 });
        options.entry(name, json!({ "plugin": "openai-compatible", "priority": 70, "config": config }))
    });
    options.provider("mock", json!({}))
}

pub(crate) async fn host(upstream: &Upstream) -> Host {
    Host::start(providers(upstream)).await
}

/// A request for chat: the members of its own come before these.
pub(crate) fn asking(model: &str, members: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]{members}}}"#)
}

#[track_caller]
pub(crate) fn error(answer: &Answer) -> (u16, Value, Value) {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = &answer.json()["error"];
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", answer.body);
    (answer.status, error["type"].clone(), error["code"].clone())
}

#[tokio::test]
async fn whole_answers_go_through_byte_for_byte() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    let sent = concat!(
        r#"{"model":"odd", "messages":[ {"role":"function","name":"f","content":"1"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]}],"#,
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{ }}}],"response_format":{"type":"json_object"},"#,
        r#""seed":1.50,"temperature":null,"provider":{"order":["a"]},"strategy":"x","include_raw":7,"x_unknown":{"a":[ 1e0,null ]}}"#,
    );
    let answer = host.post_text(CHAT, sent).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ODD_WHOLE));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    for (name, value) in
        [("x-patchbay-provider", "up"), ("x-patchbay-model", "odd-2"), ("x-patchbay-attempts", "1")]
    {
        assert_eq!(answer.header(name), Some(value));
    }
    let spaceless = r#""odd", "messages""#;
    assert_eq!(
        upstream.bodies(),
        [sent.replace(spaceless, r#""odd","messages""#)],
        "nothing is added or lost"
    );
    host.stop().await;
}

#[tokio::test]
async fn the_model_selects_and_pins() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    for (model, provider, asked) in [
        ("auto", "up", "odd"),
        ("", "up", "odd"),
        ("up/vendor/slashed", "up", "vendor/slashed"),
        ("vendor/slashed", "up", "vendor/slashed"),
        ("open/anything", "open", "anything"),
        ("mock/mock-1", "mock", ""),
    ] {
        let answer = host.post_text(CHAT, &asking(model, "")).await;
        assert_eq!((answer.status, answer.header("x-patchbay-provider")), (200, Some(provider)), "{model}");
        if !asked.is_empty() {
            assert_eq!(upstream.requests().last().unwrap().1["model"], asked, "{model}");
        }
    }
    let without = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(host.post_text(CHAT, without).await.body, ODD_WHOLE);
    host.stop().await;
}

#[tokio::test]
async fn chunks_go_through_byte_for_byte() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    let events =
        |chunks: &[&str]| chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect::<String>();
    let [first, second, last] = ODD_CHUNKS;
    for (members, expected) in [
        (r#","stream":true"#, events(&[first, second, last, "[DONE]"])),
        (
            r#","stream":true,"stream_options":{"include_usage":false}"#,
            events(&[first, second, last, "[DONE]"]),
        ),
        (
            r#","stream":true,"stream_options":{"include_usage":true,"x":1}"#,
            events(&[first, second, last, ODD_USAGE, "[DONE]"]),
        ),
    ] {
        let stream = host.open(CHAT, &asking("odd", members)).await;
        assert_eq!(stream.headers["content-type"], "text/event-stream");
        assert_eq!(stream.headers["x-patchbay-provider"], "up");
        assert_eq!(stream.headers["x-patchbay-model"], "odd-2");
        assert_eq!(stream.rest().await.unwrap(), expected, "{members}");
    }
    let sent = &upstream.bodies()[0];
    let expected = asking("odd", r#","stream":true,"stream_options":{"include_usage":true}"#);
    assert_eq!(*sent, expected, "but for the token counts, nothing is added");
    assert_eq!(upstream.requests()[2].1["stream_options"], json!({ "include_usage": true, "x": 1 }));
    host.stop().await;
}

#[tokio::test]
async fn a_plugin_streams_the_same_way() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    for (options, counted) in [("", 0), (r#","stream_options":{"include_usage":true}"#, 1)] {
        let body = asking("mock/mock-1", &format!(r#","stream":true{options}"#));
        let text = host.open(CHAT, &body).await.rest().await.unwrap();
        let mut events: Vec<&str> =
            text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
        assert_eq!(events.pop(), Some("[DONE]"));
        let chunks: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
        let words: String =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(words, "You said: hi");
        assert_eq!(chunks.iter().filter(|chunk| chunk["usage"].is_object()).count(), counted, "{text}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_cut_stream_says_so_and_has_no_end() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    let mut stream = host.open(CHAT, &asking("open/cut", r#","stream":true"#)).await;
    let cut = loop {
        match stream.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a cut answer was presented as a whole one: {:?}", stream.text),
            Err(cut) => break cut,
        }
    };
    assert!(!cut.is_empty() && !stream.text.contains("[DONE]"), "{}", stream.text);
    let events: Vec<&str> = stream.text.split_terminator("\n\n").collect();
    assert_eq!(events.len(), 4, "three chunks and the error: {}", stream.text);
    let error: Value = serde_json::from_str(events[3].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        (&error["error"]["type"], &error["error"]["code"]),
        (&json!("api_error"), &json!("broken_stream"))
    );
    host.stop().await;
}

#[tokio::test]
async fn who_fails_before_the_first_token_is_followed_by_the_next() {
    let upstream = Upstream::start().await;
    let entry = |priority: u32, base_url: &str| {
        let config = json!({ "base_url": base_url, "model": "odd", "priority": priority, "models": ["odd"] });
        json!({ "plugin": "openai-compatible", "config": config })
    };
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    // Nothing listens there.
    let options = options.entry("down", entry(1, "http://127.0.0.1:1/v1"));
    let host = Host::start(options.entry("up", entry(2, upstream.base_url()))).await;
    let embedding = r#"{"model":"odd","input":"a"}"#.to_owned();
    for (path, body) in
        [(CHAT, asking("odd", "")), (CHAT, asking("odd", r#","stream":true"#)), ("/v1/embeddings", embedding)]
    {
        let answer = host.post_text(path, &body).await;
        assert_eq!((answer.status, answer.header("x-patchbay-provider")), (200, Some("up")), "{body}");
        assert_eq!(answer.header("x-patchbay-attempts"), Some("2"), "{body}");
    }
    host.stop().await;
}

#[tokio::test]
async fn who_has_no_embeddings_is_not_asked_for_any() {
    let library = libraries::mock().manifest(|manifest| {
        manifest["supported_features"].as_array_mut().unwrap().retain(|feature| feature != "embeddings");
    });
    let options = HostOptions::default().custom(&library).provider("mock", json!({}));
    let host = Host::start(options).await;
    let answer = host.post_json("/v1/embeddings", &json!({ "input": "a" })).await;
    assert_eq!(error(&answer), (503, json!("server_error"), json!("no_providers_available")));
    assert!(answer.body.contains("does not support embeddings"), "{}", answer.body);
    host.stop().await;
}

#[tokio::test]
async fn chunks_are_not_held_back_and_upstream_is_left_with_the_client() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    upstream.release(1);
    let mut stream = host.open(CHAT, &asking("open/gated", r#","stream":true"#)).await;
    let first = stream.next().await.unwrap().unwrap();
    assert!(first.contains(r#""content":"a""#) && first.ends_with("\n\n"), "{first}");
    upstream.open_streams(1).await;
    drop(stream);
    upstream.open_streams(0).await;
    host.stop().await;
}

#[tokio::test]
async fn embeddings_by_plan_and_by_plugin() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    let sent = r#"{"input":["a b"],"model":"open/embed-1","dimensions":2.0,"x":[ ]}"#;
    let answer = host.post_text("/v1/embeddings", sent).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ODD_EMBEDDINGS));
    assert_eq!(answer.header("x-patchbay-provider"), Some("open"));
    assert_eq!(answer.header("x-patchbay-model"), Some("embed-2"));
    assert_eq!(upstream.bodies(), [sent.replace("open/", "")]);

    let body = json!({ "model": "mock/mock-1", "input": ["a", "b"], "dimensions": 3 });
    let answer = host.post_json("/v1/embeddings", &body).await;
    assert_eq!(answer.header("x-patchbay-provider"), Some("mock"));
    let data = answer.json()["data"].as_array().unwrap().clone();
    assert_eq!(data.len(), 2, "{}", answer.body);
    assert_eq!(data[1]["embedding"].as_array().unwrap().len(), 3, "{}", answer.body);

    let answer = host.post_json("/v1/embeddings", &json!({ "model": "mock/mock-1" })).await;
    assert_eq!(error(&answer).0, 400);
    assert_eq!(answer.json()["error"]["param"], "input");
    host.stop().await;
}

#[tokio::test]
async fn models_are_listed_by_the_names_they_answer_to() {
    let upstream = Upstream::start().await;
    // Those of the configuration alone: when vendors have been asked is nobody's business here.
    let host = Host::start(providers(&upstream).section("models", json!({ "refresh": false }))).await;
    let list = host.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "up/odd",
            "odd",
            "up/vendor/slashed",
            "vendor/slashed",
            "fails/fails",
            "fails",
            "limits/limits",
            "limits",
            "refuses/refuses",
            "refuses",
            "mock/mock-1"
        ]
    );
    for id in ids {
        let model = host.get(&format!("/v1/models/{id}")).await.json();
        assert_eq!((&model["id"], &model["object"]), (&json!(id), &json!("model")));
        assert!(model["created"].is_u64() && model["owned_by"].is_string(), "{model}");
    }
    for unknown in ["/v1/models/up/nosuch", "/v1/models/mock-1", "/v1/models/%ff"] {
        let answer = host.get(unknown).await;
        assert_eq!(error(&answer).0, 404, "{unknown}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_stream_says_that_it_lives_but_not_before_it_begins() {
    let upstream = Upstream::start().await;
    let host = Host::start(providers(&upstream).section("server", json!({ "keep_alive": 0.05 }))).await;
    let ask = asking("open/gated", r#","stream":true"#);
    upstream.release(1);
    let mut begun = host.open(CHAT, &ask).await;
    let mut waiting = Box::pin(host.open(CHAT, &ask));
    // As long as the one that has begun says so three times, the other one has had to wait.
    while begun.text.matches(": keep-alive\n\n").count() < 3 {
        tokio::select! {
            _ = &mut waiting => panic!("an answer began before upstream's did"),
            read = begun.next() => assert!(read.unwrap().is_some(), "{}", begun.text),
        }
    }
    upstream.release(100);
    let second = waiting.await;
    for stream in [begun, second] {
        let text = stream.rest().await.unwrap();
        assert!(text.starts_with("data: {") && text.ends_with("data: [DONE]\n\n"), "{text}");
        assert_eq!(text.replace(": keep-alive\n\n", "").matches("data: ").count(), 5, "{text}");
    }
    host.stop().await;
}

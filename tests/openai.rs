//! `/v1`: what goes to upstream and what comes back are the same bytes, and what goes wrong is said as OpenAI does.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::upstream::{ODD_CHUNKS, ODD_EMBEDDINGS, ODD_USAGE, ODD_WHOLE};
use crate::harness::{Answer, Host, HostOptions, Upstream, libraries};

const CHAT: &str = "/v1/chat/completions";

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

async fn host(upstream: &Upstream) -> Host {
    Host::start(providers(upstream)).await
}

/// A request for chat: the members of its own come before these.
fn asking(model: &str, members: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]{members}}}"#)
}

#[track_caller]
fn error(answer: &Answer) -> (u16, Value, Value) {
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
async fn what_fails_before_the_first_token_is_an_error_with_its_status() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    for (model, status, kind, code) in [
        ("refuses/refuses", 502, "api_error", "authentication"),
        ("fails/fails", 502, "api_error", "provider"),
        ("limits/limits", 429, "rate_limit_error", "rate_limited"),
        ("open/objects", 400, "invalid_request_error", "invalid_input"),
        ("up/nosuch", 404, "invalid_request_error", "model_not_found"),
    ] {
        for members in ["", r#","stream":true"#] {
            let answer = host.post_text(CHAT, &asking(model, members)).await;
            assert_eq!(error(&answer), (status, json!(kind), json!(code)), "{model}: {}", answer.body);
            // The second one is told what is left of it.
            let wait = answer.header("retry-after").map(|seconds| seconds.parse::<u32>().unwrap());
            assert_eq!(wait.is_some_and(|seconds| (1..=7).contains(&seconds)), status == 429, "{model}");
        }
    }
    let answer = host.post_text(CHAT, &asking("up/od", "")).await;
    assert_eq!(answer.json()["error"]["param"], "model");
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("odd"), "{}", answer.body);
    host.stop().await;
}

/// As far as it is about the request: clients act on upstream's own words.
#[tokio::test]
async fn what_upstream_says_of_the_request_reaches_the_client() {
    let upstream = Upstream::start().await;
    let host = host(&upstream).await;
    let its = |code: &'static str| (code, json!("its.param[0]"));
    for (model, status, kind, (code, param), own_code) in [
        ("says-400", 400, "invalid_request_error", its("context_length_exceeded"), "invalid_input"),
        ("says-404", 404, "invalid_request_error", its("context_length_exceeded"), "provider"),
        ("says-413", 413, "invalid_request_error", its("context_length_exceeded"), "invalid_input"),
        ("says-415", 400, "invalid_request_error", its("context_length_exceeded"), "invalid_input"),
        ("says-422", 422, "invalid_request_error", its("context_length_exceeded"), "invalid_input"),
        ("only-says-400", 400, "invalid_request_error", ("invalid_input", Value::Null), "invalid_input"),
        ("only-says-404", 404, "invalid_request_error", ("model_not_found", Value::Null), "provider"),
        ("only-says-413", 413, "invalid_request_error", ("invalid_input", Value::Null), "invalid_input"),
        ("only-says-422", 422, "invalid_request_error", ("invalid_input", Value::Null), "invalid_input"),
        // What is not about the request is not the client's.
        ("says-402", 502, "api_error", ("provider", Value::Null), "provider"),
        ("says-403", 502, "api_error", ("authentication", Value::Null), "authentication"),
    ] {
        let said = if model.contains("403") { "does not accept" } else { "open: not like this" };
        for members in ["", r#","stream":true"#] {
            let answer = host.post_text(CHAT, &asking(&format!("open/{model}"), members)).await;
            // A key that was refused rests, and the answer is the same.
            assert_eq!(error(&answer), (status, json!(kind), json!(code)), "{model}: {}", answer.body);
            let told = &answer.json()["error"];
            assert_eq!(told["param"], param, "{model}: {}", answer.body);
            let message = told["message"].as_str().unwrap();
            assert!(message.contains(said), "{message}");
            assert_eq!(message.ends_with("(context_length_exceeded)"), param != Value::Null, "{message}");
        }
        let answer = host.post_text("/api/chat/complete", &asking(&format!("open/{model}"), "")).await;
        let (told, code, details) = answer.error();
        assert_eq!((told, code.as_str()), (status, own_code), "{model}: {details}");
        assert_eq!(
            details.ends_with("not like this (context_length_exceeded)"),
            param != Value::Null,
            "{details}"
        );
    }
    host.stop().await;
}

/// A plugin of one's own says it by the SDK, across the boundary.
#[tokio::test]
async fn what_a_plugin_says_of_the_request_reaches_the_client() {
    let options = HostOptions::default().custom(&libraries::chameleon().behaviour("call_fail"));
    let host = Host::start(options.provider("chameleon", json!({}))).await;
    for members in ["", r#","stream":true"#] {
        let answer = host.post_text(CHAT, &asking("chameleon/", members)).await;
        assert_eq!(error(&answer), (400, json!("invalid_request_error"), json!("made_to_refuse")));
        assert_eq!(answer.json()["error"]["param"], "messages[0]");
        let message = answer.json()["error"]["message"].clone();
        assert_eq!(message, "chameleon: the chameleon was made to refuse (made_to_refuse)");
    }
    let (status, code, details) = host.ask("chameleon", "hi").await.error();
    assert_eq!((status, code.as_str()), (400, "invalid_input"));
    assert_eq!(details, "chameleon: the chameleon was made to refuse (made_to_refuse)");
    host.stop().await;
}

/// Others may have what one has not: nobody is told of it before all were asked.
#[tokio::test]
async fn a_model_that_one_upstream_lacks_is_asked_of_the_next() {
    let upstream = Upstream::start().await;
    let entry = |priority: u32, renamed: &str| {
        let config = json!({
            "base_url": upstream.base_url(), "models": ["m"], "priority": priority,
            "extra_headers": { "x-answer-as": renamed },
        });
        json!({ "plugin": "openai-compatible", "config": config })
    };
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.entry("lacks", entry(1, "says-404"));
    let host = Host::start(options.entry("has", entry(2, "odd"))).await;
    for members in ["", r#","stream":true"#] {
        let answer = host.post_text(CHAT, &asking("m", members)).await;
        assert_eq!((answer.status, answer.header("x-patchbay-provider")), (200, Some("has")));
        assert_eq!(answer.header("x-patchbay-attempts"), Some("2"));
        let answer = host.post_text(CHAT, &asking("lacks/m", members)).await;
        assert_eq!(error(&answer), (404, json!("invalid_request_error"), json!("context_length_exceeded")));
    }
    host.stop().await;
}

#[tokio::test]
async fn every_failure_below_v1_has_openais_shape() {
    let upstream = Upstream::start().await;
    let config = json!({ "base_url": upstream.base_url(), "model": "odd" });
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.section("server", json!({ "max_body_bytes": 2000 }));
    let host =
        Host::start(options.entry("up", json!({ "plugin": "openai-compatible", "config": config }))).await;
    let request = |method: Method, path: &str| host.request(method, path);
    let json = |body: &str| {
        request(Method::POST, CHAT).header("content-type", "application/json").body(body.to_owned())
    };
    let long = asking("odd", &format!(r#","x":"{}""#, "x".repeat(3000)));
    for (what, request, status, kind, code) in [
        ("an unknown path", request(Method::GET, "/v1/nosuch"), 404, "invalid_request_error", "not_found"),
        ("the prefix", request(Method::GET, "/v1/"), 404, "invalid_request_error", "not_found"),
        ("a method", request(Method::GET, CHAT), 405, "invalid_request_error", "method_not_allowed"),
        ("size", json(&long), 413, "invalid_request_error", "body_too_large"),
        ("no JSON", json("{"), 400, "invalid_request_error", "invalid_json"),
        ("no messages", json("{}"), 400, "invalid_request_error", "missing_field"),
        ("a field", json(&asking("odd", r#","stream":1"#)), 400, "invalid_request_error", "invalid_field"),
        ("messages", json(r#"{"messages":[]}"#), 400, "invalid_request_error", "invalid_messages"),
        (
            "a form",
            request(Method::POST, CHAT).header("content-type", "text/plain").body("x"),
            415,
            "invalid_request_error",
            "unsupported_media_type",
        ),
        (
            "a foreign page",
            json("{}").header("origin", "https://evil.example"),
            403,
            "authentication_error",
            "forbidden",
        ),
    ] {
        let answer = host.answer("/v1/...", request).await;
        assert_eq!(error(&answer), (status, json!(kind), json!(code)), "{what}: {}", answer.body);
    }
    host.stop().await;
}

#[tokio::test]
async fn a_missing_token_is_an_authentication_error() {
    let token = "a-token-for-this-test-0123456789";
    let options = HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    let host = Host::start(options.env("ADMIN_TOKEN", token).secret(token)).await;
    let asked = |token: Option<&str>| {
        let request = host.request(Method::GET, "/v1/models").header("x-forwarded-for", "203.0.113.9");
        token.map_or(request.try_clone().unwrap(), |token| request.bearer_auth(token))
    };
    let answer = host.answer("/v1/models", asked(None)).await;
    assert_eq!(error(&answer), (401, json!("authentication_error"), json!("invalid_api_key")));
    assert_eq!(host.answer("/v1/models", asked(Some("wrong"))).await.status, 401);
    assert_eq!(host.answer("/v1/models", asked(Some(token))).await.status, 200);
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
    let host = host(&upstream).await;
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

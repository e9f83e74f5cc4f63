//! `/v1` when it goes wrong: what clients made for OpenAI are told, and by which status, type and code.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Upstream, libraries};
use crate::openai::{CHAT, asking, error, host};

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
    for path in [CHAT, "/v1/completions", "/v1/embeddings"] {
        let request = host.request(Method::POST, path).header("x-forwarded-for", "203.0.113.9");
        let answer = host.answer(path, request.header("content-type", "application/json").body("{}")).await;
        assert_eq!(error(&answer), (401, json!("authentication_error"), json!("invalid_api_key")), "{path}");
    }
    assert_eq!(host.answer("/v1/models", asked(Some(token))).await.status, 200);
    host.stop().await;
}

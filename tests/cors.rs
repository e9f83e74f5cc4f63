//! Pages of other origins: those that are configured may ask what applications may, and read the answers.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Host, HostOptions, libraries};

const FRIEND: &str = "https://desk.example.com";

async fn start(origins: Value) -> Host {
    let options = HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    Host::start(options.section("server", json!({ "cors_origins": origins }))).await
}

/// What a browser asks before it asks, and what it is told.
async fn preflight(host: &Host, path: &str, origin: &str) -> Answer {
    let request = host.request(Method::OPTIONS, path).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    host.answer(path, request.header("access-control-request-headers", "authorization,content-type")).await
}

async fn ask(host: &Host, path: &str, origin: &str) -> Answer {
    let body = json!({ "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    let request = host.request(Method::POST, path).header("origin", origin).body(body);
    host.answer(path, request.header("content-type", "application/json")).await
}

#[tokio::test]
async fn a_page_that_is_named_may_ask_and_read() {
    let host = start(json!([FRIEND])).await;
    for path in ["/v1/chat/completions", "/api/chat", "/api/chat/complete", "/api/cost/estimate"] {
        let told = preflight(&host, path, FRIEND).await;
        assert_eq!(told.status, 200, "{path}: {}", told.body);
        assert_eq!(told.header("access-control-allow-origin"), Some(FRIEND), "{path}");
        assert_eq!(told.header("access-control-allow-headers"), Some("authorization,content-type"));
        let answer = ask(&host, path, FRIEND).await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (200, Some(FRIEND)),
            "{path}"
        );
        let exposed = answer.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("x-patchbay-provider") && exposed.contains("x-request-id"), "{exposed}");
    }
    // It may read what went wrong, too.
    let wrong = host.request(Method::POST, "/api/chat").header("origin", FRIEND).body("{}");
    let wrong = host.answer("/api/chat", wrong.header("content-type", "application/json")).await;
    assert_eq!((wrong.status, wrong.header("access-control-allow-origin")), (400, Some(FRIEND)));
    host.stop().await;
}

#[tokio::test]
async fn nobody_else_may_and_nobody_may_change_anything() {
    let host = start(json!([FRIEND, "*"])).await;
    let stranger = "https://elsewhere.example.com";
    assert_eq!(preflight(&host, "/api/chat", stranger).await.header("access-control-allow-origin"), None);
    let answer = ask(&host, "/api/chat/complete", stranger).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None));
    let told = preflight(&host, "/api/providers/reload", FRIEND).await;
    assert_eq!(told.header("access-control-allow-origin"), None);
    let reload = host.request(Method::POST, "/api/providers/reload").header("origin", FRIEND);
    assert_eq!(host.answer("/api/providers/reload", reload).await.status, 403);
    host.logs("this is no origin", "*").await;
    host.stop().await;

    let host = start(json!([])).await;
    assert_eq!(ask(&host, "/api/chat/complete", FRIEND).await.status, 403);
    host.stop().await;
}

//! Lists where objects have to be. Whoever reads a list of an object's values as the object takes what nobody has meant.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, libraries};

#[tokio::test]
async fn a_list_is_no_object_wherever_it_stands() {
    let host =
        Host::start(HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}))).await;
    let limits = json!({ "requests_per_minute": 7 });
    let made = host.post_json("/api/keys", &json!({ "name": "team", "limits": limits })).await.json();
    let key = format!("/api/keys/{}", made["id"].as_str().unwrap());
    let words = json!([{ "role": "user", "content": "hi" }]);
    let with = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    for (method, path, body) in [
        (Method::POST, "/api/keys", json!(["team"])),
        (Method::POST, "/api/keys", json!({ "name": "other", "limits": [] })),
        (Method::POST, "/api/keys", json!({ "name": "other", "limits": [7] })),
        (Method::PATCH, &key, json!([])),
        (Method::PATCH, &key, json!({ "limits": [] })),
        (Method::PATCH, &key, json!({ "limits": [8] })),
        (Method::PUT, "/api/log", json!(["info"])),
        (Method::POST, "/api/providers", json!(["p", "mock"])),
        (Method::POST, "/api/providers", json!({ "name": "p", "plugin": "mock", "config": [] })),
        (Method::PATCH, "/api/providers/mock", json!({ "config": [] })),
        (Method::PATCH, "/api/providers/mock", json!({ "config": { "extra_headers": [] } })),
        (Method::PATCH, "/api/providers/mock", json!({ "config": { "pricing": [] } })),
        (Method::PATCH, "/api/providers/mock", json!({ "config": { "pricing": { "mock-1": [1, 2] } } })),
        (Method::POST, "/api/providers/mock/models/sync", json!([true])),
        (Method::POST, "/api/chat/complete", json!([words])),
        (Method::POST, "/api/chat/complete", json!({ "messages": [["user", "hi"]] })),
        (Method::POST, "/api/chat/complete", with(json!([["text", "hi"]]))),
        (Method::POST, "/v1/chat/completions", json!({ "messages": [["user", "hi"]] })),
        (Method::POST, "/v1/chat/completions", json!({ "messages": words, "stream_options": [] })),
        (Method::POST, "/api/cost/estimate", json!({ "messages": [["user", "hi"]] })),
    ] {
        let request = host.request(method.clone(), path).header("content-type", "application/json");
        let asks = ["/v1/", "/api/chat", "/api/cost"].iter().any(|begin| path.starts_with(begin));
        let request = if asks { request.bearer_auth(made["key"].as_str().unwrap()) } else { request };
        let answer = host.answer(path, request.body(body.to_string())).await;
        assert!(
            [400, 422].contains(&answer.status),
            "{method} {path} {body}: {} {}",
            answer.status,
            answer.body
        );
    }
    let keys = host.get("/api/keys").await.json();
    assert_eq!(
        (&keys["total_count"], &keys["keys"][0]["limits"]["requests_per_minute"]),
        (&json!(1), &json!(7))
    );
    host.stop().await;
}

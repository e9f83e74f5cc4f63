//! Whether keys are accepted, asked of the provider that has to accept them.

use std::net::SocketAddr;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Mortal, libraries};

const GOOD: &str = "sk-good-key-0123456789";
const BAD: &str = "sk-bad-key-0123456789";
const UNLUCKY: &str = "sk-unlucky-key-0123456789";
const SLOW: &str = "sk-slow-key-0123456789";

/// As careless as some are: the key comes back in what is said about it.
async fn models(headers: HeaderMap) -> Response {
    let asked =
        headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let error = |status: StatusCode, words: &str| {
        let message = format!("{words}: {asked}");
        (status, json!({ "error": { "message": message } }).to_string()).into_response()
    };
    match asked.trim_start_matches("Bearer ") {
        GOOD => r#"{"data":[]}"#.into_response(),
        UNLUCKY => error(StatusCode::INTERNAL_SERVER_ERROR, "out of order"),
        SLOW => std::future::pending().await,
        _ => error(StatusCode::UNAUTHORIZED, "Incorrect API key provided"),
    }
}

fn vendor() -> Mortal {
    Mortal::start(Router::new().route("/v1/models", get(models)))
}

async fn host(address: SocketAddr, keys: &[&str]) -> Host {
    let config = json!({ "base_url": format!("http://{address}/v1"), "api_key": null, "api_keys": keys, "timeout": 2 });
    let mut options = HostOptions::default().builtin(&libraries::openai_compatible());
    options = options.section("health", json!({ "enabled": false }));
    options = options.entry("up", json!({ "plugin": "openai-compatible", "config": config }));
    Host::start(keys.iter().fold(options, |options, key| options.secret(key))).await
}

async fn validated(host: &Host) -> Value {
    let answer = host.post("/api/providers/up/credentials/validate").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

#[tokio::test]
async fn a_key_is_valid_or_invalid_or_nobody_knows() {
    let vendor = vendor();
    for (keys, status, message, error) in [
        (&[GOOD][..], "valid", Some("The provider accepts the key"), None),
        (&[BAD], "invalid", Some("Incorrect API key provided"), None),
        (&[UNLUCKY], "error", None, Some("out of order")),
        (&[SLOW], "error", None, Some("no answer to the check of the key within 2s")),
        (&[], "invalid", Some("Incorrect API key provided"), None),
    ] {
        let host = host(vendor.address(), keys).await;
        let said = validated(&host).await;
        assert_eq!(said["status"], status, "{keys:?}: {said}");
        for (words, expected) in [(&said["message"], message), (&said["error"], error)] {
            match expected {
                None => assert!(words.is_null(), "{keys:?}: {said}"),
                Some(expected) => assert!(words.as_str().unwrap().contains(expected), "{keys:?}: {said}"),
            }
        }
        // The harness looks for keys in every answer and log line.
        host.stop().await;
    }
}

#[tokio::test]
async fn of_several_keys_each_is_asked_about() {
    let vendor = vendor();
    let host = host(vendor.address(), &[GOOD, BAD, UNLUCKY]).await;
    let said = validated(&host).await;
    assert_eq!(said["status"], "invalid");
    let keys: Vec<(u64, &str)> = said["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["index"].as_u64().unwrap(), key["status"].as_str().unwrap()))
        .collect();
    assert_eq!(keys, [(0, "valid"), (1, "invalid"), (2, "error")]);
    host.stop().await;
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_an_error_and_one_that_cannot_be_asked_says_so() {
    let mut vendor = vendor();
    let gone = vendor.address();
    vendor.kill().await;
    let there = host(gone, &[GOOD]).await;
    let said = validated(&there).await;
    assert_eq!((said["status"].as_str(), said["message"].is_null()), (Some("error"), true), "{said}");
    let (status, code, _) = there.post("/api/providers/nobody/credentials/validate").await.error();
    assert_eq!((status, code.as_str()), (404, "provider_not_found"));
    there.stop().await;

    let config = json!({ "base_url": format!("http://{gone}"), "api_key": GOOD });
    let options = HostOptions::default().custom(&libraries::translator()).secret(GOOD);
    let other = Host::start(options.provider("translator", config)).await;
    let (status, _, details) = other.post("/api/providers/translator/credentials/validate").await.error();
    assert_eq!((status, details.contains("does not support credentials_check")), (422, true), "{details}");
    other.stop().await;
}

//! Answers that say no, by their status.

use serde_json::json;

use crate::harness::SECRET;
use crate::harness::scripted::script::Script;

use super::case::{Case, Outcome, fails};

/// As careless as some are: the key comes back in the error.
fn message(words: &str) -> String {
    format!("{words} {SECRET}")
}

async fn check(status: &str, code: u16, kind: &'static str, said: &'static str) {
    let script = Script::error(status, &[], &message("it says no to"));
    Case::both(script, fails(code, kind, said)).check().await;
}

/// What is wrong with a request is wrong with it everywhere: nobody else is asked.
#[tokio::test]
async fn says_400() {
    check("400 Bad Request", 400, "invalid_input", "it says no to ***").await;
}

#[tokio::test]
async fn says_401() {
    check("401 Unauthorized", 502, "authentication", "does not accept the configured key (401 Unauthorized)")
        .await;
}

#[tokio::test]
async fn says_403() {
    check("403 Forbidden", 502, "authentication", "does not accept the configured key (403 Forbidden)").await;
}

#[tokio::test]
async fn says_404() {
    check("404 Not Found", 404, "provider", "it says no to ***").await;
}

#[tokio::test]
async fn says_413() {
    check("413 Payload Too Large", 413, "invalid_input", "it says no to ***").await;
}

#[tokio::test]
async fn says_422() {
    check("422 Unprocessable Entity", 422, "invalid_input", "it says no to ***").await;
}

/// As careless as it gets: a code that every check of its form lets pass.
#[tokio::test]
async fn says_400_with_the_key_for_its_code() {
    let error = json!({ "error": { "message": "no", "code": SECRET, "param": format!("a.{SECRET}") } });
    let script = Script::head("400 Bad Request", &[("content-type", "application/json")]);
    Case::both(script.send(error.to_string()), fails(400, "invalid_input", "no")).check().await;
}

#[tokio::test]
async fn says_500() {
    check("500 Internal Server Error", 502, "provider", "it says no to ***").await;
}

#[tokio::test]
async fn says_503() {
    check("503 Service Unavailable", 502, "provider", "it says no to ***").await;
}

#[tokio::test]
async fn says_504() {
    check("504 Gateway Timeout", 504, "timed_out", "it says no to ***").await;
}

#[tokio::test]
async fn says_429() {
    check("429 Too Many Requests", 429, "rate_limited", "it says no to ***").await;
}

#[tokio::test]
async fn says_429_and_for_how_long() {
    let script = Script::error("429 Too Many Requests", &[("retry-after", "7")], &message("slow down,"));
    let outcome =
        Outcome::Fails { status: 429, code: "rate_limited", said: "slow down, ***", retry_after: Some("7") };
    Case::both(script, outcome).check().await;
}

/// A key must not be carried to where an upstream points.
#[tokio::test]
async fn sends_elsewhere() {
    let script = Script::head("302 Found", &[("location", "http://127.0.0.1:1/")]);
    Case::both(script, fails(502, "provider", "302 Found")).check().await;
}

/// No more of an error is read than anybody would.
#[tokio::test]
async fn says_500_without_end() {
    let script = Script::head("500 Internal Server Error", &[]).repeat("no and ");
    Case::both(script, fails(502, "provider", "no and no and")).check().await;
}

#[tokio::test]
async fn says_500_with_a_page() {
    let script = Script::head("500 Internal Server Error", &[("content-type", "text/html")]);
    let script = script.send(format!("<html>{SECRET}</html>"));
    Case::both(script, fails(502, "provider", "the provider answered 500 Internal Server Error"))
        .check()
        .await;
}

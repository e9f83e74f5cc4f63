//! What `/openapi.json` says, and whether the host keeps to it: schemathesis asks for everything in it, as it should be
//! asked and otherwise, and looks at every answer's status, type and body.

use std::path::Path;

use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

use crate::clients::{finish, python, script};
use crate::harness::{Host, HostOptions, libraries};

const TOKEN: &str = "a-token-for-the-document-0123456789";

/// An answer that does not end; what it says otherwise is tested where events are.
const ENDLESS: &str = "listen";

/// What takes away who answers: after everything else.
const TAKING_AWAY: &str = "^(changeProvider|removeProvider|disablePlugin)$";

/// A host of its own, which may be changed in every way.
async fn guarded() -> Host {
    let pricing = json!({ "mock-1": { "prompt": 0.5, "completion": 1.5 } });
    let options = HostOptions::default().custom(&libraries::mock());
    let options = options.provider("mock", json!({ "pricing": pricing }));
    let options = options.section("health", json!({ "enabled": false }));
    Host::start(options.env("ADMIN_TOKEN", TOKEN).secret(TOKEN)).await
}

/// Asks for what these arguments choose; nothing where there is no schemathesis, which is said.
async fn ask(host: &Host, arguments: &[&str]) {
    let Some(mut command) = fuzzer(host.dir()).await else { return };
    command.arg(format!("{}/openapi.json", host.address())).args(arguments);
    let said = finish(command).await;
    assert!(said.contains(" generated, "), "who asks nothing finds nothing: {said}");
}

/// Always the same questions, and nothing is kept of them.
async fn fuzzer(dir: &Path) -> Option<Command> {
    let mut command = python("schemathesis").await?;
    command.args(["-c", "from schemathesis.cli import schemathesis; schemathesis()", "--config-file"]);
    command.arg(script("openapi", "schemathesis.toml"));
    command.args(["run", "--no-color", "--workers", "1", "--generation-deterministic"]);
    command.args(["--continue-on-failure", "--request-timeout", "30"]);
    command.current_dir(dir).env("HOME", dir);
    Some(command)
}

#[tokio::test]
async fn whatever_an_operator_asks_is_answered_as_documented() {
    let host = guarded().await;
    let header = format!("Authorization: Bearer {TOKEN}");
    ask(&host, &["--header", &header, "--exclude-operation-id-regex", &format!("{TAKING_AWAY}|^{ENDLESS}$")])
        .await;
    ask(&host, &["--header", &header, "--include-operation-id-regex", TAKING_AWAY]).await;
    // Only what is refused comes to an end.
    ask(&host, &["--header", &header, "--include-operation-id", ENDLESS, "--mode", "negative"]).await;
    host.stop().await;
}

#[tokio::test]
async fn whatever_somebody_asks_who_shows_nothing_is_answered_as_documented() {
    let host = guarded().await;
    // Here applications need a key as well.
    let make = host.request(Method::POST, "/api/keys").bearer_auth(TOKEN);
    let make = make.header("content-type", "application/json").body(r#"{"name": "somebody else's"}"#);
    assert_eq!(host.answer("/api/keys", make).await.status, 201);
    ask(&host, &[]).await;
    host.stop().await;
}

#[tokio::test]
async fn every_example_is_as_its_schema_says() {
    let Some(mut command) = python("jsonschema_rs").await else { return };
    let host = guarded().await;
    command.arg(script("openapi", "examples.py")).arg(format!("{}/openapi.json", host.address()));
    finish(command).await;
    host.stop().await;
}

#[tokio::test]
async fn the_document_is_kept_and_asked_about() {
    let host = guarded().await;
    let first = host.get("/openapi.json").await;
    assert_eq!((first.status, first.header("content-type")), (200, Some("application/json")));
    assert_eq!(first.json()["info"]["version"], env!("CARGO_PKG_VERSION"));
    let tag = first.header("etag").unwrap();
    let request = host.request(Method::GET, "/openapi.json").header("if-none-match", tag);
    let again = host.answer("/openapi.json", request).await;
    assert_eq!((again.status, again.header("etag"), again.body.as_str()), (304, Some(tag), ""));
    host.stop().await;
}

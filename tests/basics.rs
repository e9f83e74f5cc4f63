//! A host starts, answers, reloads and ends; and the libraries that tests make are what they seem.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use serde_json::json;

use crate::harness::{Host, HostOptions, eventually, libraries};

#[tokio::test]
async fn a_host_answers_streams_reloads_and_ends() {
    let green = libraries::chameleon();
    let options = HostOptions::default().custom(&libraries::mock()).custom(&green);
    let host = Host::start(options.provider("mock", json!({})).provider("chameleon", json!({}))).await;

    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    assert_eq!(host.ask("chameleon", "hello").await.response(), "green green green green green");
    // Never the mock while there is something else.
    assert_eq!(host.chat("hello").await.header("x-patchbay-provider"), Some("chameleon"));
    let stream = host.stream("chameleon", "hello").await;
    assert_eq!(stream.rest().await.unwrap(), "green green green green green");

    assert_eq!(host.reload().await["plugins"]["unchanged"], json!(["chameleon", "mock"]));
    host.install(&green.colour("red").version("1.0.1"), "libchameleon.so");
    let report = host.reload().await;
    assert_eq!(report["plugins"]["reloaded"], json!([{ "id": "chameleon", "from": 1, "to": 2 }]), "{report}");
    assert_eq!(host.ask("chameleon", "hello").await.response(), "red red red red red");
    assert_eq!(host.plugin("chameleon").await["version"], "1.0.1");
    assert_eq!(host.get("/api/nothing").await.error().1, "not_found");
    host.stop().await;
}

#[tokio::test]
async fn one_build_is_any_number_of_plugins() {
    let chameleon = libraries::chameleon();
    let (one, two) = (chameleon.clone().id("one").colour("blue"), chameleon.id("two").colour("pink"));
    let options = HostOptions::default().custom(&one).custom(&two);
    let host = Host::start(options.provider("one", json!({})).provider("two", json!({}))).await;
    assert_eq!(host.ask("one", "hello").await.response(), "blue blue blue blue blue");
    assert_eq!(host.ask("two", "hello").await.response(), "pink pink pink pink pink");
    host.stop().await;
}

/// A plugin that is given its key and tells it to everybody: the harness looks everywhere for it.
#[tokio::test]
async fn a_plugin_that_tells_its_key_is_not_repeated() {
    let teller = |word: &str| {
        let library = libraries::chameleon().behaviour(word);
        library.manifest(|manifest| drop(manifest.insert("secrets".to_owned(), true.into())))
    };
    let options = HostOptions::default().custom(&libraries::mock()).custom(&teller("asked_call_tell"));
    let options = options.provider("chameleon", json!({})).section("loader", json!({ "panic_limit": 1 }));
    let host = Host::start(options).await;
    assert_eq!(host.ask("chameleon", "misbehave").await.status, 502);
    let plugin = host.plugin("chameleon").await;
    assert_eq!(plugin["state"], "quarantined");
    let message = plugin["problem"]["message"].as_str().unwrap();
    assert!(message.contains(r#""api_key":"***""#), "the test is worth something: {message}");

    host.configure(json!({ "plugins": { "chameleon": {}, "teller": { "config": { "misbehave": true } } } }));
    host.install(&teller("asked_create_tell").id("teller"), "libteller.so");
    let report = host.reload().await;
    let message = report["providers"]["failed"][0]["message"].as_str().unwrap();
    assert!(message.contains(r#""api_key":"***""#), "{report}");
    host.stop().await;
}

/// The harness notices what it is there to notice.
#[tokio::test]
async fn the_harness_sees_secrets_and_ends() {
    let options = || HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    let host = Host::start(options().secret("You said: hello")).await;
    host.ask("mock", "hello").await;
    assert!(AssertUnwindSafe(host.stop()).catch_unwind().await.is_err(), "what was told to a client is seen");

    let host = Host::start(options().secret("RUNNER-UP").env("RUST_LOG", "off")).await;
    host.ask("mock", "hello").await;
    host.stop().await;

    let mut host = Host::start(options()).await;
    host.signal(libc::SIGKILL);
    eventually("its end", async || (!host.is_alive()).then_some(())).await;
    let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| drop(host)));
    assert!(dropped.is_err(), "an end that nobody asked for is seen");
}

#[tokio::test]
async fn a_watching_host_reloads_by_itself() {
    let options = HostOptions::default().custom(&libraries::chameleon()).provider("chameleon", json!({}));
    let host = Host::start(options.watch()).await;
    assert_eq!(host.ask("chameleon", "hello").await.response(), "green green green green green");
    host.install(&libraries::chameleon().colour("red").version("1.0.1"), "libchameleon.so");
    eventually("the new generation", async || {
        (host.ask("chameleon", "hello").await.response() == "red red red red red").then_some(())
    })
    .await;
    host.stop().await;
}

/// Whatever lies in its folders, a host starts, and says what it did not use.
#[tokio::test]
async fn a_host_starts_with_broken_plugins() {
    let broken = libraries::chameleon().truncate(10_000);
    let options = HostOptions::default().custom(&libraries::mock()).custom(&broken);
    let host = Host::start(options.provider("mock", json!({})).provider("chameleon", json!({}))).await;
    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    let plugins = host.plugins().await;
    let refused = plugins["plugins"].as_array().unwrap().iter().find(|plugin| plugin["state"] == "refused");
    assert_eq!(refused.unwrap()["problem"]["code"], "file_truncated", "{plugins}");
    host.stop().await;
}

#[tokio::test]
async fn a_host_that_cannot_start_says_why() {
    let (status, said) = Host::refuses(HostOptions::default().section("sever", json!({}))).await;
    assert_eq!(status, Some(78), "{said}");
    assert!(said.contains("/sever: unknown key \"sever\": did you mean \"server\"?"), "{said}");
}

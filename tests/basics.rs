//! A host starts, answers, reloads and ends; and the libraries that tests make are what they seem.

use serde_json::json;

use crate::harness::{Host, HostOptions, libraries};

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

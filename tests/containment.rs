//! Plugins that passed every check and then misbehave on a request. What they do is theirs: others are served
//! meanwhile, and a fixed library is all it takes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Library, eventually, libraries};

const GREEN: &str = "green green green green green";

/// What clients are told. Why it is, is for operators: it may quote the plugin.
const QUARANTINED: &str = "no provider can serve this request (chameleon: its plugin is quarantined)";

/// A chameleon that does this when it is asked to.
fn bad(deed: &str) -> Library {
    libraries::chameleon().behaviour(&format!("asked_{deed}"))
}

fn fixed() -> Library {
    libraries::chameleon().colour("red").version("1.0.1")
}

/// Serves the mock, the chameleon, and one of the same kind that behaves, which is asked after it.
async fn host(chameleon: &Library, config: Value) -> Host {
    let good = libraries::chameleon().id("good").colour("blue");
    let options = HostOptions::default().custom(&libraries::mock()).custom(&good).custom(chameleon);
    let options = options
        .provider("mock", json!({}))
        .provider("chameleon", config)
        .entry("good", json!({ "priority": 90 }))
        .section("loader", json!({ "stall_limit": 1, "panic_limit": 3, "panic_window": 3600 }));
    Host::start(options).await
}

async fn check_others(host: &Host) {
    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    assert_eq!(host.ask("good", "hello").await.response(), "blue blue blue blue blue");
}

/// Waits until so many panics were counted.
async fn panics(host: &Host, count: u64) {
    let plugin = async || host.plugin("chameleon").await;
    eventually("the panics to be counted", async || (plugin().await["panics"] == count).then_some(())).await;
}

#[tokio::test]
async fn a_panic_is_one_failed_request() {
    let host = host(&bad("call_panic"), json!({})).await;
    // One that is under way on the same generation goes on.
    let mut under_way = host.stream("mock", "mock:slow=1 mock:tokens=200").await;
    under_way.next().await.unwrap();

    let (status, code, details) = host.ask("chameleon", "misbehave").await.error();
    assert_eq!((status, code.as_str()), (502, "panicked"));
    assert_eq!(details, "chameleon: the plugin panicked while it answered");

    assert_eq!(host.ask("chameleon", "hello").await.response(), GREEN);
    check_others(&host).await;
    assert_eq!(under_way.rest().await.unwrap().split(' ').count(), 200);
    panics(&host, 1).await;
    assert_eq!(host.plugin("chameleon").await["state"], "active");
    host.logs("plugin panicked", "the chameleon was made to panic").await;
    host.stop().await;
}

#[tokio::test]
async fn a_panic_in_a_stream_is_one_cut_answer() {
    let host = host(&bad("chunk_panic"), json!({})).await;
    let mut stream = host.stream("chameleon", "misbehave").await;
    let cut = loop {
        match stream.next().await {
            Ok(Some(_)) => {}
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(cut, "a cut answer is never presented as a whole one");
    assert_eq!(stream.text, "green green green", "what had arrived is delivered");
    assert_eq!(host.stream("chameleon", "hello").await.rest().await.unwrap(), GREEN);
    panics(&host, 1).await;
    host.stop().await;
}

#[tokio::test]
async fn a_panic_in_a_waker_hurts_nobody() {
    let host = host(&bad("waker_panic"), json!({})).await;
    assert_eq!(host.ask("chameleon", "misbehave").await.response(), GREEN);
    panics(&host, 1).await;
    check_others(&host).await;
    host.stop().await;
}

#[tokio::test]
async fn a_panic_when_a_call_is_cancelled_hurts_nobody() {
    let host = host(&bad("future_drop_panic"), json!({})).await;
    tokio::select! {
        answer = host.ask("chameleon", "misbehave") => panic!("{answer:?}"),
        () = host.logs("the chameleon waits", "") => {}
    }
    panics(&host, 1).await;
    assert_eq!(host.ask("chameleon", "hello").await.response(), GREEN);
    check_others(&host).await;
    host.stop().await;
}

#[tokio::test]
async fn a_panic_when_a_provider_is_dropped_hurts_nobody() {
    let host = host(&bad("drop_panic"), json!({ "misbehave": true })).await;
    host.install(&fixed(), "libchameleon.so");
    let report = host.reload().await;
    assert_eq!(report["status"], "ok", "{report}");
    assert_eq!(host.ask("chameleon", "hello").await.response(), "red red red red red");
    eventually("the first generation's end", async || {
        (history(&host, 1).await["state"] == "unloaded").then_some(())
    })
    .await;
    check_others(&host).await;
    host.stop().await;
}

/// One load of the chameleon's.
async fn history(host: &Host, generation: u64) -> Value {
    let plugin = host.plugin("chameleon").await;
    let history = plugin["history"].as_array().unwrap();
    history.iter().find(|load| load["generation"] == generation).unwrap_or_else(|| panic!("{plugin}")).clone()
}

#[tokio::test]
async fn who_keeps_panicking_is_quarantined_until_loaded_afresh() {
    let host = host(&bad("call_panic"), json!({})).await;
    for _ in 0..3 {
        assert_eq!(host.ask("chameleon", "misbehave").await.status, 502);
    }
    let plugin = host.plugin("chameleon").await;
    assert_eq!((&plugin["state"], &plugin["panics"]), (&json!("quarantined"), &json!(3)), "{plugin}");
    let problem = &plugin["problem"];
    assert_eq!(
        [&problem["phase"], &problem["step"], &problem["code"]],
        [&json!("running"), &json!("call"), &json!("keeps_panicking")]
    );
    let message = problem["message"].as_str().unwrap();
    let expected = "it panicked 3 times within 3600 s; the last time: the chameleon was made to panic \
                    (tests/plugins/chameleon/src/misbehaviour.rs:";
    assert!(message.starts_with(expected), "{message}");
    assert_eq!(
        problem["hint"],
        "mend the panic and rebuild it, or load it afresh with POST /api/plugins/chameleon/reload"
    );

    // Who asks for it is told why; who does not is served by another.
    let (status, code, details) = host.ask("chameleon", "hello").await.error();
    assert_eq!((status, code.as_str()), (503, "no_providers_available"));
    assert_eq!(details, QUARANTINED);
    let answer = host.chat("hello").await;
    assert_eq!(answer.header("x-patchbay-provider"), Some("good"), "{}", answer.body);
    let health = host.get("/api/health").await;
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("degraded")), "{}", health.body);
    assert_eq!(health.json()["providers"]["chameleon"], "unavailable", "{}", health.body);
    check_others(&host).await;
    // A reload of everything does not wake it: its file did not change.
    let report = host.reload().await;
    assert_eq!(report["plugins"]["unchanged"], json!(["chameleon", "good", "mock"]), "{report}");
    assert_eq!(host.ask("chameleon", "hello").await.status, 503);

    let answer = host.post("/api/plugins/chameleon/reload").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["plugins"]["reloaded"], json!([{ "id": "chameleon", "from": 1, "to": 2 }]));
    assert_eq!(host.ask("chameleon", "hello").await.response(), GREEN);
    let plugin = host.plugin("chameleon").await;
    assert_eq!((&plugin["state"], &plugin["problem"]), (&json!("active"), &Value::Null), "{plugin}");
    eventually("the first generation's end", async || {
        (history(&host, 1).await["state"] == "unloaded").then_some(())
    })
    .await;
    host.stop().await;
}

/// A thread that never comes back, one way or another.
async fn check_stuck(deed: &str) {
    let host = host(&bad(deed), json!({})).await;
    // Others are served while it is stuck and nobody knows yet.
    let (stuck, ()) = tokio::join!(host.ask("chameleon", "misbehave"), check_others(&host));
    let (status, code, details) = stuck.error();
    assert_eq!((status, code.as_str()), (504, "timed_out"), "{deed}");
    assert_eq!(details, "chameleon: the plugin \"chameleon\" is stuck and was given up");

    let plugin = host.plugin("chameleon").await;
    assert_eq!(plugin["state"], "quarantined", "{plugin}");
    let problem = &plugin["problem"];
    assert_eq!(problem["code"], "thread_stuck", "{plugin}");
    let message = problem["message"].as_str().unwrap();
    assert!(message.starts_with("its thread has not come back from plugin code for "), "{message}");
    assert_eq!(
        problem["hint"],
        "plugin code must not block or spin: wait through the host's services; then rebuild it, or load it afresh \
         with POST /api/plugins/chameleon/reload"
    );
    let (status, code, details) = host.ask("chameleon", "hello").await.error();
    assert_eq!((status, code.as_str()), (503, "no_providers_available"), "{deed}");
    assert_eq!(details, QUARANTINED);
    check_others(&host).await;

    // Loaded afresh, it serves whoever does not make it misbehave; mended, it serves everybody.
    assert_eq!(host.post("/api/plugins/chameleon/reload").await.status, 200);
    assert_eq!(host.ask("chameleon", "hello").await.response(), GREEN);
    host.install(&fixed(), "libchameleon.so");
    let report = host.reload().await;
    assert_eq!(report["plugins"]["reloaded"], json!([{ "id": "chameleon", "from": 2, "to": 3 }]), "{report}");
    assert_eq!(host.ask("chameleon", "misbehave").await.response(), "red red red red red");
    // What is stuck stays, and is shown for as long as it does.
    let plugin = host.plugin("chameleon").await;
    assert_eq!(plugin["state"], "active", "{plugin}");
    let left = &plugin["draining"][0];
    assert_eq!(
        (&left["generation"], &left["closing"]),
        (&json!(1), &json!("waiting for its thread to end")),
        "{plugin}"
    );
    stop_soon(host).await;
}

/// Of a drain that may take 30 s: nobody waits for what will never end.
async fn stop_soon(host: Host) {
    let took = host.stop().await;
    assert!(took < Duration::from_secs(20), "it took {took:?} to end");
}

#[tokio::test]
async fn a_thread_that_spins_is_given_up() {
    check_stuck("call_spin").await;
}

#[tokio::test]
async fn a_thread_that_blocks_is_given_up() {
    check_stuck("call_block").await;
}

/// Before its first word was sent, so that it is an error and no cut answer.
#[tokio::test]
async fn a_stream_that_spins_is_given_up() {
    let host = host(&bad("chunk_spin"), json!({})).await;
    let body = json!({ "provider": "chameleon", "messages": [{ "role": "user", "content": "misbehave" }] });
    let (status, code, _) = host.post_json("/api/chat", &body).await.error();
    assert_eq!((status, code.as_str()), (504, "timed_out"));
    assert_eq!(host.plugin("chameleon").await["state"], "quarantined");
    check_others(&host).await;
    stop_soon(host).await;
}

/// One that is stuck while its provider is dropped was replaced before: nobody misses it.
#[tokio::test]
async fn a_provider_that_cannot_be_dropped_is_left_behind() {
    let host = host(&bad("drop_block"), json!({ "misbehave": true })).await;
    host.install(&fixed(), "libchameleon.so");
    assert_eq!(host.reload().await["status"], "ok");
    assert_eq!(host.ask("chameleon", "hello").await.response(), "red red red red red");
    let closing = async || {
        let left = host.plugin("chameleon").await["draining"][0].clone();
        (left["closing"] == "waiting for its thread to end").then_some(left)
    };
    assert_eq!(eventually("the first generation to be closed", closing).await["generation"], 1);
    check_others(&host).await;
    stop_soon(host).await;
}

#[tokio::test]
async fn a_call_of_a_stuck_plugin_fails_over() {
    let host = host(&bad("call_block"), json!({})).await;
    let answer = host.chat("misbehave").await;
    assert_eq!(answer.response(), "blue blue blue blue blue");
    assert_eq!(answer.header("x-patchbay-provider"), Some("good"));
    assert_eq!(answer.header("x-patchbay-attempts"), Some("2"));
    host.stop().await;
}

/// Its code may still run, so it is never unmapped; and it is said why.
async fn check_resident(library: Library, reason: &str) {
    let host = host(&library, json!({})).await;
    assert_eq!(host.ask("chameleon", "misbehave").await.response(), GREEN);
    host.install(&fixed(), "libchameleon.so");
    assert_eq!(host.reload().await["status"], "ok");
    assert_eq!(host.ask("chameleon", "hello").await.response(), "red red red red red");
    let left = eventually("what becomes of the first generation", async || {
        let left = history(&host, 1).await;
        (left["state"] == "resident").then_some(left)
    });
    assert_eq!(left.await["reason"], reason);
    let plugin = host.plugin("chameleon").await;
    assert_eq!(plugin["resident"], json!([{ "generation": 1, "reason": reason }]), "{plugin}");
    check_others(&host).await;
    host.stop().await;
}

#[tokio::test]
async fn a_thread_that_the_probe_sees_keeps_its_library() {
    let library = libraries::chameleon().behaviour("create_thread");
    check_resident(library, "a thread that it started is still running").await;
}

#[tokio::test]
async fn a_thread_that_only_the_host_sees_keeps_its_library() {
    check_resident(bad("call_thread"), "a thread that it started is still running").await;
}

#[tokio::test]
async fn a_library_that_asks_to_stay_stays() {
    check_resident(libraries::chameleon().nodelete(), "it was linked with -z nodelete").await;
    let threads =
        libraries::chameleon().manifest(|manifest| drop(manifest.insert("threads".to_owned(), true.into())));
    check_resident(threads, "its manifest says that it has threads of its own").await;
}

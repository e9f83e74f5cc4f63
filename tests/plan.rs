//! A provider with a plan: the host serves by it, the plugin is swapped under it, and the key stays where it
//! belongs.

use serde_json::json;

use crate::harness::{Host, HostOptions, SECRET, Upstream, eventually, libraries};

async fn host(upstream: &Upstream, model: &str) -> Host {
    let config =
        json!({ "base_url": upstream.base_url(), "model": model, "extra_headers": { "x-team": "blue" } });
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    Host::start(options.entry("up", json!({ "plugin": "openai-compatible", "config": config }))).await
}

#[tokio::test]
async fn requests_reach_upstream_with_the_key_and_come_back_whole() {
    let upstream = Upstream::start().await;
    let host = host(&upstream, "some-model").await;
    let body = json!({
        "messages": [{ "role": "user", "content": "hi" }], "seed": 7, "x_unknown": { "a": [1.50, null] }, "include_raw": true,
    });
    let answer = host.post_json("/api/chat/complete", &body).await;
    assert_eq!(answer.response(), "a b c");
    assert_eq!(answer.json()["raw"]["x_own"], json!({ "kept": true }), "what nobody here knows is passed on");
    assert_eq!(answer.json()["usage"]["total_tokens"], 4);
    assert_eq!(host.stream("up", "hi").await.rest().await.unwrap(), "a b c");

    let requests = upstream.requests();
    assert_eq!(requests.len(), 2);
    for (headers, body) in &requests {
        assert_eq!(headers["authorization"], format!("Bearer {SECRET}"));
        assert_eq!(headers["x-team"], "blue");
        assert_eq!(
            (&body["model"], &body["temperature"], &body["max_tokens"]),
            (&json!("some-model"), &json!(0.7), &json!(1000))
        );
    }
    assert_eq!(
        (&requests[0].1["seed"], &requests[0].1["x_unknown"]),
        (&json!(7), &json!({ "a": [1.5, null] }))
    );
    assert_eq!((requests[0].1.get("stream"), requests[1].1.get("stream")), (None, Some(&json!(true))));
    host.stop().await;
}

/// The harness looks for the key in everything that was said; here upstream says it.
#[tokio::test]
async fn a_key_that_upstream_repeats_is_not_passed_on() {
    let upstream = Upstream::start().await;
    let refuses = host(&upstream, "refuses").await;
    let (status, code, _) = refuses.ask("up", "hi").await.error();
    assert_eq!((status, code.as_str()), (502, "authentication"));
    refuses.stop().await;
    let host = host(&upstream, "fails").await;
    let (status, code, details) = host.ask("up", "hi").await.error();
    assert_eq!((status, code.as_str()), (502, "provider"), "{details}");
    assert!(details.contains("internal error while serving"), "{details}");
    host.stop().await;
}

#[tokio::test]
async fn a_stream_that_upstream_cuts_is_cut_for_the_client() {
    let upstream = Upstream::start().await;
    let host = host(&upstream, "cut").await;
    let mut stream = host.stream("up", "hi").await;
    let mut error = None;
    while error.is_none() {
        match stream.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a cut answer was presented as a whole one: {:?}", stream.text),
            Err(cut) => error = Some(cut),
        }
    }
    assert_eq!(stream.text, "a b c", "what had come was passed on");
    host.stop().await;
}

#[tokio::test]
async fn a_planned_stream_outlives_many_reloads_and_its_generation_goes_with_it() {
    let upstream = Upstream::start().await;
    let host = host(&upstream, "gated").await;
    let stream = tokio::spawn({
        let request = host.stream("up", "hi");
        upstream.release(1);
        let mut stream = request.await;
        assert_eq!(stream.next().await.unwrap().as_deref(), Some("a"));
        async move { stream.rest().await }
    });
    for round in 1..=5 {
        let report = host.post("/api/plugins/openai-compatible/reload").await.json();
        assert_eq!(report["plugins"]["reloaded"][0]["to"], round + 1, "{report}");
    }
    let draining = host.plugin("openai-compatible").await["draining"].clone();
    let first = draining.as_array().unwrap().iter().find(|it| it["generation"] == 1).cloned();
    assert_eq!(first.expect("the first generation has a stream")["in_flight"], 1, "{draining}");

    upstream.release(10);
    assert_eq!(stream.await.unwrap().unwrap(), "a b c");
    eventually("all but the last generation to go", async || {
        let plugin = host.plugin("openai-compatible").await;
        assert_eq!(plugin["resident"], json!([]), "{plugin}");
        let unloaded =
            plugin["history"].as_array().unwrap().iter().filter(|load| load["state"] == "unloaded").count();
        (unloaded == 5).then_some(())
    })
    .await;
    host.stop().await;
}

#[tokio::test]
async fn upstream_is_left_when_the_client_leaves() {
    let upstream = Upstream::start().await;
    let host = host(&upstream, "gated").await;
    upstream.release(1);
    let mut stream = host.stream("up", "hi").await;
    assert_eq!(stream.next().await.unwrap().as_deref(), Some("a"));
    upstream.open_streams(1).await;
    drop(stream);
    upstream.open_streams(0).await;
    host.stop().await;
}

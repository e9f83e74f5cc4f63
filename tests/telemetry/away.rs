//! Receivers that are not there cost nobody anything, and without one nothing is told to anybody.

use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::{Host, HostOptions, Upstream, eventually, libraries};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn provider(upstream: &Upstream) -> HostOptions {
    let config = json!({ "base_url": upstream.base_url(), "models": ["m"] });
    HostOptions::default()
        .builtin(&libraries::openai_compatible())
        .section("health", json!({ "enabled": false }))
        .entry("up", json!({ "plugin": "openai-compatible", "config": config }))
}

async fn ask(host: &Host) {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let request = host.request(reqwest::Method::POST, "/v1/chat/completions");
    let request = request.header("content-type", "application/json").header("traceparent", PARENT).body(body);
    assert_eq!(host.answer("/v1/chat/completions", request).await.status, 200);
}

#[tokio::test]
async fn without_a_receiver_no_trace_is_gone_on_with() {
    let upstream = Upstream::start().await;
    let host = Host::start(provider(&upstream)).await;
    ask(&host).await;
    let (headers, _) = upstream.requests().remove(0);
    assert!(!headers.contains_key("traceparent") && !headers.contains_key("tracestate"), "{headers:?}");
    host.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_away_is_told_of_once_and_nobody_waits_for_it() {
    let upstream = Upstream::start().await;
    // Bound and not listened on: nobody answers there, and nobody else gets the port.
    let reserved = tokio::net::TcpSocket::new_v4().unwrap();
    reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", reserved.local_addr().unwrap());
    let traces = json!({ "otlp_endpoint": address });
    let host = Host::start(provider(&upstream).section("telemetry", json!({ "traces": traces }))).await;
    for _ in 0..20 {
        ask(&host).await;
    }
    host.logs("WARN", "traces do not arrive").await;
    // That it is tried again is said, though not so loudly.
    host.logs("DEBUG", "traces do not arrive").await;
    let warned = host.log().lines().filter(|it| it.contains("WARN") && it.contains("traces do not")).count();
    assert_eq!(warned, 1);
    host.stop().await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_keeps_no_request_and_no_end() {
    let upstream = Upstream::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let traces = json!({ "otlp_endpoint": format!("http://{}", listener.local_addr().unwrap()) });
    let host = Host::start(provider(&upstream).section("telemetry", json!({ "traces": traces }))).await;
    ask(&host).await;
    // From now on a batch is on its way for ever.
    let (stuck, _) = listener.accept().await.unwrap();
    for _ in 0..20 {
        ask(&host).await;
    }
    host.signal(libc::SIGTERM);
    host.logs("WARN", "could not be sent in time").await;
    host.ends_with(0).await;
    drop(stuck);
}

#[tokio::test]
async fn an_address_that_is_none_is_told_at_the_start() {
    for (traces, said) in [
        (
            json!({ "otlp_endpoint": "collector:4318" }),
            "telemetry.traces.otlp_endpoint is no http or https address",
        ),
        (
            json!({ "otlp_endpoint": "http://127.0.0.1:1", "headers": { "a b": "x" } }),
            "telemetry.traces.headers",
        ),
        (json!({ "sample": 2 }), "\"sample\" is 2, not a number from 0 to 1"),
    ] {
        let options = HostOptions::default().section("telemetry", json!({ "traces": traces }));
        let (status, told) = Host::refuses(options).await;
        assert_eq!(status, Some(78), "{told}");
        assert!(told.contains(said), "{told}");
    }
    let options = HostOptions::default().env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let (status, told) = Host::refuses(options).await;
    assert!(
        status == Some(78) && told.contains("OTEL_EXPORTER_OTLP_PROTOCOL is not http/protobuf"),
        "{told}"
    );
    // Whoever writes headers as a text has not written them where everybody can see them.
    let headers = "authorization=Bearer-of-the-receiver";
    let options = HostOptions::default().env("PATCHBAY__TELEMETRY__TRACES__HEADERS", headers);
    let (_, told) = Host::refuses(options).await;
    assert!(told.contains("HEADERS is not an object") && !told.contains("Bearer"), "{told}");
}

#[tokio::test]
async fn the_receiver_is_found_again() {
    let upstream = Upstream::start().await;
    let router = axum::Router::new().fallback(async || "");
    let mut receiver = crate::harness::Mortal::start(router);
    receiver.kill().await;
    let traces = json!({ "otlp_endpoint": format!("http://{}", receiver.address()) });
    let host = Host::start(provider(&upstream).section("telemetry", json!({ "traces": traces }))).await;
    ask(&host).await;
    host.logs("WARN", "traces do not arrive").await;
    receiver.revive();
    let again = async || {
        ask(&host).await;
        host.log().contains("traces arrive again").then_some(())
    };
    eventually("traces to arrive again", again).await;
    host.stop().await;
}

//! The way to upstreams: connections that are used again, that are encrypted, that go through a proxy, and one that
//! is never made.

// An upstream that speaks TLS.
mod secure;
// A proxy that notes what it is asked for.
mod proxy;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::routing::post;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::harness::scripted::script::answer;
use crate::harness::{Host, HostOptions, Upstream, libraries};
use proxy::Proxy;
use secure::Secure;

/// A host with the plugin for OpenAI's dialect, and these providers. What is seen here is what traffic alone does.
fn options(providers: &[(&str, Value)]) -> HostOptions {
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.section("health", json!({ "enabled": false }));
    // Who fails again and again is meant to be asked again.
    let options = options.section("routing", json!({ "breaker": { "failures": 1000 } }));
    providers.iter().fold(options, |options, (name, config)| {
        let mut config = config.clone();
        config["retry_attempts"] = 0.into();
        options.entry(name, json!({ "plugin": "openai-compatible", "config": config }))
    })
}

/// One stalled handshake must not be what everybody else waits for, and not even whoever began it has to.
#[tokio::test]
async fn a_handshake_that_stalls_holds_up_nobody() {
    const STALLED: usize = 8;
    for offered in [&b"h2"[..], b"http/1.1"] {
        let (secure, well) = (Secure::start(&[offered]).await, Upstream::start().await);
        let slow = json!({ "base_url": secure.base_url(), "connect_timeout": 3600, "timeout": 3600 });
        let options = options(&[("slow", slow), ("well", json!({ "base_url": well.base_url() }))]);
        let host = Host::start(options.env("SSL_CERT_FILE", secure.certificate())).await;
        secure.stall(true);
        let stalled = join_all((0..STALLED).map(|_| host.ask("slow", "hi")));
        let others = async {
            // Each has begun a handshake of its own.
            secure.sees(|seen| seen.connections == STALLED).await;
            assert_eq!(host.ask("well", "hi").await.response(), "a b c");
            assert!(secure.seen().versions.is_empty(), "they stall");
            secure.stall(false);
            assert_eq!(host.ask("slow", "hi").await.response(), "secure");
        };
        // Once somebody has a connection there, the others share it, or take it when it is free.
        let (answers, ()) = tokio::join!(stalled, others);
        assert!(answers.iter().all(|answer| answer.response() == "secure"));
        assert_eq!(secure.seen().connections, STALLED + 1);
        host.stop().await;
    }
}

#[tokio::test]
async fn a_handshake_that_stalls_is_given_up() {
    let secure = Secure::start(&[b"http/1.1"]).await;
    let config = json!({ "base_url": secure.base_url(), "connect_timeout": 0.2, "timeout": 3600 });
    let host = Host::start(options(&[("slow", config)]).env("SSL_CERT_FILE", secure.certificate())).await;
    secure.stall(true);
    for _ in 0..3 {
        let (status, code, details) = host.ask("slow", "hi").await.error();
        assert_eq!((status, code.as_str()), (504, "timed_out"), "{details}");
        assert!(
            details.starts_with("slow: no connection to ") && details.contains("within 200ms"),
            "{details}"
        );
    }
    secure.stall(false);
    assert_eq!(host.ask("slow", "hi").await.response(), "secure");
    host.stop().await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_accepted() {
    let secure = Secure::start(&[b"http/1.1"]).await;
    let other = Secure::start(&[b"http/1.1"]).await;
    let config = json!({ "base_url": secure.base_url() });
    let host = Host::start(options(&[("up", config)]).env("SSL_CERT_FILE", other.certificate())).await;
    let (status, code, details) = host.ask("up", "hi").await.error();
    assert_eq!((status, code.as_str()), (502, "connection"), "{details}");
    assert!(details.starts_with("up: cannot connect to "), "{details}");
    assert!(secure.seen().versions.is_empty(), "nothing was asked, so no key was sent");
    host.stop().await;
}

/// What upstream offers is what is spoken: over HTTP/2 everybody shares one connection.
#[tokio::test]
async fn http2_is_spoken_where_it_is_offered() {
    for (offered, version, connections) in
        [(&[&b"h2"[..], b"http/1.1"][..], "HTTP/2.0", 1), (&[b"http/1.1"], "HTTP/1.1", 10)]
    {
        let secure = Secure::start(offered).await;
        let config = json!({ "base_url": secure.base_url() });
        let host = Host::start(options(&[("up", config)]).env("SSL_CERT_FILE", secure.certificate())).await;
        assert_eq!(host.ask("up", "hi").await.response(), "secure");
        secure.hold(true);
        let asked = join_all((0..10).map(|_| host.ask("up", "hi")));
        let released = async {
            secure.sees(|seen| seen.versions.len() == 11).await;
            secure.hold(false);
        };
        let (answers, ()) = tokio::join!(asked, released);
        assert!(answers.iter().all(|answer| answer.response() == "secure"), "{version}");
        let seen = secure.seen();
        assert_eq!(seen.connections, connections, "{version}");
        assert!(seen.versions.iter().all(|spoken| spoken == version), "{seen:?}");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let connections = Arc::new(AtomicUsize::new(0));
    let upstream = counting(&connections).await;
    let config = json!({ "base_url": format!("http://{}/v1", upstream.0) });
    let host = Host::start(options(&[("up", config)])).await;
    for _ in 0..20 {
        assert_eq!(host.ask("up", "hi").await.response(), "well");
    }
    // One is enough, but when it is free again is not for this test to say.
    let connections = connections.load(Ordering::SeqCst);
    assert!(connections < 10, "{connections} connections for 20 requests, one after the other");
    host.stop().await;
}

/// An upstream that answers everybody, and counts who comes from a port that nobody came from before.
async fn counting(connections: &Arc<AtomicUsize>) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let connections = Arc::clone(connections);
    let chat = async move |ConnectInfo(peer): ConnectInfo<SocketAddr>, _: Bytes| {
        if seen.lock().unwrap().insert(peer) {
            connections.fetch_add(1, Ordering::SeqCst);
        }
        answer("well")
    };
    let router = Router::new().route("/v1/chat/completions", post(chat));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    (address, AbortOnDropHandle::new(serving))
}

#[tokio::test]
async fn plain_requests_go_through_the_proxy_that_the_environment_names() {
    let (proxy, near) = (Proxy::start().await, Upstream::start().await);
    let far = |host: &str| json!({ "base_url": format!("http://{host}/v1"), "allow_http": true });
    let providers = [
        ("far", far("far.invalid")),
        ("spared", far("spared.invalid")),
        ("near", json!({ "base_url": near.base_url() })),
    ];
    let options = options(&providers).env("HTTP_PROXY", proxy.url()).env("NO_PROXY", "spared.invalid");
    let host = Host::start(options).await;
    assert_eq!(host.ask("far", "hi").await.response(), "by proxy");
    // There is no such host, so whoever is asked directly is not found.
    let (status, code, details) = host.ask("spared", "hi").await.error();
    assert_eq!((status, code.as_str()), (502, "connection"), "{details}");
    // A proxy could not reach this machine's own loopback.
    assert_eq!(host.ask("near", "hi").await.response(), "a b c");
    assert_eq!(proxy.asked(), ["POST http://far.invalid/v1/chat/completions HTTP/1.1"]);
    host.stop().await;
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_to_what_is_encrypted_and_sees_no_key() {
    let proxy = Proxy::start().await;
    let providers = [("far", json!({ "base_url": "https://far.invalid/v1" }))];
    let host = Host::start(options(&providers).env("HTTPS_PROXY", proxy.url())).await;
    let (status, code, details) = host.ask("far", "hi").await.error();
    assert_eq!((status, code.as_str()), (502, "connection"), "{details}");
    assert_eq!(proxy.asked(), ["CONNECT far.invalid:443 HTTP/1.1"]);
    assert!(!proxy.heads().contains("authorization"), "{}", proxy.heads());
    host.stop().await;
}

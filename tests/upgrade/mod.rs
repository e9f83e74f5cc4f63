//! A host that takes over from another one, while everybody goes on asking.

// Everybody.
mod clients;
// What goes wrong.
mod failing;
// What both hosts have in common while the first one drains.
mod shared;
// How supervisors see it.
mod supervised;

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Upstream, eventually, libraries};
use clients::Clients;

/// Enough for each way to ask, eight times.
const CLIENTS: usize = 32;

/// A host with a provider that answers at once, and those whose streams last for as long as a test wants.
fn providers(upstreams: &[Upstream]) -> HostOptions {
    let options = patient()
        .builtin(&libraries::openai_compatible())
        .custom(&libraries::mock())
        .provider("mock", json!({ "chunk_delay_ms": 2 }));
    upstreams.iter().enumerate().fold(options, |options, (number, upstream)| {
        let config = json!({ "base_url": upstream.base_url(), "model": "gated" });
        options.entry(&format!("up{number}"), json!({ "plugin": "openai-compatible", "config": config }))
    })
}

/// Waits for streams for as long as any test takes.
fn patient() -> HostOptions {
    HostOptions::default().argument("--drain-timeout").argument("600")
}

async fn successor(host: &Host) -> Host {
    let started = host.succeed(patient()).await;
    started.unwrap_or_else(|(status, said)| panic!("it did not take over ({status:?}):\n{said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_upgrades_under_load_fail_no_request_and_count_each_once() {
    let upstreams = [Upstream::start().await, Upstream::start().await, Upstream::start().await];
    let mut host = Host::start(providers(&upstreams)).await;
    let address = host.address().to_owned();
    let clients = Clients::new(&address, CLIENTS);
    let upgrading = async {
        let (mut streams, mut former) = (Vec::new(), Vec::new());
        clients.all_have_heard(10).await;
        for (number, upstream) in upstreams.iter().enumerate() {
            // One that is begun on each host, and goes on over all that follow.
            upstream.release(1);
            let mut stream = host.stream(&format!("up{number}"), "hi").await;
            assert_eq!(stream.next().await.unwrap().as_deref(), Some("a"));
            streams.push(stream);
            // One that gets as far as the socket, and no further.
            let astray = HostOptions::default().argument("--host").argument("192.0.2.1");
            let (status, said) = host.succeed(astray).await.err().unwrap();
            assert_eq!(status, Some(78), "{said}");
            let next = successor(&host).await;
            assert_eq!(next.address(), address);
            clients.all_have_heard(10).await;
            former.push(std::mem::replace(&mut host, next));
        }
        let heard = clients.all_have_heard(10).await;
        clients.stop();
        for (upstream, stream) in upstreams.iter().zip(streams) {
            upstream.release(10);
            assert_eq!(stream.rest().await.unwrap(), "a b c");
        }
        for host in former {
            host.ends_with(0).await;
        }
        heard
    };
    let (heard, ()) = tokio::join!(upgrading, clients.run());
    assert!(heard >= 300, "{heard} answers say little");
    let requests = clients.count() + upstreams.len();
    used(&host, |totals| totals["requests"].as_u64() >= Some(requests as u64)).await;
    let totals = used(&host, |_| true).await;
    assert_eq!((&totals["requests"], &totals["errors"]), (&json!(requests), &json!(0)), "{totals}");
    let left = |name: &str| host.dir().join(".patchbay").join(name).exists();
    assert!(left("plugins.3") && !left("plugins.2") && !left("plugins.1"), "who has ended has cleaned up");
    host.stop().await;
}

/// The sums of all requests, once they are like this.
async fn used(host: &Host, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually("the usage to be kept", async || {
        let totals = host.get("/api/usage").await.json()["totals"].take();
        is_so(&totals).then_some(totals)
    })
    .await
}

#[tokio::test]
async fn what_was_changed_before_is_known_after_and_nothing_is_changed_in_between() {
    let host =
        Host::start(HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}))).await;
    let made = host.post_json("/api/providers", &json!({ "name": "second", "plugin": "mock" })).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let asked = failing::ask_to_take_over(&host).await;
    let refused = host.post("/api/providers/reload").await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(refused.json()["code"], "upgrading", "{}", refused.body);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds) && refused.error().2.contains(&format!("in about {seconds} s")));
    assert_eq!(host.ask("second", "hello").await.response(), "You said: hello");
    // It has thought better of it.
    drop(asked);
    eventually("changes to be taken again", async || {
        (host.post("/api/providers/reload").await.status == 200).then_some(())
    })
    .await;

    let key = host.post_json("/api/keys", &json!({ "name": "team" })).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let next = successor(&host).await;
    host.ends_with(0).await;
    let ask = || {
        let request = next.request(reqwest::Method::POST, "/api/chat/complete").bearer_auth(&key);
        let body = json!({ "provider": "second", "messages": [{ "role": "user", "content": "hello" }] });
        request.header("content-type", "application/json").body(body.to_string())
    };
    assert_eq!(next.answer("/api/chat/complete", ask()).await.response(), "You said: hello");
    next.stop().await;
}

#[tokio::test]
async fn another_address_is_bound_anew() {
    let host =
        Host::start(HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}))).await;
    let elsewhere = HostOptions::default().argument("--host").argument("127.0.0.2");
    let next = host.succeed(elsewhere).await.unwrap_or_else(|(_, said)| panic!("{said}"));
    assert!(next.address().starts_with("http://127.0.0.2:"), "{}", next.address());
    host.ends_with(0).await;
    assert_eq!(next.ask("mock", "hello").await.response(), "You said: hello");
    next.stop().await;
}

/// Told to take over where nobody is, it begins.
#[tokio::test]
async fn without_another_host_it_begins_alone() {
    let options = HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    let host = Host::start(options.argument("--take-over")).await;
    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    host.stop().await;
}

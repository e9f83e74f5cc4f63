//! The provider that everybody uses dies under load: nobody who has seen nothing yet gets to know, whoever has is
//! told, and when it is back it is used again without anybody's doing.

// What the dying one answers, and how far.
mod first;
// Those who ask, and what they heard.
mod clients;

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Upstream, eventually, libraries};
use clients::Clients;
use first::First;

const CLIENTS: usize = 32;

/// So many answers have come from somebody before the next thing happens: each client had a turn or two.
const BUSY: usize = 2 * CLIENTS;

/// Two providers of the same model. The breaker of the first lets somebody try soon.
async fn start(first: &First, second: &Upstream) -> Host {
    let entry = |base_url: &str, priority: u32| {
        let config = json!({ "base_url": base_url, "models": ["m"], "priority": priority });
        json!({ "plugin": "openai-compatible", "config": config })
    };
    // What is seen here is what traffic alone does.
    let options = HostOptions::default().section("health", json!({ "enabled": false }));
    let options = options.section("routing", json!({ "breaker": { "open_for": 0.3 } }));
    let options = options.builtin(&libraries::openai_compatible()).env("RUST_LOG", "info");
    let options = options.entry("first", entry(&first.base_url(), 1));
    Host::start(options.entry("second", entry(second.base_url(), 2))).await
}

async fn view(host: &Host, name: &str) -> Value {
    let providers = host.get("/api/providers").await.json();
    let mut providers = providers["providers"].as_array().unwrap().iter();
    providers.find(|provider| provider["name"] == name).unwrap().clone()
}

/// Waits until the breaker of the first is seen like this. Between two trials it is half open.
async fn breaker_becomes(host: &Host, state: &str) {
    eventually(&format!("the breaker to be {state}"), async || {
        (view(host, "first").await["breaker"] == state).then_some(())
    })
    .await;
}

async fn health_becomes(host: &Host, status: &str, first: &str) {
    eventually(&format!("the host to be {status}, and the first provider {first}"), async || {
        let answer = host.get("/api/health").await;
        assert_eq!(answer.status, 200, "one of two can always serve: {}", answer.body);
        let health = answer.json();
        assert_eq!(health["providers"]["second"], "available", "{health}");
        (health["status"] == status && health["providers"]["first"] == first).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_has_seen_nothing_of_a_provider_that_dies_is_served_by_the_next() {
    let (mut first, second) = (First::start(), Upstream::start().await);
    let host = start(&first, &second).await;
    let clients = Clients::default();
    let story = async {
        clients.have_heard(|heard| heard.first >= BUSY).await;

        // Everybody waits, each at some place of an answer; some have seen it begin.
        first.hold();
        let held = first.holds(CLIENTS).await;
        assert!(held.begun > 0 && held.begun < CLIENTS / 2, "{held:?}");
        clients.have_heard(|heard| heard.begun == held.begun).await;
        let before = clients.heard();
        assert_eq!(before.cut, 0);

        first.kill().await;
        clients.have_heard(|heard| heard.begun == 0 && heard.second >= before.second + BUSY).await;
        assert_eq!(clients.heard().cut, held.begun, "those who saw an answer begin, and nobody else");
        breaker_becomes(&host, "open").await;
        health_becomes(&host, "degraded", "unavailable").await;

        let then = clients.heard();
        first.revive();
        clients.have_heard(|heard| heard.first >= then.first + BUSY).await;
        breaker_becomes(&host, "closed").await;
        health_becomes(&host, "healthy", "available").await;
        assert_eq!(clients.heard().cut, held.begun, "nobody else was cut, also while it came back");
        clients.stop();
    };
    tokio::join!(story, clients.run(&host, CLIENTS));
    host.stop().await;
}

#[tokio::test]
async fn a_provider_that_dies_again_and_again_is_used_whenever_it_lives() {
    let (mut first, second) = (First::start(), Upstream::start().await);
    let host = start(&first, &second).await;
    let clients = Clients::default();
    let story = async {
        for life in 1..=5 {
            let then = clients.heard();
            // It dies wherever everybody just is.
            clients.have_heard(|heard| heard.first >= then.first + BUSY + life).await;
            first.kill().await;
            let then = clients.heard();
            clients.have_heard(|heard| heard.second >= then.second + BUSY).await;
            breaker_becomes(&host, "open").await;
            first.revive();
        }
        breaker_becomes(&host, "closed").await;
        clients.stop();
    };
    tokio::join!(story, clients.run(&host, CLIENTS));
    host.stop().await;
}

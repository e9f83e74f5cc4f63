//! What is known of providers without anybody asking them anything: checks go on behind everybody's back, and one
//! that hangs is nobody else's business.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::harness::{Host, HostOptions, Mortal, PATIENCE, eventually, libraries};

/// What an upstream says when it is asked how it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Answers(u16),
    Hangs,
}

/// An upstream that is only ever asked how it is.
struct Checked {
    mortal: Mortal,
    state: Arc<watch::Sender<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    mood: Mood,
    /// How often it was asked.
    asked: usize,
    /// How many wait for its answer.
    waiting: usize,
}

impl Checked {
    fn start(mood: Mood) -> Self {
        let state = Arc::new(watch::Sender::new(Seen { mood, asked: 0, waiting: 0 }));
        let router = Router::new().route("/v1/models", get(models)).with_state(Arc::clone(&state));
        Self { mortal: Mortal::start(router), state }
    }

    fn entry(&self) -> Value {
        let base_url = format!("http://{}/v1", self.mortal.address());
        json!({ "plugin": "openai-compatible", "config": { "base_url": base_url } })
    }

    fn is(&self, mood: Mood) {
        self.state.send_modify(|seen| seen.mood = mood);
    }

    fn seen(&self) -> Seen {
        *self.state.borrow()
    }

    async fn sees(&self, what: impl Fn(&Seen) -> bool) {
        let mut seen = self.state.subscribe();
        let there = timeout(PATIENCE, seen.wait_for(what)).await.is_ok();
        assert!(there, "waited in vain: {:?}", self.seen());
    }
}

/// Counts whoever waits, to the end of waiting.
struct Waiting(Arc<watch::Sender<Seen>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.send_modify(|seen| seen.waiting -= 1);
    }
}

async fn models(State(state): State<Arc<watch::Sender<Seen>>>) -> Response {
    state.send_modify(|seen| {
        seen.asked += 1;
        seen.waiting += 1;
    });
    let waiting = Waiting(state);
    let mood = waiting.0.borrow().mood;
    let Mood::Answers(status) = mood else { std::future::pending().await };
    let body = match status {
        200 => json!({ "data": [] }),
        _ => json!({ "error": { "message": "because" } }),
    };
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

/// A host that checks this often. What is in `health` comes on top.
async fn host(providers: &[(&str, &Checked)], health: Value) -> Host {
    let options = HostOptions::default().builtin(&libraries::openai_compatible()).section("health", health);
    // They would be asked at the place where they are checked.
    let options = options.section("models", json!({ "refresh": false }));
    let options =
        providers.iter().fold(options, |options, (name, upstream)| options.entry(name, upstream.entry()));
    Host::start(options).await
}

async fn conditions(host: &Host) -> Value {
    host.get("/api/health").await.json()["providers"].take()
}

async fn are_known_as(host: &Host, expected: Value) {
    eventually(&format!("the conditions {expected}"), async || {
        (conditions(host).await == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_is_never_asked_is_known_all_the_same() {
    let (mut alive, mut dead) = (Checked::start(Mood::Answers(200)), Checked::start(Mood::Answers(200)));
    dead.mortal.kill().await;
    let host = host(&[("alive", &alive), ("dead", &dead)], json!({ "interval": 0.05 })).await;
    are_known_as(&host, json!({ "alive": "available", "dead": "unavailable" })).await;
    // And it is seen when that changes.
    dead.mortal.revive();
    alive.mortal.kill().await;
    are_known_as(&host, json!({ "alive": "unavailable", "dead": "available" })).await;
    dead.is(Mood::Answers(503));
    are_known_as(&host, json!({ "alive": "unavailable", "dead": "busy" })).await;
    dead.is(Mood::Answers(401));
    are_known_as(&host, json!({ "alive": "unavailable", "dead": "unavailable" })).await;
    let answer = host.get("/api/health").await;
    assert_eq!((answer.status, &answer.json()["status"]), (503, &json!("unhealthy")), "{}", answer.body);
    for provider in host.get("/api/providers").await.json()["providers"].as_array().unwrap() {
        assert_eq!(
            (&provider["requests_total"], &provider["errors_total"], &provider["breaker"]),
            (&json!(0), &json!(0), &json!("closed")),
            "a check is no request of anybody's: {provider}"
        );
    }
    host.stop().await;
}

#[tokio::test]
async fn a_check_that_hangs_holds_up_nobody() {
    let (well, hangs) = (Checked::start(Mood::Answers(200)), Checked::start(Mood::Hangs));
    let patient = json!({ "interval": 0.05, "timeout": 3600 });
    let host = host(&[("hangs", &hangs), ("well", &well)], patient).await;
    hangs.sees(|seen| seen.waiting > 0).await;
    are_known_as(&host, json!({ "hangs": "unknown", "well": "available" })).await;
    let before = well.seen().asked;
    well.sees(|seen| seen.asked > before + 5).await;
    well.is(Mood::Answers(503));
    are_known_as(&host, json!({ "hangs": "unknown", "well": "busy" })).await;
    assert_eq!(conditions(&host).await["hangs"], "unknown", "and it still hangs");
    assert!(hangs.seen().waiting > 0, "{:?}", hangs.seen());
    host.stop().await;
}

#[tokio::test]
async fn a_check_that_hangs_is_given_up() {
    let hangs = Checked::start(Mood::Hangs);
    let host = host(&[("hangs", &hangs)], json!({ "interval": 3600, "timeout": 1 })).await;
    are_known_as(&host, json!({ "hangs": "degraded" })).await;
    hangs.sees(|seen| seen.asked == 1 && seen.waiting == 0).await;
    let answer = host.post("/api/providers/hangs/health").await.json();
    assert_eq!(
        (&answer["status"], &answer["reason"]),
        (&json!("degraded"), &json!("no answer to the health check within 1s")),
        "{answer}"
    );
    hangs.sees(|seen| seen.asked == 2 && seen.waiting == 0).await;
    host.stop().await;
}

#[tokio::test]
async fn nothing_is_known_before_somebody_looks() {
    let mut up = Checked::start(Mood::Answers(200));
    let host = host(&[("up", &up)], json!({ "enabled": false })).await;
    let health = host.get("/api/health").await;
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("healthy")), "{}", health.body);
    assert_eq!(health.json()["providers"], json!({ "up": "unknown" }));
    assert_eq!(up.seen().asked, 0);

    for (status, expected) in
        [(200, "available"), (503, "busy"), (429, "busy"), (500, "degraded"), (401, "unavailable")]
    {
        up.is(Mood::Answers(status));
        let reason = (status != 200).then(|| format!("the provider answered {status}: because"));
        check(&host, expected, &reason.into()).await;
    }
    up.mortal.kill().await;
    check(&host, "unavailable", &format!("cannot connect to {}", up.mortal.address()).into()).await;
    assert_eq!(up.seen().asked, 5, "only when somebody wanted to know");

    let (status, code, _) = host.post("/api/providers/nobody/health").await.error();
    assert_eq!((status, code.as_str()), (404, "provider_not_found"));
    host.stop().await;
}

/// Has it checked now; what comes of it is known to everybody from then on.
async fn check(host: &Host, expected: &str, reason: &Value) {
    let answer = host.post("/api/providers/up/health").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let checked = answer.json();
    assert_eq!((&checked["name"], &checked["status"]), (&json!("up"), &json!(expected)), "{checked}");
    assert_eq!(checked["reason"], *reason, "{checked}");
    assert!(checked["latency_ms"].is_u64() && checked["timestamp"].is_string(), "{checked}");
    assert_eq!(conditions(host).await, json!({ "up": expected }));
    let known = host.get("/api/providers").await.json()["providers"][0].take();
    assert_eq!((&known["reason"], &known["until"]), (reason, &Value::Null), "{known}");
}

#[tokio::test]
async fn a_plugin_that_cannot_say_how_it_is_is_not_asked() {
    let options = HostOptions::default().custom(&libraries::chameleon()).provider("chameleon", json!({}));
    let host = Host::start(options).await;
    let (status, code, details) = host.post("/api/providers/chameleon/health").await.error();
    assert_eq!((status, code.as_str()), (422, "unsupported"), "{details}");
    assert_eq!(conditions(&host).await, json!({ "chameleon": "unknown" }));
    host.ask("chameleon", "hi").await.response();
    assert_eq!(conditions(&host).await, json!({ "chameleon": "available" }), "it is known by what it serves");
    host.stop().await;
}

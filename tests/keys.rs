//! Which of its keys a provider is asked with, where every request goes through a plugin that never sees one.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::{Answer, Host, HostOptions, Mortal, libraries};

const ONE: &str = "sk-first-key-0123456789";
const TWO: &str = "sk-second-key-0123456789";

/// An upstream with a dialect of its own, that minds who asks.
struct Minding {
    mortal: Mortal,
    state: Arc<Minds>,
}

struct Minds {
    /// What it answers to a key, other than 200.
    statuses: Mutex<HashMap<&'static str, u16>>,
    /// The keys it was asked with, and for what.
    asked: Mutex<Vec<(String, String)>>,
    /// Each permit lets one held answer go on.
    gate: Semaphore,
}

impl Minding {
    fn start() -> Self {
        let (statuses, asked) = (Mutex::default(), Mutex::default());
        let state = Arc::new(Minds { statuses, asked, gate: Semaphore::new(0) });
        let router = Router::new().route("/say", post(say)).route("/alive", get(alive));
        Self { mortal: Mortal::start(router.with_state(Arc::clone(&state))), state }
    }

    fn answers(&self, key: &'static str, status: u16) {
        self.state.statuses.lock().unwrap().insert(key, status);
    }

    /// What it was asked since the last time.
    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.state.asked.lock().unwrap())
    }

    /// A host that has both keys for it, from a variable.
    async fn host(&self) -> Host {
        let config = json!({ "base_url": format!("http://{}", self.mortal.address()), "retry_attempts": 0 });
        let options = HostOptions::default().custom(&libraries::translator());
        let options = options.section("health", json!({ "enabled": false })).provider("translator", config);
        let options = options.env("TRANSLATOR_API_KEY", ONE).env("TRANSLATOR_API_KEYS", TWO);
        Host::start(options.secret(ONE).secret(TWO)).await
    }
}

impl Minds {
    /// Notes who asks; answers with what is to be said instead of an answer.
    fn refuses(&self, headers: &HeaderMap, what: &str) -> Option<Response> {
        let key = headers["x-key"].to_str().unwrap();
        self.asked.lock().unwrap().push((key.to_owned(), what.to_owned()));
        let status = *self.statuses.lock().unwrap().get(key)?;
        // As careless as some are: the key comes back in the error.
        let body = json!({ "error": { "message": format!("not with {key}") } }).to_string();
        Some((StatusCode::from_u16(status).unwrap(), [("retry-after", "30")], body).into_response())
    }
}

async fn alive(State(minds): State<Arc<Minds>>, headers: HeaderMap) -> Response {
    minds.refuses(&headers, "alive").unwrap_or_else(|| "yes".into_response())
}

async fn say(State(minds): State<Arc<Minds>>, headers: HeaderMap, Json(asked): Json<Value>) -> Response {
    let prompt = asked["prompt"].as_str().unwrap().to_owned();
    if let Some(refused) = minds.refuses(&headers, &prompt) {
        return refused;
    }
    let said = format!("{}: {prompt}", if headers["x-key"] == ONE { "one" } else { "two" });
    if asked["in_words"] != true {
        return Json(json!({ "said": said })).into_response();
    }
    let word = |said: &str| format!("data: {}\n\n", json!({ "said": said }));
    let events = [word("by "), word(&said), "event: end\ndata: {}\n\n".to_owned()];
    let events = stream::iter(events).enumerate().then(move |(index, event)| {
        let held = (index == 1 && prompt == "held").then(|| Arc::clone(&minds));
        async move {
            if let Some(minds) = held {
                minds.gate.acquire().await.unwrap().forget();
            }
            Ok::<_, Infallible>(event)
        }
    });
    ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
}

/// What the host knows of the keys: how many there are, which is used, how many rest, whether they ever took turns.
async fn keys(host: &Host) -> Value {
    let provider = host.get("/api/providers").await.json()["providers"][0].take();
    let rotated = provider["last_rotation"].as_str().map(|time| time.ends_with('Z'));
    json!([provider["api_keys_count"], provider["current_key_index"], provider["api_keys_resting"], rotated])
}

fn asked(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, what)| ((*key).to_owned(), (*what).to_owned())).collect()
}

async fn ask(host: &Host, text: &str) -> Answer {
    host.ask("translator", text).await
}

#[tokio::test]
async fn the_next_key_serves_the_request_that_the_first_was_limited_for() {
    let upstream = Minding::start();
    let host = upstream.host().await;
    assert_eq!(ask(&host, "a").await.response(), "one: a");
    assert_eq!(keys(&host).await, json!([2, 0, 0, null]));

    upstream.answers(ONE, 429);
    let answer = ask(&host, "b").await;
    assert_eq!(answer.response(), "two: b");
    assert_eq!(answer.headers["x-patchbay-attempts"], "2");
    assert_eq!(keys(&host).await, json!([2, 1, 1, true]));

    // It rests, so it is not asked again; nor is anybody who only wants to know how things are.
    let stream = host.stream("translator", "c").await;
    assert_eq!(stream.rest().await.unwrap(), "by two: c");
    assert_eq!(host.post("/api/providers/translator/health").await.json()["status"], "available");
    assert_eq!(upstream.asked(), asked(&[(ONE, "a"), (ONE, "b"), (TWO, "b"), (TWO, "c"), (TWO, "alive")]));
    host.stop().await;
}

#[tokio::test]
async fn an_answer_under_way_keeps_its_key_while_others_move_on() {
    let upstream = Minding::start();
    let host = upstream.host().await;
    let mut held = host.stream("translator", "held").await;
    assert_eq!(held.next().await.unwrap().as_deref(), Some("by "));
    upstream.answers(ONE, 429);
    let stream = host.stream("translator", "b").await;
    assert_eq!(stream.rest().await.unwrap(), "by two: b");
    upstream.state.gate.add_permits(1);
    assert_eq!(held.rest().await.unwrap(), "by one: held");
    assert_eq!(upstream.asked(), asked(&[(ONE, "held"), (ONE, "b"), (TWO, "b")]));
    // That it ended well is no reason to take the first key again.
    assert_eq!(ask(&host, "c").await.response(), "two: c");
    assert_eq!(keys(&host).await, json!([2, 1, 1, true]));
    host.stop().await;
}

#[tokio::test]
async fn keys_that_are_all_refused_are_left_alone() {
    let upstream = Minding::start();
    let host = upstream.host().await;
    upstream.answers(ONE, 401);
    upstream.answers(TWO, 401);
    let (status, code, _) = ask(&host, "a").await.error();
    assert_eq!((status, code.as_str()), (502, "authentication"));
    assert_eq!(upstream.asked(), asked(&[(ONE, "a"), (TWO, "a")]));
    assert_eq!(keys(&host).await, json!([2, 1, 2, true]));
    assert_eq!(host.get("/api/health").await.json()["providers"]["translator"], "unavailable");

    let answer = ask(&host, "b").await;
    let (status, code, details) = answer.error();
    assert_eq!((status, code.as_str()), (502, "authentication"), "{details}");
    assert!(details.contains("does not accept the configured key"), "{details}");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(upstream.asked(), asked(&[]), "nobody was asked");
    host.stop().await;
}

#[tokio::test]
async fn keys_that_are_all_limited_say_when_to_come_back() {
    let upstream = Minding::start();
    let host = upstream.host().await;
    upstream.answers(ONE, 429);
    upstream.answers(TWO, 429);
    for expected in [&[(ONE, "a"), (TWO, "a")][..], &[]] {
        let answer = ask(&host, "a").await;
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
        assert_eq!(upstream.asked(), asked(expected), "{}", answer.body);
    }
    assert_eq!(host.get("/api/health").await.json()["providers"]["translator"], "busy");
    // Whoever looks is told why, and until when.
    let provider = host.get("/api/providers").await.json()["providers"][0].take();
    let reason = provider["reason"].as_str().unwrap();
    assert!(reason.starts_with("it asks to be left alone for "), "{provider}");
    let until = humantime::parse_rfc3339(provider["until"].as_str().unwrap()).unwrap();
    assert!(until > std::time::SystemTime::now(), "{provider}");
    host.stop().await;
}

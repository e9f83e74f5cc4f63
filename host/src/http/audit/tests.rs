//! Every operator's route there is leaves its trail.

use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::AUTHORIZATION;
use secrecy::SecretString;
use serde_json::Value;

use super::*;
use crate::accounts::Arrival;
use crate::config::ServerSettings;
use crate::events::{Listener, Told, Topic};
use crate::http::connection::Connection;
use crate::http::routes::Audience;
use crate::http::{all, layers, router, said};

const TOKEN: &str = "s3cret-of-the-operator";

/// A host with a token, and whoever listens to its trail.
fn host() -> (Router, Listener) {
    let (state, listener) = state();
    (router(state), listener)
}

fn state() -> (AppState, Listener) {
    let settings = ServerSettings {
        host: "127.0.0.1".to_owned(),
        port: 0,
        open: false,
        max_body_bytes: 2000,
        keep_alive: Duration::from_secs(15),
        cors_origins: Vec::new(),
        trusted_proxies: Vec::new(),
        admin_token: Some(SecretString::from(TOKEN)),
    };
    let parts = crate::http::Parts::of(Arc::default(), crate::access::testing::book(Vec::new()));
    let listener = parts.manager.events().listen(vec![Topic::Audit], None).unwrap();
    (AppState::new(&settings, parts), listener)
}

async fn answered(router: Router, request: Request) -> Response {
    layers::answer(router, Arc::default(), Arrival::default(), request, pending()).await
}

fn request(method: &http::Method, path: &str, token: &str) -> Request {
    let path = path.replace("{name}", "nobody").replace("{id}", "nothing");
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let mut request = request
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header("x-request-id", "req-of-the-test")
        .body(Body::empty())
        .unwrap();
    request.extensions_mut().insert(Connection::new("127.0.0.1:1".parse().unwrap(), Duration::MAX));
    request
}

/// The entries since the last time.
async fn entries(listener: &mut Listener) -> Vec<Value> {
    let mut entries = Vec::new();
    // What was noted was noted before the answer.
    while let Some(Some(Told::Event(event))) = futures_util::FutureExt::now_or_never(listener.next()) {
        entries.push(serde_json::from_slice(&event.json).unwrap());
    }
    entries
}

#[tokio::test]
async fn every_change_leaves_one_entry_and_looking_none() {
    let (router, mut listener) = host();
    let operators = || all().into_iter().filter(|route| route.audience == Audience::Operators);
    for route in operators() {
        let name = format!("{} {}", route.method, route.path);
        assert_eq!(
            !route.method.is_safe(),
            route.subject.is_some(),
            "{name} has to say what it changes, be it nothing"
        );
        let changes = route.subject.is_some_and(|subject| subject != Subject::Nothing);
        let response = answered(router.clone(), request(&route.method, route.path, TOKEN)).await;
        let left = entries(&mut listener).await;
        assert_eq!(left.len(), usize::from(changes), "{name}: {left:?}");
        let Some(entry) = left.first() else { continue };
        assert_eq!(
            (&entry["route"], &entry["who"], &entry["address"], &entry["request_id"]),
            (&name.as_str().into(), &"admin_token".into(), &"127.0.0.1".into(), &"req-of-the-test".into()),
        );
        assert_eq!(entry["status"], response.status().as_u16(), "{entry}");
        // Nobody is there to reload anything.
        let is_done = response.status().is_success() && !route.path.ends_with("/reload");
        assert_eq!(entry["outcome"], if is_done { "done" } else { "failed" }, "{entry}");
        assert_eq!(entry["code"].is_null(), is_done, "{entry}");
        let target = if route.path.contains("{name}") { Some("nobody") } else { None };
        let target = target.or(route.path.contains("{id}").then_some("nothing"));
        assert_eq!(entry["target"].as_str(), target, "{entry}");
    }
    assert!(operators().filter(|route| route.subject.is_some()).count() >= 12, "they are all there");
}

#[tokio::test]
async fn who_is_refused_leaves_an_entry_wherever_it_was() {
    for route in all().into_iter().filter(|route| route.audience == Audience::Operators) {
        // Each with a host of its own: only so many are noted.
        let (router, mut listener) = host();
        let guess = "pb-a-guess-that-must-not-be-seen-anywhere-0123456789";
        let status = answered(router, request(&route.method, route.path, guess)).await.status();
        assert_eq!(status, 401);
        let left = entries(&mut listener).await;
        assert_eq!(left.len(), 1, "{} {}", route.method, route.path);
        let entry = &left[0];
        assert_eq!((&entry["who"], &entry["outcome"]), (&"nobody".into(), &"refused".into()), "{entry}");
        assert_eq!((&entry["status"], &entry["code"]), (&401.into(), &"unauthorized".into()), "{entry}");
        assert!(!entry.to_string().contains(guess), "{entry}");
    }
}

#[tokio::test]
async fn who_guesses_all_day_is_noted_in_part() {
    let (router, mut listener) = host();
    for _ in 0..60 {
        answered(router.clone(), request(&http::Method::GET, "/api/keys", "guess")).await;
    }
    let noted = entries(&mut listener).await.len();
    assert!((1..60).contains(&noted), "{noted}");
}

#[tokio::test]
async fn a_key_in_place_of_its_id_is_not_noted() {
    let (router, mut listener) = host();
    let key = "pb-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let path = format!("/api/keys/{key}");
    let response = answered(router, request(&http::Method::DELETE, &path, TOKEN)).await;
    assert_eq!(response.status(), 404);
    let left = entries(&mut listener).await;
    assert_eq!(left.len(), 1);
    assert!(!left[0].to_string().contains(&key[3..]), "{}", left[0]);
}

#[tokio::test]
async fn a_handler_that_panics_leaves_an_entry_too() {
    let (state, mut listener) = state();
    let panics = async || {
        if true {
            panic!("a secret of the inside");
        }
    };
    // Nor does it matter that it does not say what it changes.
    let mut routes = all();
    routes.push(Audience::Operators.post("/api/new", panics, said::host::live));
    let router = crate::http::routes::router(&routes, state);
    let response = answered(router, request(&http::Method::POST, "/api/new", TOKEN)).await;
    assert_eq!(response.status(), 500);
    let left = entries(&mut listener).await;
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0]["outcome"], &left[0]["code"]), (&"failed".into(), &"internal_error".into()));
    assert!(!left[0].to_string().contains("secret of the inside"), "{}", left[0]);
}

#[tokio::test]
async fn who_leaves_meanwhile_is_noted_all_the_same() {
    let (router, mut listener) = host();
    let request = request(&http::Method::POST, "/api/plugins/{id}/reload", TOKEN);
    let mut asking = Box::pin(answered(router, request));
    // Begun, and given up before there is an answer.
    assert!(futures_util::poll!(&mut asking).is_pending());
    drop(asking);
    let Some(Told::Event(event)) = listener.next().await else { panic!("nothing was told") };
    let entry: Value = serde_json::from_slice(&event.json).unwrap();
    assert_eq!((&entry["status"], &entry["code"]), (&404.into(), &"plugin_not_found".into()), "{entry}");
}

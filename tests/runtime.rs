//! Providers made, changed and removed while the host runs: kept, serialised, and never a way to somebody's key.

use serde_json::{Value, json};

use crate::harness::{Answer, Host, HostOptions, SECRET, Upstream, libraries};

async fn host() -> Host {
    let options = HostOptions::default().custom(&libraries::mock()).builtin(&libraries::openai_compatible());
    Host::start(options.provider("mock", json!({}))).await
}

async fn patch(host: &Host, name: &str, version: Option<&str>, body: Value) -> Answer {
    let path = format!("/api/providers/{name}");
    let mut request = host.request(reqwest::Method::PATCH, &path).header("content-type", "application/json");
    if let Some(version) = version {
        request = request.header("if-match", version);
    }
    host.answer(&path, request.body(body.to_string())).await
}

async fn delete(host: &Host, name: &str) -> u16 {
    let path = format!("/api/providers/{name}");
    host.answer(&path, host.request(reqwest::Method::DELETE, &path)).await.status
}

fn value<'a>(view: &'a Value, key: &str) -> &'a Value {
    let values = view["values"].as_array().unwrap();
    values.iter().find(|value| value["key"] == key).unwrap_or_else(|| panic!("no {key} in {view}"))
}

#[tokio::test]
async fn a_provider_is_made_changed_and_removed() {
    let host = host().await;
    let made = host
        .post_json(
            "/api/providers",
            &json!({ "name": "two", "plugin": "mock", "config": { "reply": "one" } }),
        )
        .await;
    assert_eq!(
        (made.status, made.header("etag"), made.header("location")),
        (201, Some("\"1\""), Some("/api/providers/two"))
    );
    assert_eq!(host.ask("two", "hi").await.response(), "one");
    let taken = host.post_json("/api/providers", &json!({ "name": "two", "plugin": "mock" })).await.error();
    assert_eq!((taken.0, taken.1.as_str()), (409, "provider_exists"));

    let changed =
        patch(&host, "two", Some("\"1\""), json!({ "priority": 5, "config": { "reply": "two" } })).await;
    let view = changed.json();
    assert_eq!(
        (changed.status, &view["version"], &view["priority"], &view["origin"]),
        (200, &json!(2), &json!(5), &json!("runtime"))
    );
    assert_eq!(value(&view, "reply")["value"], "two");
    assert_eq!(host.ask("two", "hi").await.response(), "two");
    let stale = patch(&host, "two", Some("\"1\""), json!({ "priority": 6 })).await.error();
    assert_eq!((stale.0, stale.1.as_str()), (412, "stale_version"));
    assert!(stale.2.ends_with("its version is 2 now"), "{}", stale.2);
    // Null takes back what was said.
    patch(&host, "two", None, json!({ "config": { "reply": null } })).await;
    assert_eq!(host.ask("two", "hi").await.response(), "You said: hi");

    // One of the file, too; and everybody else is left alone.
    let before = host.get("/api/providers/mock").await.json();
    assert_eq!((&before["version"], &before["origin"]), (&json!(0), &json!("file")));
    patch(&host, "mock", Some("\"0\""), json!({ "config": { "reply": "changed" } })).await;
    assert_eq!(host.ask("mock", "hi").await.response(), "changed");
    assert_eq!(host.plugin("mock").await["generation"], 1);
    assert_eq!(host.reload().await["providers"]["unchanged"], json!(["mock", "two"]), "a reload keeps them");

    assert_eq!((delete(&host, "two").await, delete(&host, "two").await), (204, 404));
    assert_eq!(host.ask("two", "hi").await.status, 404);
    assert_eq!(host.reload().await["providers"]["unchanged"], json!(["mock"]));
    host.stop().await;
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_its_words_and_changes_nothing() {
    let host = host().await;
    for (body, status, code, words) in [
        (json!({ "plugin": "mock" }), 400, "missing_field", "`name` must be a string"),
        (json!({ "name": "a/b", "plugin": "mock" }), 422, "entry_invalid", "a provider's name has letters"),
        (
            json!({ "name": "x", "plugin": "nope" }),
            422,
            "plugin_missing",
            "needs the plugin \"nope\", which is not there",
        ),
        (
            json!({ "name": "x", "plugin": "mock", "config": { "chunks": 0 } }),
            422,
            "configuration_refused",
            "`chunks` must be at least 1",
        ),
        (
            json!({ "name": "x", "plugin": "mock", "enabeld": true }),
            422,
            "entry_invalid",
            "did you mean \"enabled\"",
        ),
        (
            json!({ "name": "x", "plugin": "mock", "config": { "api_key_env": "HOME" } }),
            422,
            "entry_invalid",
            "api_key_env",
        ),
    ] {
        let (was, said, details) = host.post_json("/api/providers", &body).await.error();
        assert_eq!((was, said.as_str()), (status, code), "{body}: {details}");
        assert!(details.contains(words), "{body}: {details}");
    }
    // Variables of a file are filled in, those of a request are just text.
    let body = json!({ "name": "literal", "plugin": "mock", "config": { "reply": "${HOME} $${x}" } });
    assert_eq!(host.post_json("/api/providers", &body).await.status, 201);
    assert_eq!(host.ask("literal", "hi").await.response(), "${HOME} $${x}");
    let providers = host.get("/api/providers").await.json();
    assert_eq!(providers["total_count"], 2, "{providers}");
    host.stop().await;
}

#[tokio::test]
async fn a_key_is_asked_for_again_when_it_would_go_elsewhere() {
    let (here, elsewhere) = (Upstream::start().await, Upstream::start().await);
    let host = host().await;
    let config = json!({ "base_url": here.base_url(), "model": "m", "api_key": SECRET });
    let body = json!({ "name": "up", "plugin": "openai-compatible", "config": config });
    let made = host.post_json("/api/providers", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(made.body.contains("sk-***"), "the key is shown masked: {}", made.body);
    assert_eq!(host.ask("up", "hi").await.response(), "a b c");

    let moved = json!({ "config": { "base_url": elsewhere.base_url() } });
    let (status, code, _) = patch(&host, "up", None, moved.clone()).await.error();
    assert_eq!((status, code.as_str()), (422, "key_needed"));
    assert_eq!(host.ask("up", "hi").await.response(), "a b c");
    assert_eq!((here.requests().len(), elsewhere.requests().len()), (2, 0));
    let mut with_key = moved;
    with_key["config"]["api_key"] = SECRET.into();
    assert_eq!(patch(&host, "up", None, with_key).await.status, 200);
    assert_eq!(host.ask("up", "hi").await.response(), "a b c");
    assert_eq!((here.requests().len(), elsewhere.requests().len()), (2, 1));
    host.stop().await;
}

#[tokio::test]
async fn of_two_changes_to_one_version_one_is_refused() {
    let host = host().await;
    let changes =
        (0..12).map(|n| patch(&host, "mock", Some("\"0\""), json!({ "config": { "reply": n.to_string() } })));
    let answers = futures_util::future::join_all(changes).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    let mut expected = vec![412; 12];
    expected[0] = 200;
    assert_eq!(statuses, expected);
    let won = answers.iter().find(|answer| answer.status == 200).unwrap().json();
    assert_eq!(host.ask("mock", "hi").await.response(), value(&won, "reply")["value"].as_str().unwrap());
    host.stop().await;
}

/// Each round: a host starts on what the one before left, is changed without pause, and is killed in the middle.
#[tokio::test]
async fn a_host_that_is_killed_finds_a_state_that_it_had_acknowledged() {
    let data = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut next) = (0_u64, 1_u64);
    for round in 0..100_u64 {
        let options = HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
        let host = Host::start(options.env("PATCHBAY_DATA_DIR", data.path().to_str().unwrap())).await;
        let view = host.get("/api/providers/mock").await.json();
        let found = view["values"].as_array().unwrap().iter().find(|value| value["key"] == "reply");
        let found = found.map_or(0, |value| value["value"].as_str().unwrap().parse().unwrap());
        // What was on its way when the host died may have been kept or not; everything before it was.
        assert!(
            found == acknowledged || found + 1 == next,
            "round {round}: {found}, acknowledged was {acknowledged}"
        );
        (acknowledged, next) = (found, found + 1);
        assert_eq!(view["version"].as_u64().unwrap(), acknowledged, "each change is one version: {view}");

        // A few are waited for, the last one is not: the kill comes at whatever moment of it.
        for _ in 0..round % 3 {
            let changed =
                patch(&host, "mock", None, json!({ "config": { "reply": next.to_string() } })).await;
            assert_eq!(changed.status, 200, "{}", changed.body);
            (acknowledged, next) = (next, next + 1);
        }
        let body = json!({ "config": { "reply": next.to_string() } }).to_string();
        let last = host.request(reqwest::Method::PATCH, "/api/providers/mock");
        let last = last.header("content-type", "application/json").body(body).send();
        let moment = tokio::time::sleep(std::time::Duration::from_micros(round * 61 % 3000));
        tokio::select! {
            answer = last => if answer.is_ok_and(|answer| answer.status() == 200) { acknowledged = next },
            () = moment => {}
        }
        next += 1;
        // Kills it.
        drop(host);
    }
}

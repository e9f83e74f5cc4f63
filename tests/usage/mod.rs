//! What requests took: counted as it was, told to whoever may know, and there after whatever happens to the disk.

// What becomes of it when the store is locked, deleted, full or damaged.
mod faults;
// And when the host is killed.
mod killed;

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Host, HostOptions, Upstream, eventually, libraries};

/// 34 at 3, 1000 at 0.3, 200 at 3.75, 67 at 15, 500 at 10, for a million each: what `remembers` costs.
const COST: &str = "0.007157";

async fn start(upstream: &Upstream, data: &Path) -> Host {
    Host::start(options(upstream, data)).await
}

fn options(upstream: &Upstream, data: &Path) -> HostOptions {
    let prices = json!({ "prompt": 3, "cached_prompt": "0.30", "cache_write": 3.75, "completion": 15, "reasoning": 10 });
    let config = json!({
        "base_url": upstream.base_url(), "models": ["remembers"], "pricing": { "remembers": prices },
    });
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.section("health", json!({ "enabled": false })).env("PATCHBAY_DATA_DIR", data);
    options.entry("up", json!({ "plugin": "openai-compatible", "config": config }))
}

fn body(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

/// Asks once; the request's id.
async fn ask(host: &Host) -> String {
    let answer = host.post_json("/v1/chat/completions", &body("remembers", false)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.header("x-request-id").unwrap().to_owned()
}

async fn ask_often(host: &Host, times: usize) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for _ in 0..times {
        ids.insert(ask(host).await);
    }
    assert_eq!(ids.len(), times);
    ids
}

/// All single requests that are kept, each only once, with sums that say the same.
async fn kept(host: &Host) -> Vec<Value> {
    let (mut requests, mut next) = (Vec::new(), String::new());
    loop {
        let page = host.get(&format!("/api/usage/requests?limit=500{next}")).await.json();
        requests.extend(page["requests"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(before) => next = format!("&before={before}"),
            None => break,
        }
    }
    let ids: BTreeSet<_> = requests.iter().map(|request| request["request_id"].to_string()).collect();
    assert_eq!(ids.len(), requests.len(), "one of them is there twice");
    requests
}

async fn ids(host: &Host) -> BTreeSet<String> {
    let name = |request: &Value| request["request_id"].as_str().unwrap().to_owned();
    kept(host).await.iter().map(name).collect()
}

/// Waits until so many are kept; then the sums must be of as many.
async fn all_are_kept(host: &Host, count: usize) {
    eventually("the requests to be kept", async || (kept(host).await.len() >= count).then_some(())).await;
    let totals = &host.get("/api/usage").await.json()["totals"];
    assert_eq!((kept(host).await.len(), totals["requests"].as_u64()), (count, Some(count as u64)));
}

/// What the file of usage that waits has in it.
fn journal(data: &Path) -> String {
    std::fs::read_to_string(data.join("usage.journal")).unwrap()
}

async fn with_key(host: &Host, method: Method, path: &str, key: &str, body: Option<Value>) -> Answer {
    let mut request = host.request(method, path).header("authorization", format!("Bearer {key}"));
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    host.answer(path, request).await
}

#[tokio::test]
async fn what_was_used_is_told_by_whom_and_of_what() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let (team, reader) = {
        let made = async |wanted: Value| {
            let made = host.post_json("/api/keys", &wanted).await.json();
            (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
        };
        (made(json!({ "name": "team" })).await, made(json!({ "name": "reader", "scopes": ["read"] })).await)
    };
    let chat = async |path: &str, body: Value| with_key(&host, Method::POST, path, &team.1, Some(body)).await;
    for stream in [false, true] {
        assert_eq!(chat("/v1/chat/completions", body("remembers", stream)).await.status, 200);
    }
    assert_eq!(chat("/api/chat/complete", body("remembers", false)).await.status, 200);
    assert_eq!(chat("/v1/chat/completions", body("nobody/has", false)).await.status, 404);
    assert_eq!(chat("/v1/chat/completions", json!({})).await.status, 400);
    all_are_kept(&host, 5).await;

    // Who may look may look at this, and who may chat may not.
    assert_eq!(with_key(&host, Method::GET, "/api/usage", &team.1, None).await.status, 403);
    let answer = with_key(&host, Method::GET, "/api/usage?by=provider,model,key", &reader.1, None).await;
    let page = answer.json();
    let (served, refused) = (&page["groups"][0], &page["groups"][1]);
    assert_eq!((page["groups"].as_array().unwrap().len(), page["groups_left_out"].as_u64()), (2, Some(0)));
    assert_eq!((&served["provider"], &served["model"]), (&json!("up"), &json!("remembers")));
    assert_eq!(served["key"], json!({ "id": team.0, "name": "team" }));
    assert_eq!((&served["requests"], &served["errors"]), (&json!(3), &json!(0)));
    // Streams are told of as they were counted; every one cost the same.
    assert!(answer.body.contains(r#""cost_usd":0.021471,"#), "three times {COST}: {}", answer.body);
    assert_eq!(served["usage"]["cached_tokens"], 3000);
    assert!(
        served["latency_ms"]["p50"].is_number() && served["first_token_ms"]["mean"].is_number(),
        "{served}"
    );
    assert!(refused["provider"].is_null() && refused["model"].is_null(), "{refused}");
    assert_eq!((&refused["requests"], &refused["errors"]), (&json!(2), &json!(2)));

    let series = host.get(&format!("/api/usage?by=time&key={}&step=minute", team.0)).await.json();
    let points = series["series"].as_array().unwrap();
    assert_eq!(points.iter().map(|point| point["requests"].as_u64().unwrap()).sum::<u64>(), 5);
    assert_eq!(series["groups"], json!([]));
    let nobody = host.get("/api/usage?provider=nobody").await.json();
    assert_eq!(nobody["totals"]["requests"], 0);
    let (status, code, details) = host.get("/api/usage?by=vendor").await.error();
    assert_eq!((status, code.as_str()), (400, "invalid_query"));
    assert!(details.contains("it takes provider, model, key, route and time"), "{details}");

    // Single ones, by what became of them.
    let failed = host.get("/api/usage/requests?failed=true").await.json();
    let codes: Vec<_> = failed["requests"].as_array().unwrap().iter().map(|it| it["error"].clone()).collect();
    assert_eq!(codes, ["missing_field", "model_not_found"], "{failed}");
    assert_eq!((&failed["looked_at"], &failed["next"]), (&json!(5), &Value::Null));
    for (query, count) in [
        (format!("key={}&model=remembers", team.0), 3),
        ("error=model_not_found".to_owned(), 1),
        ("failed=true&provider=up".to_owned(), 0),
        ("min_latency_ms=3600000".to_owned(), 0),
        ("from=2001-01-01&to=2002-01-01".to_owned(), 0),
    ] {
        let page = host.get(&format!("/api/usage/requests?{query}")).await.json();
        assert_eq!(page["requests"].as_array().unwrap().len(), count, "{query}: {page}");
    }

    // Whose it was is known when the key is not taken any more.
    let path = format!("/api/keys/{}", team.0);
    assert_eq!(host.answer(&path, host.request(Method::DELETE, &path)).await.status, 204);
    let page = host.get("/api/usage?by=key").await.json();
    assert_eq!(page["groups"][0]["key"], json!({ "id": team.0, "name": "team" }));
    assert_eq!(kept(&host).await[0]["key"]["name"], "team");

    let errors: BTreeSet<_> = kept(&host).await.iter().map(|request| request["error"].to_string()).collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    host.stop().await;
    // A drain leaves nothing to wait for.
    assert_eq!(journal(data.path()), "");
    let host = start(&upstream, data.path()).await;
    all_are_kept(&host, 5).await;
    host.stop().await;
}

#[tokio::test]
async fn who_leaves_in_the_middle_is_no_error() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let config = json!({ "base_url": upstream.base_url(), "model": "gated" });
    let options = options(&upstream, data.path());
    let host =
        Host::start(options.entry("slow", json!({ "plugin": "openai-compatible", "config": config }))).await;
    upstream.release(1);
    let mut stream = host.stream("slow", "hi").await;
    assert_eq!(stream.next().await.unwrap().as_deref(), Some("a"));
    drop(stream);
    all_are_kept(&host, 1).await;
    let totals = &host.get("/api/usage?provider=slow").await.json()["totals"];
    assert_eq!((&totals["abandoned"], &totals["errors"]), (&json!(1), &json!(0)), "{totals}");
    // Upstream counts at the end.
    assert_eq!(totals["unpriced_requests"], 1, "{totals}");
    host.stop().await;
}

//! Limits: exactly as many are let in as may be, each by themselves, and everybody is told how they stand.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, Host, HostOptions, Upstream, libraries};

// What requests take of it.
mod tokens;
// And cost.
mod budgets;
// What one provider is asked.
mod providers;

async fn start(upstream: &Upstream, limits: Value, server: Value) -> Host {
    let config = json!({ "base_url": upstream.base_url(), "models": ["m", "gated", "silent"] });
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.section("health", json!({ "enabled": false })).section("limits", limits);
    let entry = json!({ "plugin": "openai-compatible", "config": config });
    Host::start(options.section("server", server).entry("up", entry)).await
}

fn question(model: &str) -> String {
    json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] }).to_string()
}

async fn ask(host: &Host, headers: &[(&str, &str)]) -> Answer {
    let mut request = host.request(reqwest::Method::POST, "/api/chat/complete").body(question("m"));
    request = request.header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    host.answer("/api/chat/complete", request).await
}

fn number(answer: &Answer, header: &str) -> u64 {
    answer.header(header).unwrap_or_else(|| panic!("no {header}: {:?}", answer.headers)).parse().unwrap()
}

#[tokio::test]
async fn of_four_hundred_exactly_a_hundred_are_let_in() {
    let upstream = Upstream::start().await;
    let host = start(&upstream, json!({ "requests_per_minute": 100 }), json!({})).await;
    let began = SystemTime::now();
    let asking = (0..40).map(|_| async {
        let mut answers = Vec::new();
        for _ in 0..10 {
            answers.push(ask(&host, &[]).await);
        }
        answers
    });
    let answers: Vec<Answer> = join_all(asking).await.into_iter().flatten().collect();
    let (served, refused): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|it| it.status == 200);
    assert_eq!((served.len(), refused.len(), upstream.requests().len()), (100, 300, 100));

    // Each of those let in was told another number of those left.
    let mut left: Vec<u64> = served.iter().map(|answer| number(answer, "x-ratelimit-remaining")).collect();
    left.sort_unstable();
    assert_eq!(left, (0..100).collect::<Vec<_>>());
    for answer in refused {
        assert_eq!((answer.status, answer.error().1.as_str()), (429, "rate_limit_exceeded"));
        assert_eq!(number(answer, "x-ratelimit-limit"), 100);
        assert_eq!(number(answer, "x-ratelimit-remaining"), 0);
        // As clients made for OpenAI's look for it.
        let reset = format!("{}s", number(answer, "x-ratelimit-reset"));
        assert_eq!(answer.header("x-ratelimit-reset-requests"), Some(reset.as_str()));
        assert_eq!(number(answer, "x-ratelimit-limit-requests"), 100);
        assert_eq!(number(answer, "x-ratelimit-remaining-requests"), 0);
        let wait = number(answer, "retry-after");
        assert!((1..=60).contains(&wait) && wait == number(answer, "x-ratelimit-reset"), "{wait}");
        // A minute after the first was let in, which was after this began and before it was told.
        let json = answer.json();
        let time = |name: &str| humantime::parse_rfc3339(json[name].as_str().unwrap()).unwrap();
        let minute = Duration::from_secs(60);
        assert!(time("reset_at") + Duration::from_millis(2) >= began + minute, "{json}");
        assert!(time("reset_at") <= time("timestamp") + minute, "{json}");
    }
    // What asks no provider is not counted.
    assert_eq!(host.get("/v1/models").await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn each_key_has_its_own_and_a_reload_changes_what_holds() {
    let upstream = Upstream::start().await;
    let host = start(&upstream, json!({ "requests_per_minute": 2 }), json!({})).await;
    let made = async |wanted: Value| {
        let key = host.post_json("/api/keys", &wanted).await.json()["key"].as_str().unwrap().to_owned();
        format!("Bearer {key}")
    };
    let small = made(json!({ "name": "small", "limits": { "requests_per_minute": 1 } })).await;
    let usual = made(json!({ "name": "usual" })).await;
    let statuses = async |key: &str, times: usize| {
        let mut statuses = Vec::new();
        for _ in 0..times {
            statuses.push(ask(&host, &[("authorization", key)]).await.status);
        }
        statuses
    };
    assert_eq!(statuses(&small, 2).await, [200, 429]);
    assert_eq!(statuses(&usual, 3).await, [200, 200, 429]);

    let entry = json!({ "plugin": "openai-compatible", "config": { "base_url": upstream.base_url(), "models": ["m"] } });
    let mut config = json!({ "plugins": { "up": entry }, "health": { "enabled": false } });
    config["limits"] = json!({ "requests_per_minute": 4 });
    host.configure(config.clone());
    host.reload().await;
    assert_eq!(statuses(&usual, 3).await, [200, 200, 429], "those of before count on");
    config["limits"] = json!({});
    host.configure(config);
    host.reload().await;
    let free = ask(&host, &[("authorization", &usual)]).await;
    assert_eq!((free.status, free.header("x-ratelimit-limit")), (200, None));
    assert_eq!(statuses(&small, 1).await, [429], "its own limit is not the configuration's");
    host.stop().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_is_its_own() {
    let upstream = Upstream::start().await;
    let limits = json!({ "requests_per_minute": 1 });
    let server = json!({ "open": true, "trusted_proxies": ["192.0.2.1", "127.0.0.0/8"] });
    let host = start(&upstream, limits.clone(), server).await;
    let status = async |host: &Host, for_whom: &str| ask(host, &[("x-forwarded-for", for_whom)]).await.status;
    assert_eq!(status(&host, "203.0.113.1").await, 200);
    assert_eq!(status(&host, "203.0.113.1").await, 429);
    assert_eq!(status(&host, "203.0.113.2").await, 200);
    assert_eq!(status(&host, "203.0.113.9, 203.0.113.2").await, 429, "what a client claims is not believed");
    host.stop().await;

    let host = start(&upstream, limits, json!({ "open": true })).await;
    assert_eq!(status(&host, "203.0.113.1").await, 200);
    assert_eq!(status(&host, "203.0.113.2").await, 429, "nobody said that this proxy can be believed");
    host.stop().await;
}

#[tokio::test]
async fn what_is_under_way_counts_until_its_last_byte() {
    let upstream = Upstream::start().await;
    let host = start(&upstream, json!({ "max_concurrent": 1 }), json!({})).await;
    // As far as its first words.
    upstream.release(2);
    let first = host.open("/api/chat", &question("gated")).await;
    let refused = ask(&host, &[]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(refused.error().2.contains("no more than 1 requests at one time"), "{}", refused.body);
    upstream.release(20);
    first.rest().await.unwrap();
    assert_eq!(ask(&host, &[]).await.status, 200);

    // A client that leaves makes room too.
    upstream.open_streams(0).await;
    let silent = question("silent");
    let leaving = async {
        upstream.open_streams(1).await;
    };
    tokio::select! {
        _ = host.open("/api/chat", &silent) => panic!("nobody answered"),
        () = leaving => {}
    }
    upstream.open_streams(0).await;
    assert_eq!(ask(&host, &[]).await.status, 200);
    host.stop().await;
}

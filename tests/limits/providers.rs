//! What one provider may be asked: then the next one is, and those who find nobody are told when to come back.

use super::*;

/// `first` with these limits, and `second` behind it.
async fn two(upstream: &Upstream, first: Value, second: bool) -> Host {
    let mut options = HostOptions::default().builtin(&libraries::openai_compatible());
    options = options.section("health", json!({ "enabled": false }));
    let config = |limits: &Value| {
        let mut config = json!({
            "base_url": upstream.base_url(), "models": ["m"], "retry_attempts": 0,
            "pricing": { "m": { "prompt": 1, "completion": 1, "per": 1 } },
        });
        config.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        config
    };
    let entry = |priority: u8, limits: &Value| json!({ "plugin": "openai-compatible", "priority": priority, "config": config(limits) });
    options = options.entry("first", entry(1, &first));
    if second {
        options = options.entry("second", entry(2, &json!({})));
    }
    Host::start(options).await
}

/// Four tokens, by the estimate and in truth, for four dollars.
fn four() -> Value {
    json!({ "model": "m", "prompt": "x", "max_tokens": 3 })
}

async fn served_by(host: &Host, times: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..times {
        let answer = host.post_json("/v1/completions", &four()).await;
        names.push(answer.header("x-patchbay-provider").unwrap_or("nobody").to_owned());
    }
    names
}

async fn patch(host: &Host, config: Value) -> Value {
    let request = host.request(reqwest::Method::PATCH, "/api/providers/first");
    let body = json!({ "config": config }).to_string();
    let answer = host.answer("patch", request.header("content-type", "application/json").body(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

#[tokio::test]
async fn at_its_limit_the_next_one_serves_and_what_was_counted_stays() {
    let upstream = Upstream::start().await;
    for (limit, more, told) in [
        (json!({ "requests_per_minute": 2 }), json!({ "requests_per_minute": 3 }), "2 requests in a minute"),
        (json!({ "tokens_per_minute": 11 }), json!({ "tokens_per_minute": 12 }), "11 tokens in a minute"),
        (
            json!({ "budget_usd_per_month": 8 }),
            json!({ "budget_usd_per_month": "8.5" }),
            "its budget of 8 USD for the month is spent",
        ),
    ] {
        let host = two(&upstream, limit, true).await;
        assert_eq!(served_by(&host, 3).await, ["first", "first", "second"], "{told}");
        let answer = host.post_json("/v1/completions", &four()).await;
        let route = answer.header("x-patchbay-route").unwrap();
        assert!(route.contains("first: it") && route.contains(told), "{route}");
        let shown = patch(&host, more.clone()).await.to_string();
        assert!(shown.contains(more.as_object().unwrap().keys().next().unwrap()), "{shown}");
        assert_eq!(served_by(&host, 2).await, ["first", "second"], "{told}");
        // A reload makes it anew, and forgets nothing.
        host.reload().await;
        assert_eq!(served_by(&host, 1).await, ["second"], "{told}");
        host.stop().await;
    }
}

#[tokio::test]
async fn of_many_at_once_exactly_as_many_go_to_it() {
    let upstream = Upstream::start().await;
    let host = two(&upstream, json!({ "requests_per_minute": 50, "tokens_per_minute": 160 }), true).await;
    let asking = (0..40).map(|_| served_by(&host, 5));
    let names: Vec<String> = join_all(asking).await.into_iter().flatten().collect();
    let first = names.iter().filter(|name| *name == "first").count();
    assert_eq!((first, names.iter().filter(|name| *name == "second").count()), (40, 160));
    host.stop().await;
}

#[tokio::test]
async fn who_finds_nobody_else_is_told_when_to_come_back() {
    let upstream = Upstream::start().await;
    for (limit, code, waits) in [
        (json!({ "requests_per_minute": 1 }), "rate_limited", 1..=60),
        (json!({ "tokens_per_minute": 5 }), "rate_limited", 1..=60),
        (json!({ "budget_usd_per_day": 4 }), "budget_exceeded", 0..=86_400),
    ] {
        let host = two(&upstream, limit, false).await;
        assert_eq!(served_by(&host, 1).await, ["first"]);
        let small = json!({ "messages": [{ "role": "user", "content": "" }], "max_tokens": 1 });
        let refused = host.post_json("/api/chat/complete", &small).await;
        assert_eq!((refused.status, refused.error().1.as_str()), (429, code), "{}", refused.body);
        let wait = number(&refused, "retry-after");
        assert!(waits.contains(&wait), "{wait}");
        let json = refused.json();
        let time = |name: &str| humantime::parse_rfc3339(json[name].as_str().unwrap()).unwrap();
        let apart = time("reset_at").duration_since(time("timestamp")).unwrap();
        assert!(
            apart <= Duration::from_secs(wait) && apart + Duration::from_secs(1) > Duration::from_secs(wait)
        );
        // What would never fit is told otherwise.
        let large = json!({ "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 5000 });
        let large = host.post_json("/api/chat/complete", &large).await;
        let never = refused.body.contains("tokens in a minute");
        assert_eq!(large.status, if never { 413 } else { 429 }, "{}", large.body);
        host.stop().await;
    }
}

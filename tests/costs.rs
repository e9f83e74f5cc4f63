//! What answers cost: by the configuration's prices, on every surface, before the answer and after.

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Upstream, libraries};

/// Providers with a plan over one upstream, each with its prices.
async fn host(upstream: &Upstream, routing: Value, providers: &[(&str, Value)]) -> Host {
    let mut options = HostOptions::default().builtin(&libraries::openai_compatible());
    options = options.section("routing", routing).section("health", json!({ "enabled": false }));
    for (name, pricing) in providers {
        let models: Vec<&String> = pricing.as_object().unwrap().keys().collect();
        let config = json!({ "base_url": upstream.base_url(), "models": models, "pricing": pricing });
        options = options.entry(name, json!({ "plugin": "openai-compatible", "config": config }));
    }
    Host::start(options.custom(&libraries::mock()).provider("mock", json!({}))).await
}

fn ask(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] })
}

/// Four prices that no two tokens of `remembers` share.
fn detailed() -> Value {
    json!({ "remembers": {
        "prompt": 3, "cached_prompt": "0.30", "cache_write": 3.75, "completion": 15, "reasoning": 10,
    } })
}

/// 34 at 3, 1000 at 0.3, 200 at 3.75, 67 at 15, 500 at 10, for a million each.
const DETAILED: &str = "0.007157";

#[tokio::test]
async fn every_surface_says_what_its_answer_cost() {
    let upstream = Upstream::start().await;
    let host = host(&upstream, json!({}), &[("up", detailed())]).await;

    let whole = host.post_json("/api/chat/complete", &ask("remembers")).await;
    assert_eq!(whole.header("x-patchbay-cost-usd"), Some(DETAILED));
    // As it is written: a number with all of its digits.
    assert!(whole.body.contains(&format!(r#""cost_usd":{DETAILED},"#)), "{}", whole.body);
    let usage = whole.json()["usage"].clone();
    let details = [&usage["cached_tokens"], &usage["cache_write_tokens"], &usage["reasoning_tokens"]];
    assert_eq!(details, [1000, 200, 500]);

    let openai = host.post_json("/v1/chat/completions", &ask("remembers")).await;
    assert_eq!(openai.header("x-patchbay-cost-usd"), Some(DETAILED));
    assert_eq!(openai.json().get("cost_usd"), None, "upstream's own bytes");

    let request = host.request(reqwest::Method::POST, "/api/chat").body(ask("remembers").to_string());
    let request = request.header("content-type", "application/json").header("accept", "text/event-stream");
    let events = host.answer("/api/chat", request).await;
    assert_eq!(events.header("x-patchbay-cost-usd"), None, "nobody knows it yet");
    let done = events.body.split("event: done\ndata: ").nth(1).unwrap().trim();
    assert!(done.contains(&format!(r#""cost_usd":{DETAILED}}}"#)), "{done}");
    host.stop().await;
}

#[tokio::test]
async fn what_has_no_price_says_nothing_of_it() {
    let upstream = Upstream::start().await;
    let pricing = json!({ "half": { "prompt": 1 }, "free": { "prompt": 0, "completion": 0 } });
    let host = host(&upstream, json!({}), &[("up", pricing)]).await;
    for (model, header, member) in [("half", None, "null"), ("free", Some("0"), "0")] {
        let answer = host.post_json("/api/chat/complete", &ask(model)).await;
        assert_eq!(answer.header("x-patchbay-cost-usd"), header, "{model}");
        assert!(answer.body.contains(&format!(r#""cost_usd":{member},"#)), "{}", answer.body);
    }
    host.stop().await;
}

#[tokio::test]
async fn the_cheapest_for_this_request_is_asked_first() {
    let upstream = Upstream::start().await;
    let providers = [
        ("reads-dearly", json!({ "m": { "prompt": 10, "completion": 1 } })),
        ("writes-dearly", json!({ "m": { "prompt": 1, "completion": 10 } })),
    ];
    let host = host(&upstream, json!({ "default_strategy": "lowest_cost" }), &providers).await;
    let asked = async |text: String, most: u64| {
        let message = json!({ "role": "user", "content": text });
        let body = json!({ "model": "m", "messages": [message], "max_tokens": most });
        let answer = host.post_json("/v1/chat/completions", &body).await;
        let route = answer.header("x-patchbay-route").unwrap();
        assert!(route.contains("lowest_cost of 2"), "{route}");
        answer.header("x-patchbay-provider").unwrap().to_owned()
    };
    assert_eq!(asked("hi".to_owned(), 500).await, "reads-dearly");
    assert_eq!(asked("word ".repeat(500), 10).await, "writes-dearly");
    host.stop().await;
}

#[tokio::test]
async fn a_cost_is_told_before_anything_is_spent() {
    let upstream = Upstream::start().await;
    let providers = [
        ("cheap", json!({ "m": { "prompt": "0.15", "completion": "0.60" } })),
        ("dear", json!({ "m": { "prompt": 0.0025, "completion": 0.01, "per": 1000 } })),
        ("unknown", json!({ "m": {} })),
    ];
    let host = host(&upstream, json!({}), &providers).await;
    let counts = json!({ "model": "m", "prompt_tokens": 1234, "completion_tokens": "567" });
    let answer = host.post_json("/api/cost/estimate", &counts).await;
    assert!(
        answer.body.starts_with(r#"{"provider":"cheap","model":"m","cost_usd":0.0005253,"#),
        "{}",
        answer.body
    );
    let told = answer.json();
    let costs: Vec<String> = told["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|candidate| format!("{} {}", candidate["provider"].as_str().unwrap(), candidate["cost_usd"]))
        .collect();
    assert_eq!(costs, ["cheap 0.0005253", "dear 0.008755", "unknown null"]);
    assert_eq!(
        told["candidates"][1]["pricing"],
        json!({ "prompt": 0.0025, "completion": 0.01, "per": 1000 })
    );
    assert_eq!(told["candidates"][1]["pricing_source"], "configuration");
    let reason = told["candidates"][2]["reason"].as_str().unwrap();
    assert!(reason.contains("set pricing in the configuration of unknown"), "{reason}");

    // A body as it would be sent: what is not counted is estimated, and what is not bounded is the usual.
    let told = host.post_json("/api/cost/estimate", &ask("dear/m")).await.json();
    let usage = &told["candidates"][0]["usage"];
    assert_eq!((told["provider"].as_str(), usage["prompt_tokens"].as_u64()), (Some("dear"), Some(5)));
    assert_eq!(usage["completion_tokens"], 1000);

    // Those who could not serve it are not the first, whatever they would cost.
    let mut drawing = ask("m");
    drawing["messages"][0]["content"] =
        json!([{ "type": "image_url", "image_url": { "url": "https://x.test/a.png" } }]);
    drawing["provider"] = "mock".into();
    let told = host.post_json("/api/cost/estimate", &drawing).await.json();
    assert!(told["provider"].is_null() && told["cost_usd"].is_null(), "{told}");
    assert_eq!(told["candidates"][0]["reason"], "does not support vision");
    let vectors = json!({ "model": "m", "input": "hi" });
    let told = host.post_json("/api/cost/estimate", &vectors).await.json();
    assert_eq!(told["candidates"][0]["usage"]["completion_tokens"], 0, "{told}");

    for (body, status, code) in [
        (json!({ "model": "m" }), 400, "missing_field"),
        (json!({ "model": "m", "prompt_tokens": "many" }), 400, "invalid_field"),
        (json!({ "model": "other", "prompt_tokens": 1 }), 404, "model_not_found"),
        (json!({ "provider": "nobody", "prompt_tokens": 1 }), 404, "provider_not_found"),
    ] {
        let (got, said, _) = host.post_json("/api/cost/estimate", &body).await.error();
        assert_eq!((got, said.as_str()), (status, code), "{body}");
    }
    assert!(upstream.requests().is_empty(), "nobody was asked");
    host.stop().await;
}

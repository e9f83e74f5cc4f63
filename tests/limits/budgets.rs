//! Budgets: never overspent by more than what is under way, and remembered.

use std::path::Path;

use super::*;

/// Two dollars for each request as far as anybody can tell before, and four in truth.
fn dear() -> Value {
    json!({ "model": "m", "prompt": "x", "max_tokens": 1 })
}

async fn start_in(dir: &Path, upstream: &Upstream, limits: Value) -> Host {
    start_with(dir, upstream, limits, "m").await
}

/// With a price for this model.
async fn start_with(dir: &Path, upstream: &Upstream, limits: Value, priced: &str) -> Host {
    let config = json!({
        "base_url": upstream.base_url(), "models": ["m", "gated"],
        "pricing": { priced: { "prompt": "1", "completion": "1.00", "per": 1 } },
    });
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.section("health", json!({ "enabled": false })).section("limits", limits);
    let entry = json!({ "plugin": "openai-compatible", "config": config });
    let options = options.entry("up", entry).argument("--data-dir").argument(dir.to_str().unwrap());
    Host::start(options).await
}

async fn ask(host: &Host, key: Option<&str>, body: &Value) -> Answer {
    let mut request = host.request(reqwest::Method::POST, "/v1/completions").body(body.to_string());
    request = request.header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    host.answer("/v1/completions", request).await
}

async fn made(host: &Host, limits: Value) -> String {
    let made = host.post_json("/api/keys", &json!({ "name": "k", "limits": limits })).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn of_forty_at_once_none_overspends_by_more_than_is_under_way() {
    let (upstream, dir) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start_in(dir.path(), &upstream, json!({})).await;
    let key = made(&host, json!({ "budget_usd_per_month": 100 })).await;
    let asking = (0..40).map(|_| async {
        let mut answers = Vec::new();
        for _ in 0..10 {
            answers.push(ask(&host, Some(&key), &dear()).await);
        }
        answers
    });
    let answers: Vec<Answer> = join_all(asking).await.into_iter().flatten().collect();
    let (served, refused): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|it| it.status == 200);
    // When the last one was let in, less than a hundred were spent or set aside: two of four for each of the others.
    let spent = 4 * served.len();
    assert!((100..=100 + 39 * 2 + 4).contains(&spent), "{spent}");
    assert_eq!(upstream.requests().len(), served.len());
    // Until the last answer is there, it may be only what others have set aside that is in the way.
    for answer in &refused {
        let code = answer.json()["error"]["code"].clone();
        assert!(answer.status == 429 && (code == "budget_exceeded" || code == "budget_set_aside"), "{code}");
    }
    let last = ask(&host, Some(&key), &dear()).await;
    assert_eq!((last.status, last.header("x-patchbay-budget-remaining-usd")), (429, Some("0")));
    assert_eq!(last.json()["error"]["code"], "budget_exceeded");
    let keys = host.get("/api/keys").await.json();
    let spent = json!({ "today_usd": spent, "this_month_usd": spent });
    assert_eq!(
        (&keys["keys"][0]["spent"], &keys["keys"][0]["limits"]["budget_usd_per_month"]),
        (&spent, &json!(100))
    );
    // Another key has spent nothing.
    let other = made(&host, json!({ "budget_usd_per_day": "4.50" })).await;
    let answer = ask(&host, Some(&other), &dear()).await;
    assert_eq!((answer.status, answer.header("x-patchbay-budget-remaining-usd")), (200, Some("0.5")));
    host.stop().await;
}

#[tokio::test]
async fn who_is_over_is_told_when_it_begins_anew() {
    let (upstream, dir) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let limits = json!({ "budget_usd_per_day": 4, "host_budget_usd_per_month": 1000 });
    let host = start_in(dir.path(), &upstream, limits).await;
    assert_eq!(ask(&host, None, &dear()).await.status, 200);
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    let refused = host.post_json("/api/chat/complete", &body).await;
    let (status, code, details) = refused.error();
    assert_eq!((status, code.as_str()), (429, "budget_exceeded"));
    let expected = "The budget of 4 USD for the day is spent (4); it begins anew at midnight, UTC";
    assert_eq!(details, expected);
    let json = refused.json();
    let reset_at = json["reset_at"].as_str().unwrap();
    // To the millisecond that passes between one look at the clock and the next.
    let time = humantime::parse_rfc3339(reset_at).unwrap();
    let past = (time + Duration::from_secs(1)).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()
        % 86_400_000;
    assert!((900..=1100).contains(&past), "{reset_at}");
    let now = humantime::parse_rfc3339(json["timestamp"].as_str().unwrap()).unwrap();
    let wait = time.duration_since(now).unwrap();
    assert!(number(&refused, "retry-after").abs_diff(wait.as_secs() + 1) <= 1);

    // All clients and keys together have one, too; and it is new here: what was spent before counts.
    let entry = json!({ "plugin": "openai-compatible", "config": {
        "base_url": upstream.base_url(), "models": ["m"],
        "pricing": { "m": { "prompt": 1, "completion": 1, "per": 1 } },
    } });
    host.configure(json!({
        "plugins": { "up": entry }, "health": { "enabled": false }, "limits": { "host_budget_usd_per_day": 6 },
    }));
    host.reload().await;
    let answer = ask(&host, None, &dear()).await;
    assert_eq!(
        (answer.status, answer.header("x-patchbay-budget-remaining-usd")),
        (200, None),
        "{}",
        answer.body
    );
    let refused = host.post_json("/api/chat/complete", &body).await;
    assert!(
        refused.error().2.starts_with("The host's budget of 6 USD for the day is spent"),
        "{}",
        refused.body
    );
    host.stop().await;
}

#[tokio::test]
async fn a_restart_and_a_kill_forget_nothing() {
    let (upstream, dir) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let limits = json!({ "host_budget_usd_per_month": 20 });
    let host = start_in(dir.path(), &upstream, limits.clone()).await;
    let key = made(&host, json!({ "budget_usd_per_day": 8 })).await;
    let rich = made(&host, json!({})).await;
    assert_eq!(ask(&host, Some(&key), &dear()).await.status, 200);
    host.stop().await;

    let host = start_in(dir.path(), &upstream, limits.clone()).await;
    let answer = ask(&host, Some(&key), &dear()).await;
    assert_eq!((answer.status, answer.header("x-patchbay-budget-remaining-usd")), (200, Some("0")));
    assert_eq!(ask(&host, Some(&key), &dear()).await.status, 429);
    // What is written down survives any end; that it is takes a moment.
    written(&host, 3).await;
    host.kill().await;

    let host = start_in(dir.path(), &upstream, limits).await;
    assert_eq!(ask(&host, Some(&key), &dear()).await.status, 429);
    let statuses = [
        ask(&host, Some(&rich), &dear()).await.status,
        ask(&host, Some(&rich), &dear()).await.status,
        ask(&host, Some(&rich), &dear()).await.status,
        ask(&host, Some(&rich), &dear()).await.status,
    ];
    assert_eq!(statuses, [200, 200, 200, 429], "eight of twenty were spent before");
    host.stop().await;
}

/// Waits until the store has so many requests.
async fn written(host: &Host, count: u64) {
    crate::harness::eventually("what was spent to be written down", async || {
        let usage = host.get("/api/usage").await.json();
        (usage["totals"]["requests"].as_u64().unwrap_or_else(|| panic!("{usage}")) >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_budget_that_a_key_is_given_later_knows_what_was_spent() {
    let (upstream, dir) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start_in(dir.path(), &upstream, json!({})).await;
    let key = made(&host, json!({})).await;
    assert_eq!(ask(&host, Some(&key), &dear()).await.status, 200);
    let id = host.get("/api/keys").await.json()["keys"][0]["id"].as_str().unwrap().to_owned();
    let change = async |limits: Value| {
        let path = format!("/api/keys/{id}");
        let body = json!({ "limits": limits }).to_string();
        let request = host.request(reqwest::Method::PATCH, &path).body(body);
        host.answer(&path, request.header("content-type", "application/json")).await
    };
    let changed = change(json!({ "budget_usd_per_day": 4 })).await;
    assert_eq!(changed.json()["spent"]["today_usd"], 4, "{}", changed.body);
    assert_eq!(ask(&host, Some(&key), &dear()).await.status, 429);
    change(json!({ "budget_usd_per_day": 5 })).await;
    assert_eq!(ask(&host, Some(&key), &dear()).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn an_estimate_that_stayed_is_written_down_and_not_forgotten() {
    let (upstream, dir) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let budget = |dollars: u64| json!({ "host_budget_usd_per_day": dollars });
    let host = start_with(dir.path(), &upstream, budget(1000), "gated").await;
    let body = json!({
        "model": "gated", "max_tokens": 7, "stream": true, "messages": [{ "role": "user", "content": "hello" }],
    });
    upstream.release(1);
    let mut stream = host.open("/v1/chat/completions", &body.to_string()).await;
    stream.next().await.unwrap();
    drop(stream);
    written(&host, 1).await;
    let request = &host.get("/api/usage/requests").await.json()["requests"][0];
    let usage = json!({ "prompt_tokens": 6, "completion_tokens": 7, "total_tokens": 13 });
    assert_eq!(
        (&request["estimated"], &request["usage"], &request["cost_usd"], &request["error"]),
        (&json!(true), &usage, &json!(13), &json!("abandoned"))
    );
    let totals = &host.get("/api/usage").await.json()["totals"];
    assert_eq!((&totals["estimated_requests"], &totals["unpriced_requests"]), (&json!(1), &json!(0)));
    host.stop().await;

    // As large as what was spent.
    let host = start_with(dir.path(), &upstream, budget(13), "gated").await;
    let refused = host.post_json("/v1/chat/completions", &body).await;
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(refused.body.contains("13 USD for the day is spent (13)"), "{}", refused.body);
    host.stop().await;
}

#[tokio::test]
async fn what_was_spent_is_told_of_keys_without_a_budget_too() {
    let (upstream, dir) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start_in(dir.path(), &upstream, json!({})).await;
    for limits in [json!({}), json!({ "tokens_per_minute": 3000 }), json!({ "budget_usd_per_day": 100 })] {
        let key = made(&host, limits).await;
        assert_eq!(ask(&host, Some(&key), &dear()).await.status, 200);
    }
    let spent = json!({ "today_usd": 4, "this_month_usd": 4 });
    crate::harness::eventually("what three keys have spent", async || {
        let keys = host.get("/api/keys").await.json();
        let keys = keys["keys"].as_array().unwrap();
        (keys.len() == 3 && keys.iter().all(|key| key["spent"] == spent)).then_some(())
    })
    .await;
    host.stop().await;
}

/// Two providers of one model, the dear one first.
fn dear_and_cheap(upstream: &Upstream, limits: Value) -> Value {
    let entry = |priority: u32, price: &str, models: Value| {
        json!({ "plugin": "openai-compatible", "priority": priority, "config": {
            "base_url": upstream.base_url(), "models": models,
            "pricing": { "m": { "prompt": price, "completion": price, "per": 1 },
                "gated": { "prompt": price, "completion": price, "per": 1 } },
        } })
    };
    json!({
        "plugins": { "up": entry(1, "1", json!(["m", "gated", "only"])), "cheap": entry(2, "0.01", json!(["m"])) },
        "health": { "enabled": false }, "limits": limits,
    })
}

#[tokio::test]
async fn who_asks_for_more_than_the_whole_budget_is_told_so() {
    let (upstream, dir) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start_in(dir.path(), &upstream, json!({})).await;
    let poor = made(&host, json!({ "budget_usd_per_month": "0.1" })).await;
    let refused = ask(&host, Some(&poor), &dear()).await;
    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["code"]), (413, &json!("too_expensive")), "{error}");
    let said = "may cost 2 USD, and the budget for the month is 0.1 USD: make it shorter";
    assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    assert_eq!((upstream.requests().len(), refused.header("retry-after")), (0, None));

    // Whoever is cheaper is asked instead, and nothing was taken by what was not.
    host.configure(dear_and_cheap(&upstream, json!({})));
    host.reload().await;
    let answer = ask(&host, Some(&poor), &dear()).await;
    assert_eq!(
        (answer.status, answer.header("x-patchbay-provider")),
        (200, Some("cheap")),
        "{}",
        answer.body
    );
    let left = answer.header("x-patchbay-budget-remaining-usd");
    assert_eq!(left, Some("0.06"));
    host.stop().await;

    // One that has spent nothing: what was spent before is known a moment after its budget is.
    let fresh = tempfile::tempdir().unwrap();
    let host = start_in(fresh.path(), &upstream, json!({})).await;
    let poor = made(&host, json!({ "budget_usd_per_month": "0.1" })).await;
    host.configure(dear_and_cheap(&upstream, json!({ "host_budget_usd_per_day": "0.01" })));
    host.reload().await;
    let refused = ask(&host, Some(&poor), &dear()).await;
    assert!(refused.body.contains("and the host's budget for the day is 0.01 USD"), "{}", refused.body);
    host.stop().await;
}

#[tokio::test]
async fn what_is_set_aside_is_not_spent() {
    let (upstream, dir) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start_in(dir.path(), &upstream, json!({})).await;
    // As much as one of these may cost.
    host.configure(dear_and_cheap(&upstream, json!({ "budget_usd_per_day": 6 })));
    host.reload().await;
    let messages = json!([{ "role": "user", "content": "hi" }]);
    let body = json!({ "model": "gated", "messages": messages, "max_tokens": 1, "stream": true });
    upstream.release(2);
    let first = host.open("/v1/chat/completions", &body.to_string()).await;
    assert_eq!(first.headers["x-patchbay-budget-remaining-usd"], "6");
    let refused = host.post_json("/v1/chat/completions", &body).await;
    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["code"]), (429, &json!("budget_set_aside")), "{error}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    upstream.release(20);
    first.rest().await.unwrap();
    let served = host.post_json("/v1/chat/completions", &body).await;
    assert_eq!(served.status, 200, "it took less than that: {}", served.body);
    host.stop().await;
}

#[tokio::test]
async fn what_no_budget_can_count_is_refused_where_that_is_wanted() {
    let (upstream, dir) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start_in(dir.path(), &upstream, json!({ "unpriced": "refuse" })).await;
    let (free, bound) = (made(&host, json!({})).await, made(&host, json!({ "budget_usd_per_day": 9 })).await);
    let unpriced = json!({ "model": "gated", "prompt": "x", "max_tokens": 1 });
    let refused = ask(&host, Some(&bound), &unpriced).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (403, &json!("unpriced_model")));
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(ask(&host, Some(&bound), &dear()).await.status, 200);
    assert_eq!(ask(&host, Some(&free), &unpriced).await.status, 200, "it has no budget");
    let metrics = host.get("/metrics").await.body;
    let line = metrics.lines().find(|line| line.starts_with("patchbay_unpriced_requests_total{"));
    assert!(line.is_some_and(|line| line.contains("provider=\"up\"") && line.ends_with(" 1")), "{metrics}");
    host.stop().await;
}

#[tokio::test]
async fn what_has_no_price_costs_nothing() {
    let (upstream, dir) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start_in(dir.path(), &upstream, json!({ "budget_usd_per_day": "0.01" })).await;
    for _ in 0..3 {
        let answer = ask(&host, None, &json!({ "model": "gated", "prompt": "x", "max_tokens": 1 })).await;
        assert_eq!((answer.status, answer.header("x-patchbay-budget-remaining-usd")), (200, Some("0.01")));
    }
    host.stop().await;
}

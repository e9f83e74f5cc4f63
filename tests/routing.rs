//! Who answers, by the configuration's rules, and how the answer says why.

use serde_json::{Value, json};

use crate::harness::{Answer, Host, HostOptions, Upstream, libraries};

/// Providers with a plan over one upstream, each with its own entry beside `plugin`.
async fn host(upstream: &Upstream, routing: Value, entries: &[(&str, Value)]) -> Host {
    let mut options = HostOptions::default().builtin(&libraries::openai_compatible());
    options = options.section("routing", routing).section("health", json!({ "enabled": false }));
    for (name, entry) in entries {
        let mut entry = entry.clone();
        entry["plugin"] = "openai-compatible".into();
        entry["config"]["base_url"] = upstream.base_url().into();
        entry["config"]["retry_attempts"] = 0.into();
        options = options.entry(name, entry);
    }
    Host::start(options).await
}

fn serving(model: &str) -> Value {
    json!({ "config": { "models": [model] } })
}

async fn ask(host: &Host, members: Value) -> Answer {
    let mut body = json!({ "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    host.post_json("/api/chat/complete", &body).await
}

async fn answered_by(host: &Host, members: Value) -> String {
    let answer = ask(host, members).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.header("x-patchbay-provider").unwrap().to_owned()
}

#[tokio::test]
async fn providers_take_turns_where_the_configuration_says_so() {
    let upstream = Upstream::start().await;
    let routing = json!({ "default_strategy": "round_robin" });
    let host = host(&upstream, routing, &[("a", serving("m")), ("b", serving("m"))]).await;
    let mut answered = Vec::new();
    for _ in 0..4 {
        answered.push(answered_by(&host, json!({ "model": "m" })).await);
    }
    assert_eq!(answered, ["a", "b", "a", "b"]);
    // A request may want it otherwise.
    for _ in 0..3 {
        let wish = json!({ "model": "m", "strategy": "priority_first" });
        assert_eq!(answered_by(&host, wish).await, "a");
    }
    let wish = json!({ "model": "m", "strategy": "by_whim" });
    let (status, code, details) = ask(&host, wish).await.error();
    assert_eq!((status, code.as_str()), (400, "invalid_field"));
    assert!(details.contains("round_robin, weighted, least_latency"), "{details}");
    assert_eq!(host.get("/api/providers").await.json()["default_strategy"], "round_robin");
    host.stop().await;
}

#[tokio::test]
async fn a_weight_of_nothing_is_only_asked_when_the_others_fail() {
    let upstream = Upstream::start().await;
    let routing = json!({ "default_strategy": "weighted" });
    let spare = json!({ "weight": 0, "priority": 1, "config": { "models": ["m", "fails"] } });
    let main = json!({ "weight": 1, "config": { "models": ["m", "fails"] } });
    let host = host(&upstream, routing, &[("spare", spare), ("main", main)]).await;
    for _ in 0..20 {
        assert_eq!(answered_by(&host, json!({ "model": "m" })).await, "main");
    }
    let (_, _, details) = ask(&host, json!({ "model": "fails" })).await.error();
    assert!(details.starts_with("spare: ") && details.contains("before it main: "), "{details}");
    host.stop().await;
}

#[tokio::test]
async fn a_chain_stands_in_for_a_model_and_says_how_it_came_to_its_end() {
    let upstream = Upstream::start().await;
    let chain = json!(["one/fails", "gone/x", "two/m"]);
    let routing = json!({ "chains": { "fast": chain } });
    let host = host(&upstream, routing, &[("one", serving("fails")), ("two", serving("m"))]).await;
    let answer = ask(&host, json!({ "model": "fast" })).await;
    assert_eq!((answer.status, answer.header("x-patchbay-model")), (200, Some("m")), "{}", answer.body);
    assert_eq!(answer.header("x-patchbay-route"), Some("two: of its chain; one failed: provider"));
    assert_eq!(answer.header("x-patchbay-attempts"), Some("2"));
    let listed = host.get("/v1/models").await.json();
    assert_eq!(
        (&listed["data"][0]["id"], &listed["data"][0]["owned_by"]),
        (&json!("fast"), &json!("patchbay"))
    );
    host.stop().await;
}

#[tokio::test]
async fn without_fallback_the_first_failure_is_the_answer() {
    let upstream = Upstream::start().await;
    let first = json!({ "priority": 1, "config": { "models": ["fails"] } });
    let second = json!({ "priority": 2, "config": { "models": ["fails"] } });
    let entries = [("first", first), ("second", second)];
    let host = host(&upstream, json!({ "fallback": false }), &entries).await;
    let (status, _, details) = ask(&host, json!({ "model": "fails" })).await.error();
    assert_eq!((status, upstream.requests().len()), (502, 1));
    assert!(details.starts_with("first: ") && !details.contains("second"), "{details}");
    host.stop().await;
}

#[tokio::test]
async fn who_is_limited_rests_and_says_for_how_long() {
    let upstream = Upstream::start().await;
    let host = host(&upstream, json!({}), &[("up", serving("limits")), ("other", serving("m"))]).await;
    for round in 0..3 {
        let answer = ask(&host, json!({ "model": "limits" })).await;
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        let (status, code, details) = answer.error();
        assert_eq!((status, code.as_str()), (429, "rate_limited"), "{details}");
        // Upstream said seven seconds.
        assert!((1..=7).contains(&wait), "{wait}");
        assert_eq!(upstream.requests().len(), 1, "round {round}: whoever rests is not asked");
    }
    let health = host.get("/api/health").await;
    assert_eq!((health.status, &health.json()["providers"]["up"]), (200, &json!("busy")));
    assert_eq!(answered_by(&host, json!({ "model": "m" })).await, "other");
    host.stop().await;
}

#[tokio::test]
async fn rules_change_without_a_restart() {
    let upstream = Upstream::start().await;
    let host = host(&upstream, json!({}), &[("a", serving("m")), ("b", serving("m"))]).await;
    for _ in 0..2 {
        assert_eq!(answered_by(&host, json!({ "model": "m" })).await, "a");
    }
    let file = host.dir().join("plugin_config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config["routing"]["default_strategy"] = "round_robin".into();
    std::fs::write(&file, config.to_string()).unwrap();
    assert_eq!(host.reload().await["status"], "ok");
    let answered = [
        answered_by(&host, json!({ "model": "m" })).await,
        answered_by(&host, json!({ "model": "m" })).await,
    ];
    assert_eq!(answered, ["a", "b"]);
    host.stop().await;
}

/// A provider may be this very host, by mistake: then a request comes round again.
#[tokio::test]
async fn a_loop_ends_after_a_few_rounds_and_is_told_of() {
    let upstream = Upstream::start().await;
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.section("health", json!({ "enabled": false }));
    let host = Host::start(options.entry("other", json!({ "plugin": "openai-compatible", "config": { "base_url": upstream.base_url(), "models": ["n"] } }))).await;
    let this = format!("{}/v1", host.address());
    let plugins = json!({
        "myself": { "plugin": "openai-compatible", "config": { "base_url": this, "models": ["m", "both"] } },
        "other": { "plugin": "openai-compatible", "priority": 60, "config": { "base_url": upstream.base_url(), "models": ["n", "both"] } },
    });
    // Five failures would have it left alone, which is well, and would hide the rest.
    let routing = json!({ "breaker": { "failures": 1000 } });
    host.configure(json!({ "plugins": plugins, "routing": routing, "health": { "enabled": false } }));
    assert_eq!(host.reload().await["status"], "ok");
    let rounds =
        async || host.get("/api/providers").await.json()["providers"][0]["requests_total"].as_u64().unwrap();

    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    let answer = host.post_json("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 508, "{}", answer.body);
    assert_eq!(answer.json()["error"]["code"], "loop_detected", "{}", answer.body);
    assert!(answer.body.contains("base_url leads back"), "{}", answer.body);
    assert_eq!(rounds().await, 5);
    // Streams go the same way; and where somebody else can answer, they do.
    let streamed = json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(host.post_json("/v1/chat/completions", &streamed).await.status, 508);
    assert_eq!(answered_by(&host, json!({ "model": "both" })).await, "myself");
    assert_eq!(rounds().await, 15);
    let (headers, _) = upstream.requests().pop().unwrap();
    assert_eq!(headers["x-patchbay-hops"], "5");
    host.stop().await;
}

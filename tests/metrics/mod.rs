//! What Prometheus is told, read by its own client: of every kind of request, under load and over reloads, and how
//! little there is of it whatever anybody asks.

// A scrape, and its reader.
mod scrape;
// Who may read it, and what must not make more of it.
mod bounded;
// What happens while somebody reads.
mod meanwhile;

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Upstream, eventually, libraries};
use scrape::{Scrape, parsed, scrape};

const CHAT: &str = "/v1/chat/completions";

fn question(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] })
}

/// Providers with a plan over one upstream, one of which offers a model that fails, and only that.
fn options(upstream: &Upstream) -> HostOptions {
    let entry = |models: Value| {
        let pricing = json!({ "m": { "prompt": 1, "completion": "0.1" } });
        let config = json!({ "base_url": upstream.base_url(), "models": models, "pricing": pricing,
                             "retry_attempts": 0 });
        json!({ "plugin": "openai-compatible", "config": config })
    };
    let chains = json!({ "fast": ["down/fails", "up/m"] });
    HostOptions::default()
        .builtin(&libraries::openai_compatible())
        .section("health", json!({ "enabled": false }))
        .section("routing", json!({ "chains": chains, "breaker": { "failures": 2 } }))
        .entry("up", entry(json!(["m", "limits", "cut", "gated", "remembers"])))
        .entry("down", entry(json!(["fails"])))
}

async fn ask(host: &Host, model: &str) -> u16 {
    host.post_json(CHAT, &question(model)).await.status
}

#[tokio::test]
async fn everything_that_happened_is_told_with_its_type() {
    let upstream = Upstream::start().await;
    let host = Host::start(options(&upstream)).await;
    let stream = async |model: &str| {
        let mut body = question(model);
        body["stream"] = true.into();
        host.open(CHAT, &body.to_string()).await.rest().await
    };
    assert_eq!(ask(&host, "m").await, 200);
    assert!(stream("m").await.is_ok());
    assert_eq!(ask(&host, "remembers").await, 200);
    assert_eq!(ask(&host, "fast").await, 200, "the second one answers");
    assert_eq!(ask(&host, "down/fails").await, 502);
    assert_eq!(ask(&host, "down/fails").await, 503, "it is left alone by now");
    // Cut or told of in its last event: the client has it when the host has noted it, or a moment before.
    let _ = stream("cut").await;
    assert_eq!(ask(&host, "limits").await, 429);
    assert_eq!(host.get("/api/nothing").await.status, 404);
    let is_noted = async || scrape(&host).await.contains("outcome=\"cut\"} 1").then_some(());
    eventually("the cut stream to be noted", is_noted).await;

    let scrapes = parsed(&[scrape(&host).await]).await;
    host.stop().await;
    for told in scrapes.iter().flatten() {
        requests_are_told(told);
        models_are_told(told);
        states_are_told(told);
        the_host_is_told(told);
    }
}

fn requests_are_told(told: &Scrape) {
    const REQUESTS: &str = "patchbay_requests_total";
    told.is(REQUESTS, "counter");
    for (provider, outcome, count) in [
        ("up", "answered", 4.0),
        ("up", "failed", 1.0),
        ("up", "cut", 1.0),
        ("down", "failed", 1.0),
        ("", "failed", 1.0),
    ] {
        told.says(REQUESTS, &[("route", CHAT), ("provider", provider), ("outcome", outcome)], count);
    }
    told.says(REQUESTS, &[("route", CHAT)], 8.0);
    told.is("patchbay_errors_total", "counter");
    for (route, provider, code) in [
        (CHAT, "up", "rate_limited"),
        (CHAT, "up", "broken_stream"),
        (CHAT, "down", "provider"),
        (CHAT, "", "no_providers_available"),
        ("other", "", "not_found"),
    ] {
        let labels = [("route", route), ("provider", provider), ("code", code)];
        told.says("patchbay_errors_total", &labels, 1.0);
    }
    // One before its status was sent, by the chain's first.
    told.says("patchbay_provider_attempts_total", &[("provider", "down"), ("result", "provider")], 2.0);
    told.says("patchbay_provider_attempts_total", &[("provider", "up"), ("result", "answered")], 5.0);
    told.is("patchbay_http_responses_total", "counter");
    told.says("patchbay_http_responses_total", &[("class", "5xx")], 2.0);
    told.says("patchbay_http_responses_total", &[("class", "4xx")], 2.0);
    let up = [("route", CHAT), ("provider", "up")];
    for (name, labels, count) in [
        ("patchbay_request_duration_seconds", &up[..], 6.0),
        ("patchbay_time_to_first_token_seconds", &up, 2.0),
        ("patchbay_overhead_seconds", &up[..1], 4.0),
        ("patchbay_provider_attempt_duration_seconds", &up[1..], 6.0),
    ] {
        told.is(name, "histogram");
        told.says(&format!("{name}_count"), labels, count);
        assert!(told.sum(&format!("{name}_sum"), labels) > 0.0, "{name}");
    }
    // Nobody takes longer for the first words than for all of them.
    let sum = |name: &str| told.sum(&format!("patchbay_{name}_seconds_sum"), &up);
    assert!(sum("time_to_first_token") < sum("request_duration"));
}

fn models_are_told(told: &Scrape) {
    for name in ["patchbay_model_requests_total", "patchbay_tokens_total", "patchbay_cost_dollars_total"] {
        told.is(name, "counter");
    }
    let m = [("provider", "up"), ("model", "m")];
    told.says("patchbay_model_requests_total", &m, 3.0);
    told.says("patchbay_tokens_total", &[m[0], m[1], ("kind", "prompt")], 3.0);
    told.says("patchbay_tokens_total", &[m[0], m[1], ("kind", "completion")], 9.0);
    // One at a dollar, and three at a tenth of one, for a million each; three times.
    told.says("patchbay_cost_dollars_total", &[("provider", "up")], 0.000_003_9);
    let remembers = [("provider", "up"), ("model", "remembers")];
    for (kind, count) in [("cached_prompt", 1000.0), ("cache_write", 200.0), ("reasoning", 500.0)] {
        let labels = [remembers[0], remembers[1], ("kind", kind)];
        told.says("patchbay_token_details_total", &labels, count);
    }
    told.says("patchbay_tokens_total", &remembers, 1801.0);
}

fn states_are_told(told: &Scrape) {
    for (name, provider, state, value) in [
        ("patchbay_provider_breaker_state", "down", ("state", "open"), 1.0),
        ("patchbay_provider_breaker_state", "down", ("state", "closed"), 0.0),
        ("patchbay_provider_breaker_state", "up", ("state", "closed"), 1.0),
        ("patchbay_provider_condition", "down", ("condition", "unavailable"), 1.0),
        ("patchbay_provider_condition", "up", ("condition", "busy"), 1.0),
    ] {
        told.is(name, "gauge");
        told.says(name, &[("provider", provider), state], value);
    }
    for (name, kind, provider, value) in [
        ("patchbay_provider_breaker_openings_total", "counter", "down", 1.0),
        ("patchbay_provider_breaker_openings_total", "counter", "up", 0.0),
        ("patchbay_provider_keys", "gauge", "up", 1.0),
        ("patchbay_provider_keys_resting", "gauge", "up", 1.0),
        ("patchbay_provider_key_rests_total", "counter", "up", 1.0),
        ("patchbay_provider_requests_in_flight", "gauge", "up", 0.0),
        ("patchbay_provider_models", "gauge", "up", 5.0),
    ] {
        told.is(name, kind);
        told.says(name, &[("provider", provider)], value);
    }
    told.says("patchbay_provider_info", &[("provider", "up"), ("plugin", "openai-compatible")], 1.0);
}

fn the_host_is_told(told: &Scrape) {
    let plugin = ("plugin", "openai-compatible");
    told.says("patchbay_plugin_generations", &[plugin, ("state", "active")], 1.0);
    told.says("patchbay_plugin_generation", &[plugin], 1.0);
    told.is("patchbay_plugin_cpu_seconds_total", "counter");
    assert!(told.sum("patchbay_plugin_cpu_seconds_total", &[plugin]) > 0.0, "its library was opened");
    told.says("patchbay_reloads_total", &[("status", "ok")], 1.0);
    told.says("patchbay_reloads_total", &[], 1.0);
    told.says("patchbay_config_generation", &[], 1.0);
    told.says("patchbay_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    // The connection and the request that this was told over.
    told.says("patchbay_requests_in_flight", &[], 1.0);
    told.says("patchbay_streams_open", &[], 0.0);
    for (name, kind) in [
        ("patchbay_connections_open", "gauge"),
        ("patchbay_uptime_seconds", "gauge"),
        ("patchbay_last_reload_duration_seconds", "gauge"),
        ("patchbay_last_successful_reload_timestamp_seconds", "gauge"),
        ("patchbay_runtime_workers", "gauge"),
        ("patchbay_runtime_tasks", "gauge"),
        ("patchbay_runtime_busy_seconds_total", "counter"),
        ("process_cpu_seconds_total", "counter"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_threads", "gauge"),
        ("process_open_fds", "gauge"),
        ("process_max_fds", "gauge"),
    ] {
        told.is(name, kind);
        assert!(told.sum(name, &[]) > 0.0, "{name}");
    }
    told.is("patchbay_runtime_queue_depth", "gauge");
    told.is("patchbay_usage_queue_depth", "gauge");
    told.is("patchbay_usage_records_total", "counter");
    told.says("patchbay_usage_records_total", &[("result", "dropped")], 0.0);
    assert!(told.sum("process_open_fds", &[]) < told.sum("process_max_fds", &[]));
}

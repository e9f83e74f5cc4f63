//! Whole traces arrive at a receiver that reads them with OpenTelemetry's own messages.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::{Value, json};

use super::collector::Collector;
use super::receiver::Receiver;
use crate::harness::{Host, HostOptions, Mortal, Upstream, libraries};

const PARENT: &str = "b7ad6b7169203331";
const HEADER: &str = "Bearer-of-the-receiver-4711";

/// An upstream with a dialect of its own, and the headers that it was asked with.
fn dialect() -> (Mortal, Arc<Mutex<Vec<HeaderMap>>>) {
    let asked = Arc::<Mutex<Vec<HeaderMap>>>::default();
    let note = Arc::clone(&asked);
    let say = post(async move |headers: HeaderMap, _: Bytes| {
        note.lock().unwrap().push(headers);
        json!({ "said": "something" }).to_string()
    });
    (Mortal::start(Router::new().route("/say", say)), asked)
}

fn providers(upstream: &Upstream, dialect: &Mortal) -> HostOptions {
    let options = HostOptions::default()
        .builtin(&libraries::openai_compatible())
        .custom(&libraries::translator())
        .section("health", json!({ "enabled": false }))
        .section("routing", json!({ "chains": { "pair": ["down/fails", "up/m"] } }));
    let planned = |models: Value| {
        let config = json!({ "base_url": upstream.base_url(), "models": models, "retry_attempts": 0 });
        json!({ "plugin": "openai-compatible", "config": config })
    };
    options
        .entry("up", planned(json!(["m", "cut", "silent", "vectors"])))
        .entry("down", planned(json!(["fails"])))
        .provider("translator", json!({ "base_url": format!("http://{}", dialect.address()) }))
}

/// A trace's id that tells for which case it is.
fn trace_id(case: usize) -> String {
    format!("0af7651916cd43dd8448eb21{case:08x}")
}

fn asking(host: &Host, path: &str, body: &Value, case: usize, flags: &str) -> reqwest::RequestBuilder {
    host.request(reqwest::Method::POST, path)
        .header("content-type", "application/json")
        .header("traceparent", format!("00-{}-{PARENT}-{flags}", trace_id(case)))
        .header("tracestate", "other=note")
        .body(body.to_string())
}

fn chat(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "a-private-question" }] })
}

/// A case: what is asked, and for each span below the request's what is its name, its kind, and what it says.
type Case = (&'static str, Value, Vec<(&'static str, &'static str, Value)>);

fn cases() -> Vec<Case> {
    let served = json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai-compatible", "patchbay.provider": "up",
        "gen_ai.request.model": "m", "gen_ai.response.model": "m", "gen_ai.response.id": "up-1",
        "gen_ai.response.finish_reasons": ["stop"], "server.address": "127.0.0.1", "error.type": null,
    });
    let with = |more: Value| {
        let mut all = served.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    vec![
        ("/v1/chat/completions", chat("up/m", false), vec![("chat m", "CLIENT", served.clone())]),
        ("/api/chat/complete", chat("up/m", false), vec![("chat m", "CLIENT", served.clone())]),
        (
            "/v1/chat/completions",
            chat("up/m", true),
            vec![("chat m", "CLIENT", with(json!({ "gen_ai.request.stream": true })))],
        ),
        (
            "/v1/chat/completions",
            chat("pair", false),
            vec![
                (
                    "chat fails",
                    "CLIENT",
                    json!({ "error.type": "provider", "patchbay.provider": "down", "gen_ai.response.id": null }),
                ),
                ("chat m", "CLIENT", served.clone()),
            ],
        ),
        (
            "/v1/chat/completions",
            chat("up/cut", true),
            vec![(
                "chat cut",
                "CLIENT",
                with(json!({
                    "gen_ai.request.model": "cut", "gen_ai.response.model": "cut", "error.type": "broken_stream",
                    "gen_ai.response.finish_reasons": ["error"], "gen_ai.request.stream": true,
                })),
            )],
        ),
        (
            "/v1/embeddings",
            json!({ "model": "up/vectors", "input": "a-private-question" }),
            vec![(
                "embeddings vectors",
                "CLIENT",
                json!({ "gen_ai.operation.name": "embeddings", "gen_ai.request.model": "vectors" }),
            )],
        ),
        (
            "/v1/chat/completions",
            chat("translator/any", false),
            vec![
                ("chat any", "CLIENT", json!({ "gen_ai.provider.name": "translator", "error.type": null })),
                (
                    "plugin translator",
                    "INTERNAL",
                    json!({
                        "patchbay.plugin.id": "translator", "patchbay.plugin.version": "1.0.0",
                        "patchbay.plugin.generation": 1,
                    }),
                ),
            ],
        ),
        ("/v1/chat/completions", json!({ "messages": 7 }), vec![]),
    ]
}

#[tokio::test]
async fn whole_traces_arrive_at_a_real_receiver() {
    let Some(receiver) = Receiver::start().await else { return };
    let (upstream, (dialect, asked_of_dialect)) = (Upstream::start().await, dialect());
    let headers = json!({ "authorization": HEADER });
    let traces =
        json!({ "otlp_endpoint": receiver.address(), "headers": headers, "service_name": "gateway-7" });
    let options = providers(&upstream, &dialect).section("telemetry", json!({ "traces": traces }));
    let host = Host::start(options.secret(HEADER).secret("a-private-question")).await;
    every_case_is_told(&host, &receiver).await;
    let told: Vec<HeaderMap> = upstream.requests().into_iter().map(|(headers, _)| headers).collect();
    let told: Vec<HeaderMap> = told.into_iter().chain(asked_of_dialect.lock().unwrap().clone()).collect();
    let received = receiver.received().await;
    for headers in &told {
        let parent = headers["traceparent"].to_str().unwrap().to_owned();
        let of_a_span = |span: &Value| {
            let id = |name: &str| span[name].as_str().unwrap().to_owned();
            span["kind"] == "CLIENT" && parent == format!("00-{}-{}-01", id("trace"), id("id"))
        };
        assert!(received["spans"].as_array().unwrap().iter().any(of_a_span), "{parent}\n{received:#}");
        assert_eq!(headers["tracestate"], "other=note");
    }
    assert_eq!(told.len(), 8);
    assert!(!received.to_string().contains("a-private-question"), "{received}");
    for sent in received["headers"].as_array().unwrap() {
        assert_eq!(
            (&sent["authorization"], &sent["content-type"]),
            (&json!(HEADER), &json!("application/x-protobuf"))
        );
    }
    assert!(received["paths"].as_array().unwrap().iter().all(|path| path == "/v1/traces"));
    host.stop().await;
}

/// Asks everything there is, and finds each in a whole trace.
async fn every_case_is_told(host: &Host, receiver: &Receiver) {
    for (case, (path, body, expected)) in cases().iter().enumerate() {
        let request = asking(host, path, body, case, "01");
        // Whole or cut: what it came to is in the trace.
        let status = match host.begin(path, request).await {
            Ok(mut streaming) => {
                while let Ok(Some(_)) = streaming.next().await {}
                200
            }
            Err(refused) => refused.status,
        };
        let trace = receiver.whole_trace(&trace_id(case), expected.len() + 1).await;
        check(&trace, path, status, expected);
    }
}

/// The root is the client's child, everything else is below it and within its time.
#[track_caller]
fn check(trace: &[Value], path: &str, status: u16, expected: &[(&str, &str, Value)]) {
    let (root, spans) = trace.split_first().unwrap();
    assert_eq!((&root["parent"], &root["kind"]), (&json!(PARENT), &json!("SERVER")), "{trace:#?}");
    assert_eq!((&root["name"], &root["state"]), (&json!(format!("POST {path}")), &json!("other=note")));
    assert_eq!(root["resource"]["service.name"], "gateway-7");
    let is_cut = expected.iter().any(|(name, ..)| *name == "chat cut");
    assert_eq!(root["status"], if is_cut { "ERROR" } else { "UNSET" }, "{root:#}");
    let said = &root["attributes"];
    for (name, value) in [
        ("http.request.method", json!("POST")),
        ("http.route", json!(path)),
        ("url.path", json!(path)),
        ("http.response.status_code", json!(status)),
        ("client.address", json!("127.0.0.1")),
    ] {
        assert_eq!(said[name], value, "{name} {root:#}");
    }
    for (span, (name, kind, says)) in spans.iter().zip(expected) {
        assert_eq!((&span["name"], &span["kind"]), (&json!(name), &json!(kind)), "{trace:#?}");
        let parent = if *kind == "INTERNAL" { &spans[0] } else { root };
        assert_eq!(span["parent"], parent["id"], "{trace:#?}");
        let time = |span: &Value, end: &str| span[end].as_u64().unwrap();
        let within =
            time(parent, "began") <= time(span, "began") && time(span, "ended") <= time(parent, "ended");
        assert!(within && time(span, "began") <= time(span, "ended"), "{trace:#?}");
        for (name, value) in says.as_object().unwrap() {
            assert_eq!(span["attributes"].get(name).unwrap_or(&Value::Null), value, "{name} {span:#}");
        }
        let failed = span["attributes"].get("error.type").is_some();
        assert_eq!(span["status"], if failed { "ERROR" } else { "UNSET" }, "{span:#}");
        if says.get("gen_ai.response.finish_reasons") == Some(&json!(["stop"])) {
            assert!(span["attributes"]["gen_ai.usage.input_tokens"].as_u64().is_some(), "{span:#}");
            assert!(span["attributes"]["gen_ai.usage.output_tokens"].as_u64().is_some(), "{span:#}");
        }
    }
}

#[tokio::test]
async fn whole_traces_go_through_a_collector() {
    let Some(receiver) = Receiver::start().await else { return };
    let Some(collector) = Collector::before(&receiver).await else { return };
    let (upstream, (dialect, _)) = (Upstream::start().await, dialect());
    let traces = json!({ "otlp_endpoint": collector.address(), "service_name": "gateway-7" });
    let options = providers(&upstream, &dialect).section("telemetry", json!({ "traces": traces }));
    let host = Host::start(options).await;
    every_case_is_told(&host, &receiver).await;
    host.stop().await;
}

#[tokio::test]
async fn who_leaves_has_a_trace_and_who_keeps_none_has_none() {
    let Some(receiver) = Receiver::start().await else { return };
    let (upstream, (dialect, _)) = (Upstream::start().await, dialect());
    // As other programs are told where traces go.
    let options = providers(&upstream, &dialect)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address())
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        .env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={HEADER}"))
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=not-this")
        .env("OTEL_SERVICE_NAME", "gateway-8")
        .env("OTEL_TRACES_SAMPLER", "parentbased_always_off");
    let host = Host::start(options.secret(HEADER)).await;
    // Who keeps none: neither those who say so, nor those who leave it to the host.
    let path = "/v1/chat/completions";
    assert_eq!(host.answer(path, asking(&host, path, &chat("up/m", false), 1, "00")).await.status, 200);
    assert_eq!(host.post_json(path, &chat("up/m", false)).await.status, 200);
    for (headers, _) in upstream.requests() {
        assert!(headers["traceparent"].to_str().unwrap().ends_with("-00"), "{headers:?}");
    }
    // Who leaves.
    let leaving = tokio::spawn(asking(&host, path, &chat("up/silent", false), 2, "01").send());
    upstream.open_streams(1).await;
    leaving.abort();
    let trace = receiver.whole_trace(&trace_id(2), 2).await;
    assert_eq!(trace[0]["attributes"]["patchbay.outcome"], "abandoned", "{trace:#?}");
    assert_eq!((&trace[0]["status"], &trace[1]["status"]), (&json!("UNSET"), &json!("ERROR")), "{trace:#?}");
    assert_eq!(trace[1]["attributes"]["error.type"], "cancelled", "{trace:#?}");
    // Nothing is left behind when it ends, so what is not there now never will be.
    host.stop().await;
    let received = receiver.received().await;
    let spans = received["spans"].as_array().unwrap();
    assert!(spans.iter().all(|span| span["trace"] == trace_id(2)), "{received:#}");
    let resource = &spans[0]["resource"];
    assert_eq!(
        (&resource["service.name"], &resource["deployment.environment.name"]),
        (&json!("gateway-8"), &json!("test"))
    );
    for sent in received["headers"].as_array().unwrap() {
        assert_eq!(
            (&sent["authorization"], &sent["content-type"]),
            (&json!(HEADER), &json!("application/json"))
        );
    }
}

#[tokio::test]
async fn whom_the_end_of_the_host_cuts_has_a_trace_that_says_so() {
    let Some(receiver) = Receiver::start().await else { return };
    let (upstream, (dialect, _)) = (Upstream::start().await, dialect());
    let options = providers(&upstream, &dialect)
        .section("telemetry", json!({ "traces": { "otlp_endpoint": receiver.address() } }));
    let host = Host::start(options.argument("--drain-timeout").argument("0")).await;
    let path = "/v1/chat/completions";
    let waiting = host.answer(path, asking(&host, path, &chat("up/silent", false), 3, "01"));
    let ending = async {
        upstream.open_streams(1).await;
        host.signal(libc::SIGTERM);
    };
    let (answer, ()) = tokio::join!(waiting, ending);
    assert_eq!(answer.status, 503, "{}", answer.body);
    host.ends_with(1).await;
    let trace = receiver.whole_trace(&trace_id(3), 2).await;
    assert_eq!(trace[0]["attributes"]["patchbay.outcome"], "failed", "{trace:#?}");
    for span in &trace {
        assert_eq!(
            (&span["status"], &span["attributes"]["error.type"]),
            (&json!("ERROR"), &json!("shutting_down"))
        );
    }
}

#[tokio::test]
async fn what_was_not_sent_yet_is_sent_at_the_end() {
    let Some(receiver) = Receiver::start().await else { return };
    let (upstream, (dialect, _)) = (Upstream::start().await, dialect());
    let options = providers(&upstream, &dialect)
        .section("telemetry", json!({ "traces": { "otlp_endpoint": receiver.address() } }));
    let host = Host::start(options).await;
    let path = "/v1/chat/completions";
    for case in 0..5 {
        assert_eq!(
            host.answer(path, asking(&host, path, &chat("up/m", false), case, "01")).await.status,
            200
        );
    }
    host.stop().await;
    for case in 0..5 {
        assert_eq!(receiver.trace(&trace_id(case)).await.len(), 2);
    }
}

//! The whole of it over a socket: what a client sends, and every byte it gets.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::access::KeyBook;
use crate::accounts::{Bookkeeper, Books, Record};
use crate::config::{BreakerSettings, MetricsSettings, ServerSettings};
use crate::plugins::Manager;
use crate::providers::Registry;
use crate::services::http::HttpClient;
use crate::telemetry::metrics::Metrics;
use crate::testing::{self, Step, Upstream};

const HELLO: &str = r#"{"messages":[{"role":"user","content":"hello"}]}"#;

// What is written down of it all.
mod books;
// What it may cost.
mod budgets;
// And counted.
mod metrics;

struct Host {
    address: std::net::SocketAddr,
    /// The requests that are over.
    records: mpsc::Receiver<Record>,
    readiness: Readiness,
    shutdown: CancellationToken,
}

struct Told(mpsc::Sender<Record>);

impl Bookkeeper for Told {
    fn note(&self, record: &Record) {
        // A test that does not ask has dropped the other end.
        let _ = self.0.try_send(record.clone());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Host {
    /// A host in front of these upstreams: providers `p0`, `p1`, ... in this order.
    async fn of(upstreams: &[&Upstream]) -> Self {
        let providers = upstreams.iter().enumerate().map(|(index, upstream)| {
            let mut settings = testing::settings(&format!("p{index}"));
            settings.priority = i32::try_from(index).unwrap();
            let provider = testing::provider(settings, Some(testing::plan(&upstream.url)));
            // How often one fails here says nothing.
            let patient = BreakerSettings { failures: u32::MAX, ..BreakerSettings::default() };
            provider.standing.breaker.configure(&patient);
            provider
        });
        let registry = Arc::new(Registry::default());
        registry.publish(|| testing::snapshot(providers.collect()));
        Self::serving(registry).await
    }

    /// A host in front of these providers.
    async fn serving(registry: Arc<Registry>) -> Self {
        let settings = ServerSettings {
            host: "127.0.0.1".to_owned(),
            port: 0,
            open: false,
            max_body_bytes: 2000,
            keep_alive: Duration::from_secs(15),
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            admin_token: None,
        };
        let readiness = Readiness::default();
        let (told, records) = mpsc::channel(100);
        let metrics = Arc::new(Metrics::new(asking_paths(), &MetricsSettings::default()));
        let books = Arc::new(Books::of(vec![Box::new(Arc::clone(&metrics)), Box::new(Told(told))]));
        let server = Server::bind(("127.0.0.1", 0)).await.unwrap().with_books(Arc::clone(&books));
        let counts = Counts { metrics, books, connections: server.connections() };
        let keys = crate::access::testing::book(Vec::new());
        let parts = Parts { readiness: readiness.clone(), counts, ..Parts::of(registry, keys) };
        let state = AppState::new(&settings, parts);
        let address = server.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(server.run(router(state), shutdown.clone(), Duration::from_secs(5)));
        Self { address, records, readiness, shutdown }
    }

    async fn connect(&self, request: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        socket
    }

    /// Sends bytes and reads to the end of the connection.
    async fn raw(&self, request: &str) -> String {
        let mut socket = self.connect(request).await;
        let mut answer = Vec::new();
        // A connection that is cut may be reset; what came before counts all the same.
        let _ = socket.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn send(&self, method: &str, path: &str, lines: &str, body: &str) -> Got {
        Got::parse(&self.raw(&request(method, path, lines, body)).await)
    }

    async fn post(&self, path: &str, body: &str) -> Got {
        self.send("POST", path, "content-type: application/json\r\n", body).await
    }
}

fn request(method: &str, path: &str, lines: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}content-length: {length}\r\n\r\n{body}"
    )
}

impl Parts {
    /// All that tests of routes do without stands apart, and does nothing.
    pub(super) fn of(registry: Arc<Registry>, keys: Arc<KeyBook>) -> Self {
        let manager = Manager::detached();
        let trail = crate::access::testing::trail(manager.events());
        Self {
            registry,
            http: HttpClient::default(),
            manager,
            keys,
            trail,
            usage: crate::usage::testing::book(),
            readiness: Readiness::default(),
            counts: Counts::of_nobody(),
        }
    }
}

/// An answer, taken apart.
#[derive(Debug)]
struct Got {
    status: u16,
    head: String,
    body: String,
    /// Whether the body came to its announced end.
    whole: bool,
}

impl Got {
    fn parse(raw: &str) -> Self {
        let (head, mut rest) = raw.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {raw:?}"));
        let head = head.to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if !head.contains("transfer-encoding: chunked") {
            return Self { status, head, body: rest.to_owned(), whole: true };
        }
        let (mut body, mut whole) = (String::new(), false);
        while let Some((size, data)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            whole = size == 0;
            let Some(piece) = data.get(..size) else { break };
            body.push_str(piece);
            rest = data.get(size + 2..).unwrap_or_default();
        }
        Self { status, head, body, whole }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Checks what every error has to have, and gives its code and details.
    fn error(&self) -> (u16, String, String) {
        let json = self.json();
        let text =
            |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
        assert!(!text("error").is_empty());
        assert!(humantime::parse_rfc3339(&text("timestamp")).is_ok());
        assert_eq!(Some(text("request_id").to_ascii_lowercase().as_str()), self.header("x-request-id"));
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        assert!(!self.body.contains("sk-test"), "{self:?}");
        (self.status, text("code"), text("details"))
    }
}

async fn good() -> Upstream {
    let (one, two) = (testing::chunk("Hel"), testing::chunk("lo \"é\"\n"));
    Upstream::streaming(&[&one, &two, &testing::last_chunk(), "[DONE]"], true).await
}

#[tokio::test]
async fn text_comes_as_it_is_generated() {
    let upstream = good().await;
    let got = Host::of(&[&upstream]).await.post("/api/chat", HELLO).await;
    assert_eq!((got.status, got.body.as_str(), got.whole), (200, "Hello \"é\"\n", true));
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("x-patchbay-provider", "p0"),
        ("x-patchbay-model", "m-1"),
        ("x-patchbay-attempts", "1"),
    ] {
        assert_eq!(got.header(name), Some(value));
    }
    let seen = upstream.seen().remove(0);
    assert!(seen.contains(r#""model":"m-1","temperature":0.7,"max_tokens":1000,"stream":true"#), "{seen}");
}

#[tokio::test]
async fn the_first_token_is_not_held_back() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
    let event = format!("data: {}\n\n", testing::chunk("first")).into_bytes();
    let upstream = Upstream::script(vec![Step::Send(head), Step::Send(event), Step::Hang]).await;
    let host = Host::of(&[&upstream]).await;
    let mut socket =
        host.connect(&request("POST", "/api/chat", "content-type: application/json\r\n", HELLO)).await;
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("first") {
        let read = tokio::time::timeout(Duration::from_secs(2), socket.read_buf(&mut seen)).await;
        assert_ne!(read.unwrap().unwrap(), 0);
    }
    // And who leaves costs nothing more.
    drop(socket);
    assert!(upstream.left_alone().await);
}

#[tokio::test]
async fn who_leaves_before_the_first_token_cancels_too() {
    let upstream = Upstream::script(vec![Step::Hang]).await;
    let host = Host::of(&[&upstream]).await;
    let socket =
        host.connect(&request("POST", "/api/chat", "content-type: application/json\r\n", HELLO)).await;
    assert!(testing::eventually(|| upstream.is_asked()).await);
    drop(socket);
    assert!(upstream.left_alone().await);
}

/// Upstreams that break off: one goes away, the other says that it fails in the same breath as its words.
async fn breaking_off() -> [Upstream; 2] {
    let event = format!("data: {}\n\n", testing::chunk("cut he"));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n";
    let error = "data: {\"error\":{\"code\":502,\"message\":\"lost\"}}\n\n";
    [
        Upstream::script(vec![Step::Send(format!("{head}{event}").into_bytes())]).await,
        Upstream::script(vec![Step::Send(format!("{head}{event}{error}").into_bytes())]).await,
    ]
}

#[tokio::test]
async fn a_cut_answer_is_flushed_and_never_looks_whole() {
    for (upstream, code) in breaking_off().await.iter().zip(["broken_stream", "provider"]) {
        let host = Host::of(&[upstream]).await;
        for _ in 0..20 {
            let got = host.post("/api/chat", HELLO).await;
            assert_eq!((got.status, got.body.as_str(), got.whole), (200, "cut he", false));
        }
        let lines = "content-type: application/json\r\naccept: text/event-stream\r\n";
        let got = host.send("POST", "/api/chat", lines, HELLO).await;
        assert!(got.whole);
        let (message, error) = got.body.split_once("event: error\ndata: ").unwrap();
        assert_eq!(message, "event: message\ndata: {\"content\":\"cut he\"}\n\n");
        let error: Value = serde_json::from_str(error.trim()).unwrap();
        assert_eq!(error["code"], code);
        assert_eq!(error["request_id"].as_str(), got.header("x-request-id"));
    }
}

#[tokio::test]
async fn a_cut_answer_is_flushed_to_slow_readers() {
    let long = testing::chunk(&"long ".repeat(400_000));
    let upstream = Upstream::streaming(&[&long, r#"{"error":"lost"}"#], true).await;
    let host = Host::of(&[&upstream]).await;
    let mut socket =
        host.connect(&request("POST", "/api/chat", "content-type: application/json\r\n", HELLO)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut raw = Vec::new();
    let _ = socket.read_to_end(&mut raw).await;
    let got = Got::parse(std::str::from_utf8(&raw).unwrap());
    assert_eq!((got.body.len(), got.whole), (2_000_000, false));
}

#[tokio::test]
async fn a_cut_answer_is_flushed_over_http2_too() {
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    for upstream in &breaking_off().await {
        let host = Host::of(&[upstream]).await;
        for _ in 0..20 {
            let url = format!("http://{}/api/chat", host.address);
            let request = client.post(url).header("content-type", "application/json").body(HELLO);
            let mut response = request.send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.chunk().await.unwrap().unwrap(), "cut he");
            assert!(response.chunk().await.is_err());
        }
    }
}

#[tokio::test]
async fn http_1_0_gets_a_whole_answer_or_an_error() {
    let old = |lines: &str| {
        let length = HELLO.len();
        format!(
            "POST /api/chat HTTP/1.0\r\ncontent-type: application/json\r\n{lines}content-length: {length}\r\n\r\n{HELLO}"
        )
    };
    let upstream = good().await;
    let got = Got::parse(&Host::of(&[&upstream]).await.raw(&old("")).await);
    assert_eq!((got.status, got.body.as_str()), (200, "Hello \"é\"\n"));
    assert_eq!(got.header("content-length"), Some("11"));

    let cut = Upstream::streaming(&[&testing::chunk("cut he")], false).await;
    let got = Got::parse(&Host::of(&[&cut]).await.raw(&old("")).await);
    assert_eq!(got.error().1, "broken_stream");
    assert_eq!(got.status, 502);
}

#[tokio::test]
async fn http_1_0_gets_openais_chunks_whole_or_an_error() {
    let body = HELLO.replacen('{', r#"{"stream":true,"#, 1);
    let old = format!(
        "POST /v1/chat/completions HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let got = Got::parse(&Host::of(&[&good().await]).await.raw(&old).await);
    assert_eq!(got.status, 200);
    assert!(got.body.starts_with("data: {") && got.body.ends_with("}\n\ndata: [DONE]\n\n"), "{got:?}");

    let cut = Upstream::streaming(&[&testing::chunk("cut he")], false).await;
    let got = Got::parse(&Host::of(&[&cut]).await.raw(&old).await);
    let json = got.json();
    assert_eq!((got.status, &json["error"]["code"]), (502, &Value::from("broken_stream")), "{got:?}");
}

#[tokio::test]
async fn events_on_request() {
    let upstream = good().await;
    let lines = "content-type: application/json\r\naccept: application/json, text/event-stream;q=0.9\r\n";
    let got = Host::of(&[&upstream]).await.send("POST", "/api/chat", lines, HELLO).await;
    assert_eq!((got.header("content-type"), got.whole), (Some("text/event-stream"), true));
    assert_eq!(
        got.body,
        "event: message\ndata: {\"content\":\"Hel\"}\n\n\
         event: message\ndata: {\"content\":\"lo \\\"é\\\"\\n\"}\n\n\
         event: done\ndata: {\"provider\":\"p0\",\"model\":\"m-1\",\"usage\":{\"prompt_tokens\":3,\
         \"completion_tokens\":2,\"total_tokens\":5},\"finish_reason\":\"stop\",\"cost_usd\":null}\n\n"
    );
}

#[tokio::test]
async fn the_next_provider_takes_over_unseen() {
    let (bad, good) = (Upstream::answering(500, "text/plain", "down").await, good().await);
    let host = Host::of(&[&bad, &good]).await;
    let got = host.post("/api/chat", HELLO).await;
    assert_eq!((got.status, got.body.as_str()), (200, "Hello \"é\"\n"));
    assert_eq!(
        (got.header("x-patchbay-provider"), got.header("x-patchbay-attempts")),
        (Some("p1"), Some("2"))
    );

    let health = host.send("GET", "/api/health", "", "").await;
    assert_eq!((health.status, &health.json()["status"]), (200, &"degraded".into()));
    assert_eq!(health.json()["providers"], serde_json::json!({"p0": "degraded", "p1": "available"}));
    let list = host.send("GET", "/api/providers", "", "").await.json();
    assert_eq!((&list["total_count"], &list["healthy_count"]), (&2.into(), &2.into()));
    assert_eq!(list["providers"][0]["errors_total"], 1);
    assert_eq!(list["providers"][1]["api_keys_count"], 1);
}

#[tokio::test]
async fn whole_answers_as_json() {
    let upstream = Upstream::answering(200, "application/json", testing::whole_answer("hi")).await;
    let host = Host::of(&[&upstream]).await;
    let got = host.post("/api/chat/complete", HELLO).await;
    let mut json = got.json();
    assert!(json["latency_ms"].take().is_u64());
    assert_eq!(
        json,
        serde_json::json!({"response": "hi", "role": "assistant", "provider": "p0", "model": "m-1",
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, "finish_reason": "stop",
            "cost_usd": null, "latency_ms": null,
            "metadata": {"response_id": "w1", "created": "1970-01-01T00:00:07.000Z"}})
    );
    assert_eq!(got.header("x-patchbay-provider"), Some("p0"));
    let body = HELLO.replacen('{', r#"{"include_raw":true,"#, 1);
    let raw = host.post("/api/chat/complete", &body).await.json()["raw"].take();
    assert_eq!(raw, serde_json::from_str::<Value>(&testing::whole_answer("hi")).unwrap());
}

#[tokio::test]
async fn what_goes_wrong_is_said_in_one_shape() {
    let upstream = Upstream::answering(429, "application/json", r#"{"error":{"message":"slow down"}}"#).await;
    let host = Host::of(&[&upstream]).await;
    let json = "content-type: application/json\r\n";
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(3000));
    let foreign = "content-type: application/json\r\norigin: https://evil.example\r\n";
    for (method, path, lines, body, status, code, words) in [
        ("GET", "/nowhere", "", "", 404, "not_found", "nothing at this path"),
        ("GET", "/api/chat", "", "", 405, "method_not_allowed", "does not take this method"),
        ("DELETE", "/api/plugins", "", "", 405, "method_not_allowed", "does not take this method"),
        ("POST", "/api/chat", json, "{", 400, "invalid_json", "not a JSON object"),
        ("POST", "/api/chat", json, "", 400, "invalid_json", "not a JSON object"),
        ("POST", "/api/chat", json, "{}", 400, "missing_field", "messages is required"),
        ("POST", "/api/chat", json, r#"{"messages":1}"#, 400, "invalid_messages", "Messages must be a list"),
        (
            "POST",
            "/api/chat/complete",
            json,
            r#"{"messages":[{}]}"#,
            400,
            "invalid_messages",
            "messages[0].role",
        ),
        ("POST", "/api/chat", json, &large, 413, "body_too_large", "larger than 2000 bytes"),
        ("POST", "/api/chat", "", HELLO, 415, "unsupported_media_type", "content-type: application/json"),
        ("POST", "/api/plugins/x/reload", "", "a=b", 415, "unsupported_media_type", "as JSON"),
        ("POST", "/api/chat", foreign, HELLO, 403, "forbidden", "other origins"),
        ("POST", "/api/plugins/x/reload", "", "", 404, "plugin_not_found", "\"x\""),
        ("GET", "/api/plugins/x", "", "", 404, "plugin_not_found", "\"x\""),
        // What is no text names nothing.
        ("GET", "/api/plugins/%ff", "", "", 404, "not_found", "at this path"),
        ("GET", "/api/providers/%ff", "", "", 404, "not_found", "at this path"),
        ("GET", "/api/providers/%ff/models", "", "", 404, "not_found", "at this path"),
        ("POST", "/api/providers/%ff/health", "", "", 404, "not_found", "at this path"),
        ("DELETE", "/api/keys/%ff", "", "", 404, "not_found", "at this path"),
        ("POST", "/api/providers/reload?dry_run=perhaps", "", "", 400, "invalid_query", "true or false"),
        ("POST", "/api/providers/reload?dryrun=true", "", "", 400, "invalid_query", "unknown field `dryrun`"),
        (
            "POST",
            "/api/plugins/mock/reload?dry_run=true",
            "",
            "",
            400,
            "invalid_query",
            "unknown field `dry_run`",
        ),
        ("GET", "/api/plugins", "x-forwarded-for: 1.2.3.4\r\n", "", 403, "forbidden", "ADMIN_TOKEN"),
        ("POST", "/api/chat", json, HELLO, 429, "rate_limited", "p0: slow down"),
    ] {
        let got = host.send(method, path, lines, body).await;
        let (was, got_code, details) = got.error();
        assert_eq!((was, got_code.as_str()), (status, code), "{method} {path} {body}");
        assert!(details.contains(words), "{method} {path} {body}: {details}");
        if was == 405 {
            assert!(got.header("allow").is_some(), "{got:?}");
        }
    }
    let body = HELLO.replacen('{', r#"{"provider":"p9","#, 1);
    assert_eq!(host.post("/api/chat", &body).await.error().1, "provider_not_found");
    assert_eq!(Host::of(&[]).await.post("/api/chat", HELLO).await.error().1, "no_providers");
    // A body of unknown size is read no further than its limit.
    let endless = format!(
        "POST /api/chat HTTP/1.1\r\nhost: localhost\r\n{json}transfer-encoding: chunked\r\n\r\nfff\r\n{}\r\n",
        "x".repeat(0xfff)
    );
    assert_eq!(Got::parse(&host.raw(&endless).await).error().0, 413);
}

#[tokio::test]
async fn sane_request_ids_are_kept() {
    let host = Host::of(&[]).await;
    let got = host.send("GET", "/nowhere", "x-request-id: my-id.1\r\n", "").await;
    assert_eq!((got.error().0, got.header("x-request-id")), (404, Some("my-id.1")));
    let got = host.send("GET", "/livez", "x-request-id: a b\r\n", "").await;
    assert!(got.header("x-request-id").unwrap().starts_with("req-"));
}

#[tokio::test]
async fn orchestrators_are_told_the_state() {
    let empty = Host::of(&[]).await;
    empty.readiness.ready();
    let got = empty.send("GET", "/readyz", "", "").await;
    assert_eq!((got.status, got.json()["status"].as_str()), (503, Some("no_providers")));
    let health = empty.send("GET", "/api/health", "", "").await;
    assert_eq!((health.status, health.json()["status"].as_str()), (503, Some("no_providers")));

    let host = Host::of(&[&good().await]).await;
    assert_eq!(host.send("GET", "/livez", "host: any\r\n", "").await.status, 200);
    for (change, status, word) in [
        ((|_| {}) as fn(&Readiness), 503, "starting"),
        (Readiness::ready, 200, "ready"),
        (Readiness::draining, 503, "draining"),
    ] {
        change(&host.readiness);
        let got = host.send("GET", "/readyz", "", "").await;
        assert_eq!((got.status, got.json()["status"].as_str()), (status, Some(word)));
    }
}

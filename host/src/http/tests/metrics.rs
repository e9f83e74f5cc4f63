//! What Prometheus is told of each kind of request.

use super::*;

impl Host {
    async fn scrape(&self) -> String {
        let got = self.send("GET", "/metrics", "", "").await;
        let format = Some("text/plain; version=0.0.4; charset=utf-8");
        assert_eq!((got.status, got.header("content-type")), (200, format), "{}", got.body);
        got.body
    }

    /// Waits until a line is there: the end of a request may be noted after its answer was read.
    async fn tells(&self, line: &str) {
        let mut text = String::new();
        for _ in 0..500 {
            text = self.scrape().await;
            if text.lines().any(|told| told == line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no {line} in\n{text}");
    }
}

const STREAM: &str = r#"{"messages":[{"role":"user","content":"hello"}],"stream":true}"#;

/// What is said of these upstreams after this request, beside what is always said.
async fn check(upstreams: &[Upstream], path: &str, body: &str, lines: &[&str]) {
    let host = Host::of(&upstreams.iter().collect::<Vec<_>>()).await;
    host.post(path, body).await;
    for line in lines {
        host.tells(line).await;
    }
    let of_requests = |line: &&str| {
        ["patchbay_requests_total", "patchbay_errors_total", "patchbay_provider_attempts_total"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let text = host.scrape().await;
    // The scrapes themselves are on no route that is told apart.
    let told = text.lines().filter(of_requests).filter(|line| !line.contains("route=\"other\"")).count();
    assert_eq!(told, lines.iter().copied().filter(of_requests).count(), "nothing else: {text}");
}

#[tokio::test]
async fn every_request_is_counted_as_what_it_was() {
    let failing = || Upstream::answering(500, "text/plain", "down");
    let whole = || Upstream::answering(200, "application/json", testing::whole_answer("hi"));
    check(
        &[whole().await],
        "/v1/chat/completions",
        HELLO,
        &[
            "patchbay_http_responses_total{class=\"5xx\"} 0",
            "patchbay_requests_total{route=\"/v1/chat/completions\",provider=\"p0\",outcome=\"answered\"} 1",
            "patchbay_request_duration_seconds_count{route=\"/v1/chat/completions\",provider=\"p0\"} 1",
            "patchbay_overhead_seconds_count{route=\"/v1/chat/completions\"} 1",
            "patchbay_provider_attempts_total{provider=\"p0\",result=\"answered\"} 1",
            "patchbay_provider_attempt_duration_seconds_count{provider=\"p0\"} 1",
            "patchbay_model_requests_total{provider=\"p0\",model=\"m-1\"} 1",
            "patchbay_tokens_total{provider=\"p0\",model=\"m-1\",kind=\"prompt\"} 3",
            "patchbay_tokens_total{provider=\"p0\",model=\"m-1\",kind=\"completion\"} 2",
            "patchbay_provider_requests_in_flight{provider=\"p0\"} 0",
            "patchbay_streams_open 0",
        ],
    )
    .await;
    check(
        &[good().await],
        "/v1/chat/completions",
        STREAM,
        &[
            "patchbay_requests_total{route=\"/v1/chat/completions\",provider=\"p0\",outcome=\"answered\"} 1",
            "patchbay_time_to_first_token_seconds_count{route=\"/v1/chat/completions\",provider=\"p0\"} 1",
            "patchbay_overhead_seconds_count{route=\"/v1/chat/completions\"} 1",
            "patchbay_provider_attempts_total{provider=\"p0\",result=\"answered\"} 1",
            "patchbay_tokens_total{provider=\"p0\",model=\"m-1\",kind=\"completion\"} 2",
        ],
    )
    .await;
    check(
        &[failing().await, whole().await],
        "/api/chat/complete",
        HELLO,
        &[
            "patchbay_requests_total{route=\"/api/chat/complete\",provider=\"p1\",outcome=\"answered\"} 1",
            "patchbay_provider_attempts_total{provider=\"p0\",result=\"provider\"} 1",
            "patchbay_provider_attempts_total{provider=\"p1\",result=\"answered\"} 1",
        ],
    )
    .await;
    check(
        &[failing().await],
        "/api/chat",
        HELLO,
        &[
            "patchbay_http_responses_total{class=\"5xx\"} 1",
            "patchbay_requests_total{route=\"/api/chat\",provider=\"p0\",outcome=\"failed\"} 1",
            "patchbay_errors_total{route=\"/api/chat\",provider=\"p0\",code=\"provider\"} 1",
            "patchbay_provider_attempts_total{provider=\"p0\",result=\"provider\"} 1",
        ],
    )
    .await;
    check(
        &[],
        "/v1/chat/completions",
        "{",
        &[
            "patchbay_http_responses_total{class=\"4xx\"} 1",
            "patchbay_requests_total{route=\"/v1/chat/completions\",provider=\"\",outcome=\"failed\"} 1",
            "patchbay_errors_total{route=\"/v1/chat/completions\",provider=\"\",code=\"invalid_json\"} 1",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_cut_answer_is_counted_as_one() {
    check(
        &[Upstream::streaming(&[&testing::chunk("Hel")], false).await],
        "/api/chat",
        HELLO,
        &[
            "patchbay_http_responses_total{class=\"5xx\"} 0",
            "patchbay_requests_total{route=\"/api/chat\",provider=\"p0\",outcome=\"cut\"} 1",
            "patchbay_errors_total{route=\"/api/chat\",provider=\"p0\",code=\"broken_stream\"} 1",
            "patchbay_provider_attempts_total{provider=\"p0\",result=\"answered\"} 1",
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_under_way_is_told_and_who_leaves_is_counted() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
    let event = format!("data: {}\n\n", testing::chunk("first")).into_bytes();
    let upstream = Upstream::script(vec![Step::Send(head), Step::Send(event), Step::Hang]).await;
    let host = Host::of(&[&upstream]).await;
    let mut socket =
        host.connect(&request("POST", "/api/chat", "content-type: application/json\r\n", HELLO)).await;
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("first") {
        assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
    }
    // The one that asks, too.
    for line in [
        "patchbay_streams_open 1",
        "patchbay_requests_in_flight 2",
        "patchbay_connections_open 2",
        "patchbay_provider_requests_in_flight{provider=\"p0\"} 1",
    ] {
        host.tells(line).await;
    }
    drop(socket);
    for line in [
        "patchbay_requests_total{route=\"/api/chat\",provider=\"p0\",outcome=\"abandoned\"} 1",
        "patchbay_streams_open 0",
        "patchbay_requests_in_flight 1",
        "patchbay_connections_open 1",
        "patchbay_provider_requests_in_flight{provider=\"p0\"} 0",
    ] {
        host.tells(line).await;
    }
}

#[tokio::test]
async fn who_was_not_let_in_is_counted_and_anything_else_is_other() {
    let host = Host::of(&[]).await;
    let foreign = "origin: http://evil.example\r\ncontent-type: application/json\r\n";
    host.send("POST", "/api/chat", foreign, HELLO).await;
    for path in 0..50 {
        host.send("GET", &format!("/nothing/{path}"), "", "").await;
    }
    host.tells("patchbay_errors_total{route=\"other\",provider=\"\",code=\"forbidden\"} 1").await;
    host.tells("patchbay_errors_total{route=\"other\",provider=\"\",code=\"not_found\"} 50").await;
    host.tells("patchbay_http_responses_total{class=\"4xx\"} 51").await;
}

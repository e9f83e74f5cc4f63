//! Every request is written down once, when it is over, as what it was.

use patchbay_plugin_api::ErrorKind;

use super::*;
use crate::accounts::Outcome;

impl Host {
    /// The next request that is over.
    async fn told(&mut self) -> Record {
        let told = tokio::time::timeout(Duration::from_secs(10), self.records.recv()).await;
        told.expect("it is over").expect("somebody serves")
    }
}

/// Route, status, outcome, attempts and tokens: what a story is compared by.
type Outline<'r> = (Option<&'r str>, Option<u16>, Outcome, Vec<(&'r str, Option<ErrorKind>)>, Option<u64>);

fn outline(record: &Record) -> Outline<'_> {
    let attempts = record.attempts.iter().map(|attempt| (&*attempt.provider.name, attempt.failed));
    let tokens = record.usage.map(|usage| usage.total_tokens);
    (record.route, record.status, record.outcome, attempts.collect(), tokens)
}

#[tokio::test]
async fn what_came_of_it() {
    const STREAM: &str = r#"{"messages":[{"role":"user","content":"hello"}],"stream":true}"#;
    let failing = || Upstream::answering(500, "text/plain", "down");
    let whole = || Upstream::answering(200, "application/json", testing::whole_answer("hi"));
    let down = ("p0", Some(ErrorKind::Provider));
    for (upstreams, path, body, expected) in [
        (
            vec![whole().await],
            "/v1/chat/completions",
            HELLO,
            (Some(200), Outcome::Answered, vec![("p0", None)], Some(5)),
        ),
        (
            vec![whole().await],
            "/api/chat/complete",
            HELLO,
            (Some(200), Outcome::Answered, vec![("p0", None)], Some(5)),
        ),
        (
            vec![whole().await],
            "/v1/completions",
            r#"{"prompt":"x"}"#,
            (Some(200), Outcome::Answered, vec![("p0", None)], Some(5)),
        ),
        (vec![good().await], "/api/chat", HELLO, (Some(200), Outcome::Answered, vec![("p0", None)], Some(5))),
        (
            vec![good().await],
            "/v1/chat/completions",
            STREAM,
            (Some(200), Outcome::Answered, vec![("p0", None)], Some(5)),
        ),
        (
            vec![failing().await, whole().await],
            "/v1/chat/completions",
            HELLO,
            (Some(200), Outcome::Answered, vec![down, ("p1", None)], Some(5)),
        ),
        (
            vec![failing().await],
            "/v1/chat/completions",
            HELLO,
            (Some(502), Outcome::Failed("provider"), vec![down], None),
        ),
        (vec![], "/v1/chat/completions", HELLO, (Some(503), Outcome::Failed("no_providers"), vec![], None)),
        (
            vec![whole().await],
            "/v1/chat/completions",
            "{",
            (Some(400), Outcome::Failed("invalid_json"), vec![], None),
        ),
    ] {
        let mut host = Host::of(&upstreams.iter().collect::<Vec<_>>()).await;
        host.post(path, body).await;
        let record = host.told().await;
        let (status, outcome, attempts, tokens) = expected;
        assert_eq!(outline(&record), (Some(path), status, outcome, attempts, tokens), "{path} {body}");
        let streamed = path == "/api/chat" || body == STREAM;
        assert_eq!((record.streamed, record.first_token.is_some()), (streamed, streamed), "{path} {body}");
        assert!(record.first_token.is_none_or(|first| first <= record.latency), "{record:?}");
        assert_eq!(record.model.as_deref(), record.usage.map(|_| "m-1"), "{path} {body}");
        assert!(host.records.try_recv().is_err(), "told once");
    }
}

#[tokio::test]
async fn a_cut_answer_is_no_whole_one() {
    let upstream = Upstream::streaming(&[&testing::chunk("Hel")], false).await;
    let mut host = Host::of(&[&upstream]).await;
    assert!(!host.post("/api/chat", HELLO).await.whole);
    let record = host.told().await;
    assert_eq!(record.outcome, Outcome::Cut(ErrorKind::BrokenStream.as_str()));
    assert_eq!((record.status, record.streamed), (Some(200), true));
}

#[tokio::test]
async fn who_leaves_is_written_down_too() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
    let event = format!("data: {}\n\n", testing::chunk("first")).into_bytes();
    for (steps, status) in
        [(vec![Step::Hang], None), (vec![Step::Send(head), Step::Send(event), Step::Hang], Some(200))]
    {
        let upstream = Upstream::script(steps).await;
        let mut host = Host::of(&[&upstream]).await;
        let mut socket =
            host.connect(&request("POST", "/api/chat", "content-type: application/json\r\n", HELLO)).await;
        if status.is_some() {
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains("first") {
                assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
            }
        } else {
            assert!(testing::eventually(|| upstream.is_asked()).await);
        }
        drop(socket);
        let record = host.told().await;
        let expected = (Some("/api/chat"), status, Outcome::Abandoned, vec![("p0", None)], None);
        assert_eq!(outline(&record), expected);
        assert_eq!(record.served_by().map(|settings| &*settings.name), Some("p0"));
    }
}

#[tokio::test]
async fn only_what_asks_providers_has_a_route() {
    let mut host = Host::of(&[]).await;
    for (path, status) in [("/livez", 200), ("/api/health", 503), ("/nothing", 404)] {
        host.send("GET", path, "x-request-id: mine-7\r\n", "").await;
        let record = host.told().await;
        assert_eq!(
            (record.route, record.status, &*record.request_id),
            (None, Some(status), "mine-7"),
            "{path}"
        );
    }
    // Who was not let in asked nobody.
    let foreign = "origin: http://evil.example\r\ncontent-type: application/json\r\n";
    host.send("POST", "/api/chat", foreign, HELLO).await;
    let record = host.told().await;
    assert_eq!((record.route, record.outcome), (None, Outcome::Failed("forbidden")));
}

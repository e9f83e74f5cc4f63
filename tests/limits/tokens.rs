//! Tokens: taken before by an estimate, and settled after by what upstream says.

use super::*;

/// The upstream says of every answer that it took four: a text of one word, with three to be written, is estimated at
/// just so many.
fn four() -> Value {
    json!({ "model": "m", "prompt": "x", "max_tokens": 3 })
}

/// Estimated at six, and four in truth.
fn six() -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 1 })
}

async fn of_four_hundred(host: &Host, path: &str, body: &Value) -> (usize, Vec<Answer>) {
    let asking = (0..40).map(|_| async {
        let mut answers = Vec::new();
        for _ in 0..10 {
            answers.push(host.post_json(path, body).await);
        }
        answers
    });
    let answers: Vec<Answer> = join_all(asking).await.into_iter().flatten().collect();
    let (served, refused): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|it| it.status == 200);
    (served.len(), refused)
}

#[tokio::test]
async fn of_four_hundred_exactly_as_many_as_fit_are_let_in() {
    let upstream = Upstream::start().await;
    let host = start(&upstream, json!({ "tokens_per_minute": 403 }), json!({})).await;
    let began = SystemTime::now();
    let (served, refused) = of_four_hundred(&host, "/v1/completions", &four()).await;
    assert_eq!((served, refused.len(), upstream.requests().len()), (100, 300, 100));
    for answer in &refused {
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (429, &json!("rate_limit_exceeded")));
        assert_eq!(number(answer, "x-ratelimit-limit-tokens"), 403);
        assert_eq!(number(answer, "x-ratelimit-remaining-tokens"), 3);
        let wait = number(answer, "retry-after");
        assert!((1..=60).contains(&wait), "{wait}");
    }
    // In the host's own shape, with the time.
    let refused = host.post_json("/api/chat/complete", &six()).await;
    let (status, code, details) = refused.error();
    assert_eq!((status, code.as_str()), (429, "rate_limit_exceeded"));
    assert!(details.starts_with("No more than 403 tokens in a minute"), "{details}");
    let json = refused.json();
    let time = |name: &str| humantime::parse_rfc3339(json[name].as_str().unwrap()).unwrap();
    let minute = Duration::from_secs(60);
    assert!(time("reset_at") + Duration::from_millis(2) >= began + minute, "{json}");
    assert!(time("reset_at") <= time("timestamp") + minute, "{json}");
    host.stop().await;
}

#[tokio::test]
async fn what_was_estimated_too_high_goes_back() {
    let upstream = Upstream::start().await;
    let host = start(&upstream, json!({ "tokens_per_minute": 400 }), json!({})).await;
    // Forty under way hold back two each that the others could have had.
    let (served, _) = of_four_hundred(&host, "/api/chat/complete", &six()).await;
    assert!((79..=99).contains(&served), "{served}");
    // One by one the rest is filled: the ninety-ninth finds eight.
    let mut last = 0;
    for _ in served..99 {
        let answer = host.post_json("/api/chat/complete", &six()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        last = number(&answer, "x-ratelimit-remaining-tokens");
    }
    assert!(served == 99 || last == 4, "{last}");
    assert_eq!(host.post_json("/api/chat/complete", &six()).await.status, 429);
    // Four more fit, for whoever takes no more.
    assert_eq!(host.post_json("/v1/completions", &four()).await.status, 200);
    let last = host.post_json("/v1/completions", &four()).await;
    assert_eq!((last.status, last.header("x-ratelimit-remaining-tokens")), (429, Some("0")));
    host.stop().await;
}

#[tokio::test]
async fn a_request_that_is_too_large_is_told_so() {
    let upstream = Upstream::start().await;
    let host = start(&upstream, json!({ "tokens_per_minute": 400 }), json!({})).await;
    let refused = host.post_json("/api/chat/complete", &serde_json::from_str(&question("m")).unwrap()).await;
    let (status, code, details) = refused.error();
    assert_eq!((status, code.as_str(), refused.header("retry-after")), (413, "too_many_tokens", None));
    assert!(
        details.contains("may take 1005 tokens, and there are no more than 400 in a minute"),
        "{details}"
    );
    assert_eq!(refused.header("x-ratelimit-remaining-tokens"), Some("400"));
    assert_eq!(host.post_json("/api/chat/complete", &six()).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn streams_settle_at_their_end_and_failures_give_back() {
    let upstream = Upstream::start().await;
    let config = json!({ "base_url": upstream.base_url(), "models": ["m", "gated", "silent", "fails"], "retry_attempts": 0 });
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.section("health", json!({ "enabled": false }));
    let options = options.section("limits", json!({ "tokens_per_minute": 1010 }));
    let entry = json!({ "plugin": "openai-compatible", "config": config });
    let host = Host::start(options.entry("up", entry)).await;
    let left = async || {
        let estimate = host.post_json("/v1/completions", &json!({ "prompt": "x" })).await;
        // A thousand and one is more than is left while something is under way.
        number(&estimate, "x-ratelimit-remaining-tokens")
    };
    let failed =
        host.post_json("/api/chat/complete", &serde_json::from_str(&question("fails")).unwrap()).await;
    assert_eq!((failed.status, failed.header("x-ratelimit-remaining-tokens")), (502, Some("1010")));

    upstream.release(2);
    let stream = host.open("/api/chat", &question("gated")).await;
    assert_eq!(stream.headers["x-ratelimit-remaining-tokens"], "5");
    assert_eq!(left().await, 5);
    upstream.release(20);
    stream.rest().await.unwrap();
    // Four of the stream, and another four of this.
    assert_eq!(left().await, 1002);

    // Nobody says what somebody took who left: so it is what was expected.
    let text =
        json!({ "model": "silent", "max_tokens": 100, "messages": [{ "role": "user", "content": "hi" }] });
    let text = text.to_string();
    let leaving = async {
        upstream.open_streams(1).await;
    };
    tokio::select! {
        _ = host.open("/api/chat", &text) => panic!("nobody answered"),
        () = leaving => {}
    }
    upstream.open_streams(0).await;
    let answer = host.post_json("/api/chat/complete", &six()).await;
    assert_eq!((answer.status, answer.header("x-ratelimit-remaining-tokens")), (200, Some("893")));
    host.stop().await;
}

#[tokio::test]
async fn a_key_has_its_own() {
    let upstream = Upstream::start().await;
    let host = start(&upstream, json!({ "tokens_per_minute": 8 }), json!({})).await;
    let made = async |limits: Value| {
        let made = host.post_json("/api/keys", &json!({ "name": "k", "limits": limits })).await;
        format!("Bearer {}", made.json()["key"].as_str().unwrap())
    };
    let (small, usual) = (made(json!({ "tokens_per_minute": 4 })).await, made(json!({})).await);
    let statuses = async |key: &str, times: usize| {
        let mut statuses = Vec::new();
        for _ in 0..times {
            let request = host.request(reqwest::Method::POST, "/v1/completions").body(four().to_string());
            let request = request.header("content-type", "application/json").header("authorization", key);
            statuses.push(host.answer("/v1/completions", request).await.status);
        }
        statuses
    };
    assert_eq!(statuses(&small, 2).await, [200, 429]);
    assert_eq!(statuses(&usual, 3).await, [200, 200, 429]);
    host.stop().await;
}

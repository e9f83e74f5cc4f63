use bytes::Bytes;

use super::*;
use crate::config::ProviderSettings;
use crate::gateway::answer;
use crate::providers::{Provider, Rules, Snapshot};
use crate::testing::{self, Step, Upstream};

fn provider(upstream: &Upstream, index: usize, change: impl FnOnce(&mut ProviderSettings)) -> Arc<Provider> {
    let mut settings = testing::settings(&format!("p{index}"));
    settings.priority = i32::try_from(index).unwrap();
    change(&mut settings);
    testing::provider(settings, Some(testing::plan(&upstream.url)))
}

fn over(providers: Vec<Arc<Provider>>, rules: Rules) -> Gateway {
    let registry = Arc::new(Registry::default());
    registry.publish(|| Snapshot::new(1, providers, rules));
    Gateway::new(registry, HttpClient::default())
}

fn gateway(upstreams: &[&Upstream]) -> Gateway {
    let providers = upstreams.iter().enumerate().map(|(index, upstream)| provider(upstream, index, |_| ()));
    over(providers.collect(), Rules::default())
}

fn request() -> ChatRequest {
    ChatRequest::parse(&Bytes::from_static(br#"{"messages":[{"role":"user","content":"x"}]}"#)).unwrap()
}

async fn good() -> Upstream {
    Upstream::streaming(&[&testing::chunk("hi"), &testing::last_chunk(), "[DONE]"], true).await
}

async fn streamed(gateway: &Gateway) -> Result<(String, usize, String), String> {
    let mut answer = match gateway.stream(&request(), &"r".into()).await {
        Ok(answer) => answer,
        Err(GatewayError::Failed { last, earlier }) => {
            return Err(format!("{}: {} after {}", last.provider, last.error.kind, earlier.len()));
        }
        Err(error) => return Err(error.to_string()),
    };
    let mut text = String::new();
    while let Some(chunks) = answer.next().await {
        match chunks {
            Ok(chunks) => text.extend(chunks.iter().map(|chunk| answer::text_of(&chunk.json))),
            Err(error) => return Err(format!("{text} then {}", error.kind)),
        }
    }
    Ok((text, answer.served.attempts, answer.provider().name().to_owned()))
}

#[tokio::test]
async fn whoever_fails_before_the_first_content_is_passed_over() {
    let empty_start = r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#;
    for bad in [
        Upstream::answering(500, "text/plain", "down").await,
        Upstream::answering(429, "text/plain", "slow").await,
        Upstream::answering(401, "text/plain", "no").await,
        Upstream::answering(404, "text/plain", "no").await,
        Upstream::streaming(&[], false).await,
        Upstream::streaming(&[empty_start], true).await,
        Upstream::streaming(&[empty_start, "[DONE]"], true).await,
        Upstream::streaming(&["[DONE]"], true).await,
    ] {
        let good = good().await;
        assert_eq!(streamed(&gateway(&[&bad, &good])).await, Ok(("hi".into(), 2, "p1".into())));
    }
}

#[tokio::test]
async fn a_bad_request_is_bad_everywhere() {
    let (bad, good) = (Upstream::answering(400, "text/plain", "no").await, good().await);
    assert_eq!(streamed(&gateway(&[&bad, &good])).await, Err("p0: invalid_input after 0".into()));
    assert_eq!(good.calls(), 0);
}

#[tokio::test]
async fn after_the_first_content_nobody_takes_over() {
    let (cut, good) = (Upstream::streaming(&[&testing::chunk("be")], false).await, good().await);
    assert_eq!(streamed(&gateway(&[&cut, &good])).await, Err("be then broken_stream".into()));
    assert_eq!(good.calls(), 0);
}

#[tokio::test]
async fn nobody_is_asked_twice() {
    let bad = Upstream::answering(503, "text/plain", "down").await;
    let worse = Upstream::answering(502, "text/plain", "down").await;
    assert_eq!(streamed(&gateway(&[&bad, &worse])).await, Err("p1: provider after 1".into()));
    assert_eq!((bad.calls(), worse.calls()), (1, 1));
}

#[tokio::test]
async fn an_answer_of_no_words_that_says_so_is_one() {
    let upstream = Upstream::streaming(&[&testing::last_chunk(), "[DONE]"], true).await;
    assert_eq!(streamed(&gateway(&[&upstream])).await, Ok((String::new(), 1, "p0".into())));
}

#[tokio::test]
async fn whole_answers_fall_over_too() {
    let bad = Upstream::answering(200, "application/json", r#"{"choices":[]}"#).await;
    let good = Upstream::answering(200, "application/json", testing::whole_answer("hi")).await;
    let answer = gateway(&[&bad, &good]).complete(&request(), &"r".into()).await.unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.served.attempts, answer.served.model.as_str()),
        ("hi", 2, "m-1")
    );
    assert_eq!(answer.facts.usage.unwrap().total_tokens, 5);
}

fn keys(settings: &mut ProviderSettings, keys: &[&str]) {
    settings.keys = keys.iter().map(|key| (*key).into()).collect();
}

/// Which keys an upstream was asked with.
fn keys_seen(upstream: &Upstream) -> Vec<String> {
    let key = |request: &String| {
        let line = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
        line.unwrap_or_default().to_owned()
    };
    upstream.seen().iter().map(key).collect()
}

#[tokio::test]
async fn the_next_key_is_tried_before_the_next_provider() {
    for status in ["429 X", "429 X\r\nretry-after: 0", "401 X", "402 X", "403 X"] {
        let status = status.to_owned();
        let upstream = Upstream::by_key("good", testing::whole_answer("hi"), &status).await;
        let other = good().await;
        let three = provider(&upstream, 0, |it| keys(it, &["first", "second", "good"]));
        let gateway = over(vec![Arc::clone(&three), provider(&other, 1, |_| ())], Rules::default());
        let answer = gateway.complete(&request(), &"r".into()).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.served.attempts), ("hi", 3), "{status}");
        // The key that did is kept.
        gateway.complete(&request(), &"r".into()).await.unwrap();
        assert_eq!(keys_seen(&upstream), ["first", "second", "good", "good"], "{status}");
        assert_eq!(three.keys.current(), Some(2), "{status}");
        assert_eq!(other.calls(), 0);
    }
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_where_nobody_else_can() {
    let upstream = Upstream::failing_first(2, testing::whole_answer("hi")).await;
    let gateway = over(vec![provider(&upstream, 0, |it| it.retry_attempts = 3)], Rules::default());
    let answer = gateway.complete(&request(), &"r".into()).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.served.attempts, upstream.calls()), ("hi", 3, 3));
    assert_eq!(
        answer.served.route,
        "p0: priority_first, the only one; p0 failed: provider; p0 failed: provider"
    );
}

#[tokio::test]
async fn others_come_before_a_second_try() {
    let (bad, other) = (Upstream::failing_first(9, String::new()).await, good().await);
    let first = provider(&bad, 0, |it| it.retry_attempts = 3);
    let gateway = over(vec![first, provider(&other, 1, |_| ())], Rules::default());
    assert_eq!(streamed(&gateway).await, Ok(("hi".into(), 2, "p1".into())));
    assert_eq!(bad.calls(), 1);
}

#[tokio::test]
async fn what_does_not_pass_is_not_tried_again() {
    for (status, calls) in [(400, 1), (404, 1), (403, 1), (500, 3)] {
        let upstream = Upstream::answering(status, "text/plain", "no").await;
        let gateway = over(vec![provider(&upstream, 0, |it| it.retry_attempts = 2)], Rules::default());
        assert!(streamed(&gateway).await.is_err());
        assert_eq!(upstream.calls(), calls, "{status}");
    }
}

#[tokio::test]
async fn an_outage_is_not_multiplied() {
    let upstream = Upstream::answering(500, "text/plain", "no").await;
    let mut rules = Rules::default();
    (rules.routing.breaker.failures, rules.routing.retries.budget) = (10_000, 0.0);
    let down = provider(&upstream, 0, |it| it.retry_attempts = 3);
    down.standing.breaker.configure(&rules.routing.breaker);
    let gateway = over(vec![down], rules);
    for _ in 0..10 {
        assert!(streamed(&gateway).await.is_err());
    }
    assert_eq!(upstream.calls(), 10 + 10, "the tries it begins with, and none after them");
}

#[tokio::test]
async fn a_short_rest_is_waited_for_and_a_long_one_is_not() {
    let limited = |seconds: u64| format!("429 X\r\nretry-after: {seconds}");
    let upstream = Upstream::failing_first_with(1, &limited(1), testing::whole_answer("hi")).await;
    let gateway = over(vec![provider(&upstream, 0, |it| it.retry_attempts = 1)], Rules::default());
    let began = Instant::now();
    let answer = gateway.complete(&request(), &"r".into()).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.served.attempts), ("hi", 2));
    assert!(began.elapsed() >= std::time::Duration::from_secs(1), "upstream asked to be left alone");

    let upstream = Upstream::failing_first_with(1, &limited(3600), testing::whole_answer("hi")).await;
    let gateway = over(vec![provider(&upstream, 0, |it| it.retry_attempts = 1)], Rules::default());
    let error = streamed(&gateway).await;
    assert_eq!(error, Err("p0: rate_limited after 0".into()));
    // The next one is told without upstream being asked.
    let Err(GatewayError::Select(SelectError::NothingAvailable { passed })) =
        gateway.stream(&request(), &"r".into()).await
    else {
        panic!("somebody was asked")
    };
    assert!(passed[0].is_limited() && passed[0].wait().unwrap().as_secs() > 3000);
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn without_fallback_nobody_takes_over() {
    let (bad, other) = (Upstream::answering(500, "text/plain", "no").await, good().await);
    let mut rules = Rules::default();
    rules.routing.fallback = false;
    let gateway = over(vec![provider(&bad, 0, |_| ()), provider(&other, 1, |_| ())], rules);
    assert_eq!(streamed(&gateway).await, Err("p0: provider after 0".into()));
    assert_eq!(other.calls(), 0);
}

#[tokio::test]
async fn second_tries_end_at_the_deadline() {
    let (bad, hanging) =
        (Upstream::answering(500, "text/plain", "no").await, Upstream::script(vec![Step::Hang]).await);
    let mut rules = Rules::default();
    rules.routing.retries.deadline = std::time::Duration::from_millis(300);
    let gateway = over(vec![provider(&bad, 0, |_| ()), provider(&hanging, 1, |_| ())], rules);
    let Err(GatewayError::Failed { last, earlier }) = gateway.complete(&request(), &"r".into()).await else {
        panic!("somebody answered")
    };
    assert_eq!(last.error.message, "no answer within 300ms, all tries together");
    assert_eq!((last.error.kind, earlier.len()), (patchbay_plugin_api::ErrorKind::TimedOut, 1));
    assert!(hanging.left_alone().await);
}

#[tokio::test]
async fn who_is_left_alone_is_passed_over_and_said_so() {
    let (bad, other) = (Upstream::answering(500, "text/plain", "no").await, good().await);
    let gateway = over(vec![provider(&bad, 0, |_| ()), provider(&other, 1, |_| ())], Rules::default());
    for _ in 0..5 {
        assert_eq!(streamed(&gateway).await, Ok(("hi".into(), 2, "p1".into())));
    }
    let answer = gateway.stream(&request(), &"r".into()).await.unwrap();
    assert_eq!((answer.served.attempts, bad.calls()), (1, 5));
    let route = &answer.served.route;
    assert!(
        route.starts_with("p1: priority_first of 2; p0: it failed too often and is left alone for"),
        "{route}"
    );
}

#[tokio::test]
async fn a_wait_that_no_clock_can_count_is_no_trouble() {
    for status in ["503 X", "429 X"] {
        let refusal = format!("{status}\r\nretry-after: 10000000000000000000");
        let upstream = Upstream::failing_first_with(9, &refusal, String::new()).await;
        let gateway = over(vec![provider(&upstream, 0, |it| it.retry_attempts = 3)], Rules::default());
        assert!(streamed(&gateway).await.is_err());
        assert_eq!(upstream.calls(), 1, "nobody waits for so long");
    }
}

#[tokio::test]
async fn without_fallback_nobody_is_waited_for_but_who_failed() {
    let (resting, bad) = (good().await, Upstream::answering(500, "text/plain", "no").await);
    let mut rules = Rules::default();
    rules.routing.fallback = false;
    let first = provider(&resting, 0, |it| it.retry_attempts = 3);
    let limited = ProviderError::new(patchbay_plugin_api::ErrorKind::RateLimited, "slow");
    first.admit(Instant::now(), Default::default).unwrap().fail_for_test(&limited);
    let gateway = over(vec![first, provider(&bad, 1, |_| ())], rules);
    assert_eq!(streamed(&gateway).await, Err("p1: provider after 0".into()));
    assert_eq!(resting.calls(), 0);
}

#[tokio::test]
async fn once_the_time_is_over_nobody_is_asked_any_more() {
    let (hanging, other) = (Upstream::script(vec![Step::Hang]).await, good().await);
    let mut rules = Rules::default();
    rules.routing.retries.deadline = std::time::Duration::from_millis(50);
    let slow = provider(&hanging, 0, |it| it.timeout = std::time::Duration::from_millis(100));
    let second = provider(&other, 1, |_| ());
    let gateway = over(vec![slow, Arc::clone(&second)], rules);
    assert_eq!(streamed(&gateway).await, Err("p0: timed_out after 0".into()));
    assert_eq!(second.counters.requests.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_a_failure_of_who_gave_it() {
    let odd = Upstream::answering(200, "application/json", r#"{"choices":[{"message":5}]}"#).await;
    let provider = provider(&odd, 0, |_| ());
    let gateway = over(vec![Arc::clone(&provider)], Rules::default());
    for _ in 0..5 {
        assert!(gateway.complete(&request(), &"r".into()).await.is_err());
    }
    assert!(provider.refuses(Instant::now()).is_some(), "five failures in a row");
}

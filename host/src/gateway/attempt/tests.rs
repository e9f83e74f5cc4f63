use bytes::Bytes;

use super::*;
use crate::providers::Snapshot;
use crate::testing::{self, Upstream};

fn gateway(upstreams: &[&Upstream]) -> Gateway {
    let providers = upstreams.iter().enumerate().map(|(index, upstream)| {
        let mut settings = testing::settings(&format!("p{index}"));
        settings.priority = i32::try_from(index).unwrap();
        testing::provider(settings, Some(testing::plan(&upstream.url)))
    });
    let registry = Arc::new(Registry::default());
    registry.publish(Snapshot::new(1, providers.collect()));
    Gateway::new(registry, HttpClient::default())
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
    Ok((text, answer.attempts, answer.provider().name().to_owned()))
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
    assert_eq!((answer.text.as_str(), answer.attempts, answer.model.as_str()), ("hi", 2, "m-1"));
    assert_eq!(answer.facts.usage.unwrap().total_tokens, 5);
}

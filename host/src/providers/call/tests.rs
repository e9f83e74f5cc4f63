use std::time::Duration;

use patchbay_plugin_api::plan::Endpoint;
use tokio::time::Instant;

use super::*;
use crate::config::ProviderSettings;
use crate::plugins::Features;
use crate::providers::Condition;
use crate::testing::{self, Step, Upstream};

fn context() -> CallContext {
    CallContext { http: HttpClient::default(), request_id: "r-1".into(), trace: None, hops: Hops::default() }
}

fn body(json: &'static str) -> Members {
    Members::parse(&Bytes::from_static(json.as_bytes())).unwrap()
}

fn asking(upstream: &Upstream, change: impl FnOnce(&mut ProviderSettings)) -> Arc<Provider> {
    let mut settings = testing::settings("p");
    change(&mut settings);
    testing::provider(settings, Some(testing::plan(&upstream.url)))
}

fn admitted(provider: &Arc<Provider>) -> Admission {
    provider.admit(Instant::now(), Default::default).unwrap()
}

async fn texts(provider: &Arc<Provider>) -> (Vec<Bytes>, Option<ProviderError>) {
    let mut stream = match admitted(provider).stream(Surface::Chat, body("{}"), &context()).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut chunks = Vec::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(batch) => chunks.extend(batch.into_iter().map(|chunk| chunk.json)),
            Err(error) => return (chunks, Some(error)),
        }
    }
    (chunks, None)
}

#[tokio::test]
async fn a_whole_answer_is_upstreams_own_bytes() {
    let upstream = Upstream::answering(200, "application/json", testing::whole_answer("hi")).await;
    let provider = asking(&upstream, |settings| {
        settings.extra_headers.insert("X-Title".into(), "me".into());
    });
    let answer = admitted(&provider)
        .complete(Surface::Chat, body(r#"{"model":"m","stream":true}"#), &context(), Ok)
        .await
        .unwrap();
    assert_eq!(answer.raw, testing::whole_answer("hi"));
    let seen = upstream.seen().remove(0);
    assert!(
        seen.starts_with("POST /v1/chat/completions") && seen.ends_with("\r\n\r\n{\"model\":\"m\"}"),
        "{seen}"
    );
    assert!(
        seen.contains("authorization: Bearer sk-test-000111222") && seen.contains("x-title: me"),
        "{seen}"
    );
    assert_eq!(provider.condition(), Condition::Available);
}

/// As [`asking`], of an upstream that has text completions too.
fn asking_for_texts(upstream: &Upstream) -> Arc<Provider> {
    let mut plan = testing::plan(&upstream.url);
    plan.completions = Some(Endpoint { url: format!("{}/v1/completions", upstream.url) });
    testing::provider(testing::settings("p"), Some(plan))
}

#[tokio::test]
async fn texts_are_asked_for_where_the_plan_says() {
    let said = r#"{"choices":[{"text":"a"}]}"#;
    let upstream = Upstream::answering(200, "application/json", said).await;
    let provider = asking_for_texts(&upstream);
    assert!(provider.has_planned(Surface::Texts) && !provider.has_planned(Surface::Embeddings));
    let body = body(r#"{"prompt":[1,2],"stream":true}"#);
    let answer = admitted(&provider).complete(Surface::Texts, body.clone(), &context(), Ok).await.unwrap();
    assert_eq!(answer.raw, said);
    let seen = upstream.seen().remove(0);
    assert!(
        seen.starts_with("POST /v1/completions") && seen.ends_with("\r\n\r\n{\"prompt\":[1,2]}"),
        "{seen}"
    );
    // Who answers whole when asked for a stream has said it in the shape of a chunk.
    let mut stream = admitted(&provider).stream(Surface::Texts, body, &context()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap()[0].json, said);
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_text_that_is_none_is_an_error() {
    for (said, words) in [
        (r#"{"choices":[{"message":{"content":"a"}}]}"#, "holds no text"),
        (r#"{"choices":[]}"#, "holds no choices"),
        ("<html>", "is not the JSON of a text completion"),
        (r#"{"error":{"message":"no"}}"#, "no"),
    ] {
        let upstream = Upstream::answering(200, "application/json", said).await;
        let asked = admitted(&asking_for_texts(&upstream));
        let error = asked.complete(Surface::Texts, body("{}"), &context(), Ok).await.unwrap_err();
        assert!(error.message.contains(words), "{said}: {error}");
    }
    // Nobody asks a plugin for it.
    let provider = testing::provider(testing::settings("p"), None);
    for error in [
        admitted(&provider).complete(Surface::Texts, body("{}"), &context(), Ok).await.unwrap_err(),
        admitted(&provider).stream(Surface::Texts, body("{}"), &context()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Unsupported);
    }
}

/// Vendors have members of their own, by whatever name.
#[tokio::test]
async fn what_one_kind_of_answer_needs_is_nothing_in_another() {
    for (surface, said) in [
        (Surface::Chat, r#"{"choices":[{"message":{},"text":[5]}],"data":{"x":1}}"#),
        (Surface::Texts, r#"{"choices":[{"text":"a","message":5}],"data":"x"}"#),
        (Surface::Embeddings, r#"{"data":[],"choices":{"x":1}}"#),
    ] {
        let upstream = Upstream::answering(200, "application/json", said).await;
        let mut plan = testing::plan(&upstream.url);
        (plan.completions, plan.embeddings) = (plan.chat.clone(), plan.chat.clone());
        let provider = testing::provider(testing::settings("p"), Some(plan));
        let answer = admitted(&provider).complete(surface, body("{}"), &context(), Ok).await;
        assert_eq!(answer.unwrap().raw, said);
    }
}

#[tokio::test]
async fn a_stream_is_upstreams_chunks() {
    let (one, two, last) = (testing::chunk("a"), testing::chunk("b"), testing::last_chunk());
    let upstream = Upstream::streaming(&[&one, &two, &last, "[DONE]"], true).await;
    let (chunks, error) = texts(&asking(&upstream, |_| {})).await;
    assert_eq!((chunks, error), (vec![one.into(), two.into(), last.into()], None));
    assert!(upstream.seen()[0].contains(r#""stream":true,"stream_options":{"include_usage":true}"#));
}

#[tokio::test]
async fn a_stream_without_its_terminal_is_broken() {
    for proper_end in [true, false] {
        let one = testing::chunk("a");
        let upstream = Upstream::streaming(&[&one], proper_end).await;
        let provider = asking(&upstream, |_| {});
        let (chunks, error) = texts(&provider).await;
        assert_eq!(chunks, [Bytes::from(one)]);
        assert_eq!(error.unwrap().kind, ErrorKind::BrokenStream);
        assert_eq!(provider.condition(), Condition::Degraded);
    }
}

#[tokio::test]
async fn an_error_or_nonsense_in_a_stream_fails_it() {
    for (event, kind, words) in [
        (r#"{"error":{"code":502,"message":"backend down"}}"#, ErrorKind::Provider, "backend down"),
        (r#"{"error":{"code":429,"message":"slow"}}"#, ErrorKind::RateLimited, "slow"),
        ("not json", ErrorKind::UnreadableAnswer, "not a chunk"),
    ] {
        let one = testing::chunk("a");
        let upstream = Upstream::streaming(&[&one, event, "[DONE]"], true).await;
        let (chunks, error) = texts(&asking(&upstream, |_| {})).await;
        let error = error.unwrap();
        assert_eq!((chunks.len(), error.kind), (1, kind), "{event}");
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test]
async fn statuses_become_kinds() {
    for (status, kind) in [
        (400, ErrorKind::InvalidInput),
        (401, ErrorKind::Authentication),
        (403, ErrorKind::Authentication),
        (404, ErrorKind::Provider),
        (307, ErrorKind::Provider),
        (408, ErrorKind::TimedOut),
        (429, ErrorKind::RateLimited),
        (503, ErrorKind::Provider),
    ] {
        let said = r#"{"error":{"message":"no, sk-abcdefgh1234"}}"#;
        let upstream = Upstream::answering(status, "application/json", said).await;
        // Two of them: one that was refused may rest.
        let whole = admitted(&asking(&upstream, |_| {}))
            .complete(Surface::Chat, body("{}"), &context(), Ok)
            .await
            .unwrap_err();
        let (_, streamed) = texts(&asking(&upstream, |_| {})).await;
        assert_eq!((whole.kind, whole.status), (kind, Some(status)));
        assert_eq!(streamed.as_ref(), Some(&whole));
        assert!(!format!("{whole:?}").contains("abcdefgh"), "{whole:?}");
    }
}

#[tokio::test]
async fn a_success_that_is_none_is_an_error() {
    for (said, kind) in [
        ("", ErrorKind::UnreadableAnswer),
        ("<html>", ErrorKind::UnreadableAnswer),
        (r#"{"choices":[]}"#, ErrorKind::UnreadableAnswer),
        (r#"{"error":{"message":"no"}}"#, ErrorKind::Provider),
    ] {
        let upstream = Upstream::answering(200, "application/json", said).await;
        let provider = asking(&upstream, |_| {});
        assert_eq!(
            admitted(&provider).complete(Surface::Chat, body("{}"), &context(), Ok).await.unwrap_err().kind,
            kind,
            "{said}"
        );
        assert_eq!(texts(&provider).await.1.unwrap().kind, kind, "{said}");
    }
}

#[tokio::test]
async fn who_cannot_stream_answers_in_one_chunk() {
    let upstream = Upstream::answering(200, "application/json", testing::whole_answer("hi")).await;
    let features = Features::from_iter(["chat_completion".to_owned()]);
    let provider =
        testing::provider_with(testing::settings("p"), Some(testing::plan(&upstream.url)), features);
    let (chunks, error) = texts(&provider).await;
    assert_eq!((chunks.len(), error), (1, None));
    assert!(std::str::from_utf8(&chunks[0]).unwrap().contains(r#""delta":{"content":"hi""#), "{chunks:?}");
    assert!(!upstream.seen()[0].contains("stream"));
}

#[tokio::test]
async fn every_time_limit_has_its_own_words() {
    let short = Duration::from_millis(400);
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
    let event = format!("data: {}\n\n", testing::chunk("a")).into_bytes();
    let silent = Upstream::script(vec![Step::Hang]).await;
    let no_token = Upstream::script(vec![Step::Send(head.clone()), Step::Hang]).await;
    let stalls = Upstream::script(vec![Step::Send(head), Step::Send(event), Step::Hang]).await;

    let error = admitted(&asking(&silent, |s| s.timeout = short))
        .complete(Surface::Chat, body("{}"), &context(), Ok)
        .await
        .unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::TimedOut, "no answer within 400ms"));
    for upstream in [&silent, &no_token] {
        let error = texts(&asking(upstream, |s| s.timeout = short)).await.1.unwrap();
        assert_eq!(error.message, "no first token within 400ms");
    }
    let (chunks, error) = texts(&asking(&stalls, |s| s.chunk_timeout = short)).await;
    assert_eq!((chunks.len(), error.unwrap().message.as_str()), (1, "no further chunk within 400ms"));
    let (chunks, error) = texts(&asking(&stalls, |s| s.total_timeout = Some(short))).await;
    assert_eq!((chunks.len(), error.unwrap().message.as_str()), (1, "no end of the stream within 400ms"));
    assert!(stalls.left_alone().await && silent.left_alone().await);
}

#[tokio::test]
async fn dropping_a_stream_cancels_upstream_and_ends_the_count() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
    let event = format!("data: {}\n\n", testing::chunk("a")).into_bytes();
    let upstream = Upstream::script(vec![Step::Send(head), Step::Send(event), Step::Hang]).await;
    let provider = asking(&upstream, |_| {});
    let mut stream = admitted(&provider).stream(Surface::Chat, body("{}"), &context()).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    let in_flight = || provider.counters.in_flight.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(in_flight(), 1);
    drop(stream);
    assert_eq!(in_flight(), 0);
    assert!(upstream.left_alone().await);
}

#[tokio::test]
async fn without_a_plan_the_plugin_is_asked() {
    let provider = testing::provider(testing::settings("p"), None);
    let error = admitted(&provider).complete(Surface::Chat, body("{}"), &context(), Ok).await.unwrap_err();
    // There is no plugin behind this one, so nobody answers.
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Panicked, "the plugin \"detached\" ended the call without an answer")
    );
}

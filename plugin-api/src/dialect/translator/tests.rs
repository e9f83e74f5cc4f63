use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::chat::{FinishReason, Usage};
use crate::dialect::Meaning;
use crate::object;
use crate::testing::{Reply, TestHost, block_on, call, drain};
use crate::{Chunk, Credentials, ErrorKind, Health, Http, Provider as _};

/// Has everything that a dialect can have.
struct Full;

#[derive(Deserialize)]
struct Own {
    region: Option<String>,
}

/// Counts the events.
#[derive(Default)]
struct Counting(u64);

impl AnswerReader for Counting {
    fn event(&mut self, event: Json<'_>, out: &mut Chunks) -> Result<()> {
        self.0 += 1;
        out.text(event.text("/text"));
        if event.is_true("/last") {
            out.end(FinishReason::Stop, Some(Usage::new(0, self.0)));
        }
        Ok(())
    }
}

impl Dialect for Full {
    type Own = Own;
    type Reader = Counting;

    const API: Api = Api {
        goes_on: &["/models"],
        headers: &[BEARER_KEY, ("x-version", "1")],
        before_model: "models/",
        chat: "{model}:write",
        stream: Some("{model}:writeOn?sse"),
        embed: Some("embed"),
        models: Some("models?all"),
        credentials: Some("key"),
        health: Some("health"),
        framing: Framing::Ndjson,
        ..Api::at("https://api.example.com/v1")
    };

    const ERRORS: Errors =
        Errors { meanings: &[("cannot", Meaning::Kind(ErrorKind::Unsupported))], ..Errors::PLAIN };

    const VECTORS: Vectors = Vectors { list: "/vectors", each: "", ..Vectors::PLAIN };

    fn check(upstream: &Upstream<Own>) -> Result<()> {
        match upstream.own.region.as_deref() {
            Some("moon") => Err(ProviderError::invalid_input("nobody is there")),
            _ => Ok(()),
        }
    }

    fn base_url(configured: &str) -> &str {
        configured.trim_end_matches("/extra")
    }

    fn model(model: Model, listed: &Value) -> Option<Model> {
        (listed["gone"] != true).then(|| model.with_capabilities(["vision"]))
    }
}

impl RequestWriter for Full {
    fn request(upstream: &Upstream<Own>, request: &ChatRequest, model: &str) -> Result<Value> {
        let region = upstream.own.region.as_deref();
        Ok(object!({"say": request.last_user_text(), "of": model, "in": region}))
    }

    fn embed_request(_: &Upstream<Own>, request: &EmbedRequest, model: &str) -> Result<Value> {
        Ok(json!({"texts": request.texts()?, "of": model}))
    }
}

/// Has nothing that it need not have.
struct Least;

#[derive(Default)]
struct Whole;

impl AnswerReader for Whole {
    fn event(&mut self, _event: Json<'_>, _out: &mut Chunks) -> Result<()> {
        Err(ProviderError::unsupported("streams"))
    }

    fn whole(&mut self, answer: Json<'_>, out: &mut Chunks) -> Result<()> {
        out.text(answer.text("/whole"));
        out.end(FinishReason::Stop, None);
        Ok(())
    }
}

impl Dialect for Least {
    type Own = ();
    type Reader = Whole;

    const API: Api = Api { chat: "chat", ..Api::at("https://api.example.com") };
}

impl RequestWriter for Least {
    fn request(_: &Upstream, _request: &ChatRequest, model: &str) -> Result<Value> {
        Ok(json!({"model": model}))
    }
}

fn made<D: RequestWriter>(config: &Value) -> Result<(TestHost, Http<Translator<D>>)> {
    let host = TestHost::new();
    Ok((host, host.provider(&config.to_string())?))
}

fn full() -> (TestHost, Http<Translator<Full>>) {
    made(&json!({"base_url": "https://x.test/extra", "model": "tiny", "region": "eu"})).unwrap()
}

#[test]
fn a_request_goes_where_the_api_is() {
    let (host, provider) = full();
    host.reply(Reply::json(r#"{"text": "Hi", "last": true}"#));
    let answer = block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap();
    assert_eq!(
        answer,
        Answer::text("Hi").with_usage(Usage::new(0, 1)).with_finish_reason(FinishReason::Stop)
    );
    let sent = &host.requests()[0];
    assert_eq!((&*sent.method, &*sent.url), ("POST", "https://x.test/models/tiny:write"));
    assert_eq!((sent.header("authorization"), sent.header("x-version")), (Some("Bearer {{key}}"), Some("1")));
    assert_eq!(sent.json(), json!({"say": "hi", "of": "tiny", "in": "eu"}));
    assert_eq!(HttpRequest::post("").bearer_key().headers[0], (BEARER_KEY.0.into(), BEARER_KEY.1.into()));
}

#[test]
fn a_model_may_stand_in_the_address() {
    for (model, path) in [
        ("models/tiny", Some("models/tiny")),
        ("tuned/tiny-1.5", Some("tuned/tiny-1.5")),
        ("", None),
        ("models/", None),
        ("a/../b", None),
        ("a?b", None),
        ("a b", None),
    ] {
        let (host, provider) = full();
        host.reply(Reply::new(500));
        let asked = ChatRequest { model: Some(model.into()), ..ChatRequest::ask("hi") };
        let error = block_on(provider.complete(asked, call())).unwrap_err();
        let expected = path.map(|path| format!("https://x.test/{path}:write"));
        assert_eq!(host.requests().first().map(|sent| sent.url.clone()), expected, "{model}");
        assert_eq!(error.status, Some(if path.is_some() { 500 } else { 404 }), "{model}");
    }
    let two = ChatRequest::parse(br#"{"messages": [], "n": 2}"#).unwrap();
    let (host, provider) = full();
    assert_eq!(block_on(provider.complete(two, call())).unwrap_err().kind, ErrorKind::Unsupported);
    assert!(host.requests().is_empty());
}

#[test]
fn one_reader_reads_all_events_of_a_stream() {
    let (host, provider) = full();
    host.reply(Reply::new(200).body("{\"text\": \"a\"}\n\n{\"text\": \"b\"}\n{\"last\": true}\n"));
    let stream = block_on(provider.stream(ChatRequest::ask("hi"), call())).unwrap();
    let expected = [
        Chunk::text("a"),
        Chunk::text("b"),
        Chunk::finish(FinishReason::Stop),
        Chunk::usage(Usage::new(0, 3)),
    ];
    assert_eq!(drain(stream), (expected.to_vec(), None));
    assert_eq!(host.requests()[0].url, "https://x.test/models/tiny:writeOn?sse");

    let (host, provider) = full();
    host.reply(Reply::new(200).body("{\"text\": \"a\"}\n{\"error\": \"full\"}\n"));
    let (chunks, error) = drain(block_on(provider.stream(ChatRequest::ask("hi"), call())).unwrap());
    assert_eq!(
        (chunks, error.unwrap().message.as_str()),
        (vec![Chunk::text("a")], "the provider failed: full")
    );
}

#[test]
fn errors_are_what_the_dialect_says() {
    let (host, provider) = full();
    host.reply(Reply::new(400).body(r#"{"error": "it cannot see"}"#))
        .reply(Reply::json(r#"{"error": "no"}"#));
    host.reply(Reply::json("<html>")).reply(Reply::json("{}"));
    let kinds =
        [(); 4].map(|()| block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap_err().kind);
    let unreadable = ErrorKind::UnreadableAnswer;
    assert_eq!(kinds, [ErrorKind::Unsupported, ErrorKind::Provider, unreadable, unreadable]);
}

#[test]
fn texts_become_vectors_or_an_error() {
    let (host, provider) = full();
    let ask = || EmbedRequest::parse(br#"{"input": "a", "model": "models/e"}"#).unwrap();
    host.reply(Reply::json(r#"{"vectors": [[1, 2.5]]}"#));
    assert_eq!(block_on(provider.embed(ask(), call())), Ok(Embeddings::new(vec![vec![1.0, 2.5]])));
    assert_eq!(host.requests()[0].url, "https://x.test/embed");
    assert_eq!(host.requests()[0].json(), json!({"texts": ["a"], "of": "e"}));
    for body in [r#"{"vectors": []}"#, r#"{"vectors": [["a"]]}"#, "{}"] {
        host.reply(Reply::json(body));
        let error = block_on(provider.embed(ask(), call())).unwrap_err();
        assert_eq!(error.kind, ErrorKind::UnreadableAnswer, "{body}");
    }
}

#[test]
fn models_health_and_key_are_asked_where_the_api_has_them() {
    let (host, provider) = full();
    host.reply(Reply::json(r#"{"data": [{"id": "models/a"}, {"id": "b", "gone": true}]}"#));
    let models = block_on(provider.models(call())).unwrap();
    assert_eq!(models, [Model::new("a").with_capabilities(["vision"])]);
    host.reply(Reply::json("{}")).reply(Reply::new(401));
    assert_eq!(block_on(provider.health(call())), Ok(Health::Available));
    assert!(matches!(block_on(provider.credentials(call())), Ok(Credentials::Invalid { .. })));
    let urls: Vec<_> = host.requests().iter().map(|sent| sent.url.clone()).collect();
    assert_eq!(urls, ["https://x.test/models?all", "https://x.test/health", "https://x.test/key"]);
}

#[test]
fn what_a_dialect_does_not_have_is_not_supported() {
    let (host, provider) = made::<Least>(&json!({"base_url": "https://x.test", "model": "m"})).unwrap();
    host.reply(Reply::json(r#"{"whole": "all"}"#));
    let answer = block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap();
    assert_eq!(answer, Answer::text("all").with_finish_reason(FinishReason::Stop));
    let texts = EmbedRequest::parse(br#"{"input": "a"}"#).unwrap();
    assert_eq!(block_on(provider.embed(texts, call())).unwrap_err().kind, ErrorKind::Unsupported);
    assert_eq!(block_on(provider.credentials(call())).unwrap_err().kind, ErrorKind::Unsupported);
    assert_eq!(block_on(provider.health(call())), Ok(Health::Available));
    assert_eq!(block_on(provider.models(call())), Ok(Vec::new()));
    assert_eq!(host.requests().len(), 1);
}

#[test]
fn a_wrong_configuration_is_refused() {
    for (config, says) in [
        (json!({"base_url": "https://x.test/models"}), "such as https://api.example.com/v1"),
        (json!({"base_url": "https://x.test", "region": "moon"}), "nobody is there"),
        (json!({"base_url": "https://x.test", "region": 1}), "`region` is not usable"),
    ] {
        let error = made::<Full>(&config).err().unwrap();
        assert!(error.message.contains(says), "{config}: {error}");
    }
}

//! What Ollama is sent, and what is read of what it answers, case by case: see `fixtures`.

use std::collections::BTreeSet;

use patchbay_plugin_api::testing::{
    Native, Reply, TestHost, block_on, call, conformance, defaults, drain, every_cut,
};
use patchbay_plugin_api::{Answer, Chunk, ChunkMeta, Embeddings, Health, Provider as _};

use super::*;

fn make(config: &Value) -> Result<(TestHost, Http<Translator<Ollama>>)> {
    let mut merged = defaults::<Http<Translator<Ollama>>>();
    merged.extend(config.as_object().unwrap().clone());
    let host = TestHost::new();
    Ok((host, host.provider(&Value::from(merged).to_string())?))
}

fn tiny() -> (TestHost, Http<Translator<Ollama>>) {
    make(&json!({"model": "tiny"})).unwrap()
}

fn fixture(case: &str) -> Value {
    let path = format!("{}/src/fixtures/{case}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn error_of(error: &ProviderError) -> Value {
    json!([error.kind.as_str(), error.message])
}

/// Asks for a whole answer and for a stream, and compares whatever the fixture has of: what was `sent`, why it was
/// `refused`, what became of the `whole` answer and what of the `lines`.
fn check(case: &str) {
    let mut fixture = fixture(case);
    let asked = || ChatRequest::parse(fixture["asked"].to_string().as_bytes()).unwrap();
    let (host, provider) = tiny();
    let status = u16::try_from(fixture["status"].as_u64().unwrap_or(200)).unwrap();
    host.reply(Reply::new(status).body(fixture["whole"].to_string()));
    let answer = block_on(provider.complete(asked(), call()));
    if let Some([kind, message, param]) = fixture["refused"].as_array().map(Vec::as_slice) {
        let error = answer.unwrap_err();
        assert_eq!(error_of(&error), json!([kind, message]), "{case}");
        assert_eq!(error.param.as_deref(), param.as_str(), "{case}");
        assert!(host.requests().is_empty(), "{case}");
        return;
    }
    match (answer, &fixture["answer"], &fixture["error"]) {
        (Ok(answer), expected @ Value::Object(_), _) => assert_eq!(outline(answer), *expected, "{case}"),
        (Err(error), _, expected @ Value::Array(_)) => assert_eq!(error_of(&error), *expected, "{case}"),
        (answer, ..) => assert!(fixture["whole"].is_null(), "{case}: {answer:?}"),
    }
    if status == 200 {
        let body: String =
            fixture["lines"].as_array().into_iter().flatten().map(|line| format!("{line}\n")).collect();
        let cut = every_cut(body.as_bytes()).map(|pieces| ndjson(&body).pieces(pieces));
        for reply in cut.chain([ndjson(&body).byte_by_byte()]) {
            if body.is_empty() {
                break;
            }
            let (host, provider) = tiny();
            host.reply(reply);
            let (chunks, error) = drain(block_on(provider.stream(asked(), call())).unwrap());
            assert_eq!(chunks.iter().map(said).collect::<Value>(), fixture["chunks"], "{case}");
            assert_eq!(error.as_ref().map_or(Value::Null, error_of), fixture["error"], "{case}");
        }
    }
    let sent = fixture["sent"].take();
    if sent.is_object() {
        assert_eq!(host.requests()[0].json(), sent, "{case}");
    }
}

fn ndjson(body: &str) -> Reply {
    Reply::new(200).header("content-type", "application/x-ndjson").body(body)
}

fn outline(answer: Answer) -> Value {
    let meta = ChunkMeta { id: "id".into(), created: 7, model: "unsaid".into() };
    let answer: Value = serde_json::from_slice(&answer.into_json(&meta)).unwrap();
    let choice = &answer["choices"][0];
    let mut outline = json!({"model": answer["model"], "message": choice["message"], "finish_reason": choice["finish_reason"]});
    if !answer["usage"].is_null() {
        outline["usage"] = answer["usage"].clone();
    }
    outline
}

fn said(chunk: &Chunk) -> Value {
    match chunk {
        Chunk::Text(text) => json!({"text": text}),
        Chunk::Reasoning(text) => json!({"reasoning": text}),
        Chunk::ToolCall { index, id, name, arguments } => json!({"tool_call": [index, id, name, arguments]}),
        Chunk::Finish(reason) => json!({"finish": reason}),
        Chunk::Usage(usage) => json!({"usage": [usage.prompt_tokens, usage.completion_tokens]}),
        other => panic!("{other:?}"),
    }
}

/// A test for each case, named as its fixture.
macro_rules! cases {
    ($($name:ident)+) => {
        $(#[test] fn $name() { check(&stringify!($name).replace('_', "-")); })+

        #[test]
        fn every_fixture_is_a_case() {
            let cases = BTreeSet::from([$(format!("{}.json", stringify!($name).replace('_', "-"))),+]);
            let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/fixtures")).unwrap();
            assert_eq!(files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect::<BTreeSet<_>>(), cases);
        }
    };
}

cases! {
    plain system multi_turn options
    tool_call parallel_tools tool_choice tool_choice_none tool_result tool_arguments_refused tool_type_refused
    image_base64 image_url_refused audio_refused several_answers_refused
    json_object json_schema json_schema_refused json_text
    reasoning reasoning_none reasoning_own_word
    stop length load usage empty_answer unicode
    error_model_not_found error_unsupported error_bad_request error_key error_rate error_server error_in_stream
    error_unreadable
}

#[test]
fn a_stream_that_is_cut_before_its_end_is_broken() {
    let lines = fixture("parallel-tools")["lines"].take();
    let body: String = lines.as_array().unwrap().iter().map(|line| format!("{line}\n")).collect();
    for cut in 0..body.len() - 1 {
        let (host, provider) = tiny();
        host.reply(ndjson(&body[..cut]));
        let (_, error) = drain(block_on(provider.stream(ChatRequest::ask("hi"), call())).unwrap());
        assert_eq!(error.map(|error| error.kind), Some(ErrorKind::BrokenStream), "cut at {cut}");
    }
    let (host, provider) = tiny();
    host.reply(ndjson(body.trim_end()));
    let (_, error) = drain(block_on(provider.stream(ChatRequest::ask("hi"), call())).unwrap());
    assert_eq!(error, None, "only the end of the last line is missing");
}

#[test]
fn requests_go_where_they_are_configured_to_go() {
    for base_url in ["https://x.test", "https://x.test/", "https://x.test/api/"] {
        let config = json!({"base_url": base_url, "model": "m", "extra_headers": {"x-title": "t"},
            "options": {"num_ctx": 8192, "top_k": 1}, "keep_alive": -1});
        let (host, provider) = make(&config).unwrap();
        host.reply(ndjson("")).reply(Reply::json(r#"{"version": "0.12.0"}"#)).reply(Reply::new(503));
        let asked = br#"{"messages": [], "stream": true, "top_k": 2}"#;
        block_on(provider.stream(ChatRequest::parse(asked).unwrap(), call())).unwrap();
        let sent = &host.requests()[0];
        assert_eq!((&*sent.method, &*sent.url), ("POST", "https://x.test/api/chat"));
        assert_eq!(sent.header("authorization"), Some("Bearer {{key}}"));
        assert_eq!(sent.header("x-title"), Some("t"));
        let expected = json!({"model": "m", "messages": [], "stream": true, "keep_alive": -1,
            "options": {"num_ctx": 8192, "top_k": 2}});
        assert_eq!(sent.json(), expected);

        assert_eq!(block_on(provider.health(call())), Ok(Health::Available));
        assert_eq!(&*host.requests()[1].url, "https://x.test/api/version");
        assert_eq!(block_on(provider.health(call())), Ok(Health::busy("the provider answered 503")));
    }
    let (host, provider) = make(&json!({"base_url": "http://api"})).unwrap();
    host.reply(Reply::json("{}"));
    block_on(provider.health(call())).unwrap();
    assert_eq!(&*host.requests()[0].url, "http://api/api/version");

    let (host, provider) = make(&json!({})).unwrap();
    let error = block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap_err();
    assert_eq!((error.kind, error.param.as_deref()), (ErrorKind::Unsupported, Some("model")));
    assert!(host.requests().is_empty() && provider.plan().is_none());
}

#[test]
fn texts_become_vectors() {
    let (host, provider) = tiny();
    host.reply(Reply::json(r#"{"model": "e", "embeddings": [[1, 0.5], [0, 2]], "prompt_eval_count": 4}"#));
    let asked = br#"{"model": "e", "input": ["a", "b"], "dimensions": 2, "truncate": false, "user": "u"}"#;
    let vectors = block_on(provider.embed(EmbedRequest::parse(asked).unwrap(), call())).unwrap();
    let expected = Embeddings::new(vec![vec![1.0, 0.5], vec![0.0, 2.0]]).with_model("e");
    assert_eq!(vectors, expected.with_usage(Usage::new(4, 0)));
    assert_eq!(&*host.requests()[0].url, "http://127.0.0.1:11434/api/embed");
    let sent = json!({"model": "e", "input": ["a", "b"], "dimensions": 2, "truncate": false});
    assert_eq!(host.requests()[0].json(), sent);

    host.reply(Reply::json(r#"{"error": "no"}"#)).reply(Reply::json("{}"));
    let ask = || EmbedRequest::parse(br#"{"input": "a"}"#).unwrap();
    assert_eq!(block_on(provider.embed(ask(), call())).unwrap_err().message, "the provider failed: no");
    assert_eq!(block_on(provider.embed(ask(), call())).unwrap_err().kind, ErrorKind::UnreadableAnswer);
    let tokens = EmbedRequest::parse(br#"{"input": [1]}"#).unwrap();
    assert_eq!(block_on(provider.embed(tokens, call())).unwrap_err().kind, ErrorKind::InvalidInput);
}

#[test]
fn the_models_that_were_pulled_are_listed() {
    let (host, provider) = tiny();
    host.reply(Reply::json(include_str!("models.json")));
    let models = block_on(provider.models(call())).unwrap();
    assert_eq!(&*host.requests()[0].url, "http://127.0.0.1:11434/api/tags");
    let expected = json!([
        {"id": "gemma3:latest", "type": "chat", "capabilities": []},
        {"id": "qwen3:8b", "type": "chat", "context_length": 40960,
            "capabilities": ["chat_completion", "function_calling", "reasoning"]},
        {"id": "all-minilm:latest", "type": "embedding", "capabilities": []},
        {"id": "embeddinggemma:latest", "type": "embedding", "capabilities": ["embeddings"]},
    ]);
    assert_eq!(serde_json::to_value(models).unwrap(), expected);

    let (host, provider) = make(&json!({"models": ["only"]})).unwrap();
    assert_eq!(block_on(provider.models(call())).unwrap()[0].id, "only");
    assert!(host.requests().is_empty());
}

#[test]
fn it_does_what_every_provider_must_do() {
    let host = TestHost::new();
    // An answer to everything that is asked: chat, a stream of one line, health and models.
    let reply = Reply::json(r#"{"message": {"content": "hi"}, "done": true, "models": []}"#);
    for _ in 0..20 {
        host.reply(reply.clone());
    }
    let native =
        Native::create::<Http<Translator<Ollama>>>(host, r#"{"base_url": "http://x.test"}"#).unwrap();
    conformance::check(&native);
}

#[test]
fn a_wrong_configuration_is_refused_in_a_sentence() {
    for (config, says) in [
        (json!({"base_url": "localhost:11434"}), "must begin with https://"),
        (json!({"base_url": "http://localhost:11434/v1"}), "`openai-compatible`"),
        (json!({"base_url": "http:///x"}), "names no host"),
        (json!({"model": "a", "models": ["b"]}), "`model` is `a`, which is not among"),
        (json!({"extra_headers": {"a b": "c"}}), "not the name of a header"),
        (json!({"options": []}), "`options`"),
    ] {
        let error = make(&config).err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains(says), "{config}: {error}");
    }
}

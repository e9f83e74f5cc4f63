//! What is not held back, and whom one who hangs does not hold up.

use serde_json::json;

use super::form::{Form, Heard};
use super::pair::Pair;
use crate::harness::scripted::script::{Script, done, role, says};
use crate::harness::{Host, HostOptions, Library, Upstream, libraries};

/// The second word is not even sent before the client has read the first.
#[tokio::test]
async fn the_first_words_pass_before_the_next_are_sent() {
    let script = Script::stream().send(role()).send(says("a")).gate().send(says(" b")).gate().send(done());
    let pair = Pair::start(&script, &Script::nothing()).await;
    for form in Form::STREAMED {
        let mut stream = form.ask(&pair.host, "up/m").await.unwrap();
        for words in ["a", "a b"] {
            while form.hear(&stream.text).words != words {
                let piece = stream.next().await.unwrap();
                assert!(piece.is_some(), "{form:?} ended with {:?}", stream.text);
            }
            pair.upstream.release("up");
        }
        let all = Heard { words: "a b".to_owned(), ended: form != Form::Text, error: None };
        assert_eq!(form.hear(&stream.rest().await.unwrap()), all, "{form:?}");
    }
    pair.stop().await;
}

async fn check_others_are_served(streamed: Script, whole: Script) {
    let pair = Pair::start(&streamed, &whole).await;
    for (count, form) in Form::ALL.into_iter().enumerate() {
        let hangs = async {
            let begun = form.ask(&pair.host, "up/m").await.unwrap();
            let ended = begun.rest().await;
            panic!("{form:?}: who hangs came to an end: {ended:?}");
        };
        let others = async {
            pair.upstream.sees("up", |notes| notes.requests == count + 1).await;
            for other in Form::ALL {
                let answer = other.ask(&pair.host, "well/m").await.unwrap().rest().await.unwrap();
                assert_eq!(other.hear(&answer).words, "a b c", "{other:?}");
            }
            assert_eq!(pair.upstream.notes("up").open, 1, "{form:?}: it hung all the time");
        };
        tokio::select! {
            never = hangs => never,
            () = others => {}
        }
        pair.left_alone(count + 1).await;
    }
    pair.stop().await;
}

#[tokio::test]
async fn others_are_served_while_one_hangs_before_its_headers() {
    check_others_are_served(Script::nothing().hang(), Script::nothing().hang()).await;
}

#[tokio::test]
async fn others_are_served_while_one_hangs_before_its_first_token() {
    check_others_are_served(Script::stream().send(role()).hang(), Script::json().send("{").hang()).await;
}

#[tokio::test]
async fn others_are_served_while_one_hangs_between_tokens() {
    check_others_are_served(Script::stream().send(says("a")).hang(), Script::json().send("{").hang()).await;
}

/// The same library, of which its manifest says that it does not stream.
fn without_streaming(library: Library) -> Library {
    library.manifest(|manifest| {
        manifest["supported_features"].as_array_mut().unwrap().retain(|feature| feature != "streaming");
    })
}

/// By a plugin's own code and by a plan: it is asked for the whole answer, which comes as one piece.
#[tokio::test]
async fn who_cannot_stream_serves_whoever_asks_for_a_stream() {
    let well = Upstream::start().await;
    let options = HostOptions::default().custom(&without_streaming(libraries::chameleon()));
    let options = options.builtin(&without_streaming(libraries::openai_compatible()));
    let config = json!({ "base_url": well.base_url(), "model": "m" });
    let options = options.entry("planned", json!({ "plugin": "openai-compatible", "config": config }));
    let host = Host::start(options.provider("chameleon", json!({}))).await;
    for provider in host.get("/api/providers").await.json()["providers"].as_array().unwrap() {
        assert_eq!(provider["capabilities"]["streaming"], false, "{provider}");
    }
    for (model, words) in [("chameleon/", "green green green green green"), ("planned/m", "a b c")] {
        for form in Form::ALL {
            let answer = form.ask(&host, model).await.unwrap().rest().await.unwrap();
            let all = Heard { words: words.to_owned(), ended: form != Form::Text, error: None };
            assert_eq!(form.hear(&answer), all, "{form:?} of {model}");
            let pieces = match form {
                Form::Events => answer.matches("event: message\n").count(),
                Form::Chunks => answer.matches(r#""object":"chat.completion.chunk""#).count(),
                Form::Text | Form::Whole | Form::OpenAi => 1,
            };
            assert_eq!(pieces, 1, "{form:?} of {model}: {answer}");
        }
    }
    assert!(well.requests().iter().all(|(_, body)| body.get("stream").is_none()), "{:?}", well.bodies());
    assert_eq!(well.requests().len(), Form::ALL.len());
    host.stop().await;
}

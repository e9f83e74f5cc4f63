//! OpenAI's dialect, for the many upstreams that speak it: what reads it, and [`OpenAi`], the whole of a provider but
//! for what is the vendor's own.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::chat::{Answer, Chunk};
use crate::embed::Embeddings;
use crate::http_provider::{Chunks, Failure, clean};
use crate::model::Model;
use crate::split::Event;
use crate::{ErrorKind, ProviderError, Result};

mod vendor;

pub use vendor::{OpenAi, Vendor};

/// The data of the event that ends a stream.
pub const DONE: &str = "[DONE]";

/// How much of something unreadable the log is shown.
const LOGGED: usize = 200;

/// As much of an answer or chunk as has to be looked at.
#[derive(Deserialize)]
struct Seen {
    choices: Option<Vec<IgnoredAny>>,
    error: Option<Value>,
}

/// Passes a whole answer on, if it is one.
pub fn answer(body: &[u8]) -> Result<Answer> {
    let seen = see(body, "the provider's answer")?;
    match seen.choices {
        Some(_) => Ok(Answer::raw(body)),
        None => Err(unreadable("the provider's answer is not a chat completion", body)),
    }
}

/// Passes an event's chunk on, or notes the end.
pub fn event(event: &Event<'_>, out: &mut Chunks) -> Result<()> {
    if event.data.trim() == DONE {
        out.finish();
    } else if !event.data.trim().is_empty() {
        see(event.data.as_bytes(), "an event of the provider's stream")?;
        out.push(Chunk::raw(event.data.as_bytes()));
    }
    Ok(())
}

/// Passes an answer with vectors on, if it is one.
pub fn embeddings(body: &[u8]) -> Result<Embeddings> {
    #[derive(Deserialize)]
    struct Vectors {
        #[serde(rename = "data")]
        _data: Vec<IgnoredAny>,
    }
    see(body, "the provider's answer")?;
    match serde_json::from_slice::<Vectors>(body) {
        Ok(_) => Ok(Embeddings::raw(body)),
        Err(_) => Err(unreadable("the provider's answer holds no embeddings", body)),
    }
}

/// Reads a list of models: `{"data": [...]}`, or the list alone. Members that are written in several ways are found
/// in all of them; prices are not read, for everyone counts them differently: see [`Vendor::model`].
pub fn models(body: &[u8]) -> Result<Vec<Model>> {
    models_with(body, |model, _| Some(model))
}

/// The same, with a say in what becomes of each: it is given what was read, and the entry it was read from.
fn models_with(body: &[u8], each: impl Fn(Model, &Value) -> Option<Model>) -> Result<Vec<Model>> {
    let listed = match serde_json::from_slice(body) {
        Ok(Value::Array(listed)) => Some(listed),
        Ok(Value::Object(mut members)) => match members.remove("data") {
            Some(Value::Array(listed)) => Some(listed),
            _ => None,
        },
        _ => None,
    };
    let listed = listed.ok_or_else(|| unreadable("the provider's list of models cannot be read", body))?;
    Ok(listed.iter().filter_map(|entry| each(model(entry)?, entry)).collect())
}

/// One model of a list; none without an id, for nobody could ask for it.
fn model(listed: &Value) -> Option<Model> {
    let text = |names: &[&str]| names.iter().find_map(|name| listed.get(name)?.as_str().map(str::to_owned));
    let number = |names: &[&str]| {
        names.iter().find_map(|name| listed.get(name)?.as_u64()).filter(|number| *number > 0)
    };
    let mut model = Model::new(text(&["id"])?);
    // Some servers say `model` of every model they list.
    model.kind = text(&["type"]).filter(|kind| kind != "model").unwrap_or(model.kind);
    model.name = text(&["name", "display_name"]);
    model.owner = text(&["owned_by", "organization"]);
    model.created = number(&["created"]);
    model.context_length =
        number(&["context_length", "context_window", "max_model_len", "max_context_length"]);
    Some(model)
}

/// Looks into an answer that came with a status of success, which does not mean that it is one.
fn see(body: &[u8], what: &str) -> Result<Seen> {
    let seen: Seen =
        serde_json::from_slice(body).map_err(|_| unreadable(&format!("{what} cannot be read"), body))?;
    match &seen.error {
        Some(error) => Err(failed(error, body)),
        None => Ok(seen),
    }
}

/// An error within a successful answer: its code often is the status that it should have had.
fn failed(error: &Value, body: &[u8]) -> ProviderError {
    let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let failure = Failure::within(body, code);
    match code {
        Some(400..600) => failure.to_error(),
        _ => ProviderError::new(ErrorKind::Provider, failure.described()),
    }
}

fn unreadable(message: &str, body: &[u8]) -> ProviderError {
    ProviderError::unreadable(message).with_detail(clean(&String::from_utf8_lossy(body), LOGGED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_passed_on_only_if_they_are_answers() {
        let good = br#"{"choices": [], "error": null}"#;
        assert_eq!(answer(good).unwrap(), Answer::raw(good));
        for (body, kind, message) in [
            ("<html>", ErrorKind::UnreadableAnswer, "the provider's answer cannot be read"),
            ("{}", ErrorKind::UnreadableAnswer, "the provider's answer is not a chat completion"),
            (
                r#"{"error": {"code": 429, "message": "slow"}}"#,
                ErrorKind::RateLimited,
                "the provider answered 429: slow",
            ),
            (r#"{"error": {"code": "x", "message": "no"}}"#, ErrorKind::Provider, "the provider failed: no"),
            (r#"{"error": {}}"#, ErrorKind::Provider, "the provider failed and did not say why"),
        ] {
            let error = answer(body.as_bytes()).unwrap_err();
            assert_eq!((error.kind, &*error.message), (kind, message));
        }
    }

    #[test]
    fn embeddings_are_passed_on_only_if_they_are_some() {
        assert!(embeddings(br#"{"data": [{"embedding": [1]}]}"#).is_ok());
        assert_eq!(embeddings(b"{}").unwrap_err().kind, ErrorKind::UnreadableAnswer);
        assert_eq!(embeddings(br#"{"error": "no"}"#).unwrap_err().message, "the provider failed: no");
    }

    #[test]
    fn lists_of_models_are_read_in_their_variants() {
        let listed = models(
            br#"{"object": "list", "data": [
                {"id": "a", "object": "model", "created": 5, "owned_by": "me", "context_window": 8192},
                {"id": "b", "display_name": "Bee", "type": "model", "max_model_len": 0, "created": "2024-01-01"}]}"#,
        )
        .unwrap();
        let a = Model {
            owner: Some("me".into()),
            created: Some(5),
            context_length: Some(8192),
            ..Model::new("a")
        };
        assert_eq!(listed, [a, Model { name: Some("Bee".into()), ..Model::new("b") }]);

        let bare = models(br#"[{"id": "c", "type": "embedding", "organization": "us"}]"#).unwrap();
        assert_eq!((&*bare[0].kind, bare[0].owner.as_deref()), ("embedding", Some("us")));
        assert_eq!(models(b"{}").unwrap_err().kind, ErrorKind::UnreadableAnswer);
    }
}

//! What providers with a dialect of their own have in common, so that a plugin says only what is peculiar to its
//! vendor.
//!
//! An [`HttpProvider`](crate::HttpProvider) that translates takes from here, in the order in which a request meets it:
//! [`Upstream`] for its configuration, its requests and its models; [`turns`] and
//! [`Message::pieces`](crate::Message::pieces) for what is said; [`ChatRequest::choice`](crate::ChatRequest::choice),
//! [`functions`](crate::ChatRequest::functions) and [`form`](crate::ChatRequest::form) for what is asked; [`read`] for
//! what comes back, and [`Chunks`](crate::Chunks) to say it, in a stream or [as a whole](crate::Chunks::gather).

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::Model;
use crate::{ProviderError, Result};

mod date;
mod schema;
mod turns;
mod upstream;

pub use date::unix_seconds;
pub use schema::close_objects;
pub use turns::{Turn, turns};
pub use upstream::Upstream;

/// Reads what upstream sent with a status of success, or says what was not readable, such as `the provider's answer`.
///
/// ```
/// # use patchbay_plugin_api::dialect;
/// let error = dialect::read::<u32>("the provider's answer", b"<html>").unwrap_err();
/// assert_eq!(error.message, "the provider's answer cannot be read");
/// ```
pub fn read<'a, T: Deserialize<'a>>(what: &str, json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| unreadable(what, &error))
}

fn unreadable(what: &str, error: &serde_json::Error) -> ProviderError {
    ProviderError::unreadable(format!("{what} cannot be read")).with_detail(error.to_string())
}

/// Reads a list of models that stands in a member of an object; `model` makes one of each entry, or none of what
/// nobody can ask for.
///
/// ```
/// # use patchbay_plugin_api::{Model, dialect};
/// let listed = br#"{"models": [{"name": "tiny"}, {}]}"#;
/// let models = dialect::models(listed, "models", |entry| Some(Model::new(entry["name"].as_str()?)));
/// assert_eq!(models, Ok(vec![Model::new("tiny")]));
/// ```
pub fn models(body: &[u8], member: &str, model: impl Fn(&Value) -> Option<Model>) -> Result<Vec<Model>> {
    const WHAT: &str = "the provider's list of models";
    let mut body: Value = read(WHAT, body)?;
    match body.get_mut(member).map(Value::take) {
        Some(Value::Array(listed)) => Ok(listed.iter().filter_map(model).collect()),
        _ => {
            let error = ProviderError::unreadable(format!("{WHAT} cannot be read"));
            Err(error.with_detail(format!("it has no list `{member}`")))
        }
    }
}

/// An object of the members that are not `null`: the body of a request is written in one piece, and what is optional in
/// it as the `Option` that it is. The values are moved into it, where `json!` would copy them.
///
/// ```
/// # use patchbay_plugin_api::dialect::object;
/// # use serde_json::json;
/// let body = object([("model", "tiny".into()), ("seed", None::<u64>.into()), ("schema", json!({"default": null}))]);
/// assert_eq!(body, json!({"model": "tiny", "schema": {"default": null}}));
/// ```
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let mut object = Map::new();
    members.into_iter().for_each(|(name, value)| put(&mut object, name, value));
    object.into()
}

// Once in a library, not once for every number of members.
#[inline(never)]
fn put(object: &mut Map<String, Value>, name: &str, value: Value) {
    if !value.is_null() {
        object.insert(name.to_owned(), value);
    }
}

/// The object or, where it has no members, nothing: for what is itself a member of an [`object`].
pub fn unless_empty(object: Value) -> Option<Value> {
    Some(object).filter(|object| object.as_object().is_some_and(|members| !members.is_empty()))
}

/// Something or, where it is empty, nothing: for members of an [`object`] that upstream wants full or not at all.
pub fn filled<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// The version that a model's name holds, as vendors ask different things of different generations. The highest there
/// is for a name without numbers: so are the models to come. Longer numbers are dates.
///
/// ```
/// # use patchbay_plugin_api::dialect::version;
/// assert_eq!(version("claude-3-7-sonnet-20250219"), (3, 7));
/// assert_eq!(version("gemini-3.5-flash"), (3, 5));
/// assert!(version("gemini-flash-latest") > (99, 99));
/// ```
pub fn version(model: &str) -> (u32, u32) {
    let numbers = model.split(['-', '.', '@']).filter(|part| part.len() <= 2);
    let mut numbers = numbers.filter_map(|part| part.parse().ok());
    numbers.next().map_or((u32::MAX, 0), |major| (major, numbers.next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use serde_json::json;

    #[test]
    fn a_list_of_models_is_one_or_unreadable() {
        let read = |body: &str| models(body.as_bytes(), "data", |entry| entry["id"].as_str().map(Model::new));
        assert_eq!(read(r#"{"data": [{"id": "a"}, {"id": 1}]}"#), Ok(vec![Model::new("a")]));
        for body in ["<html>", "{}", "[]", r#"{"data": {}}"#] {
            assert_eq!(read(body).unwrap_err().kind, ErrorKind::UnreadableAnswer, "{body}");
        }
    }

    #[test]
    fn what_is_empty_is_left_out() {
        assert_eq!(unless_empty(object([("a", Value::Null)])), None);
        let full = object([("a", json!([null])), ("b", Value::Null)]);
        assert_eq!(unless_empty(full), Some(json!({"a": [null]})));
        assert_eq!((filled(vec![1]), filled(Vec::<u8>::new())), (Some(vec![1]), None));
    }

    #[test]
    fn versions_are_told_by_name() {
        let newest = version("claude-mythos-preview");
        for (older, newer) in [
            ("claude-3-haiku-20240307", "claude-3-7-sonnet-20250219"),
            ("claude-sonnet-4-20250514", "claude-opus-4-1"),
            ("claude-haiku-4-5-20251001", "claude-sonnet-4-6"),
            ("claude-opus-4-8", "claude-fable-5"),
            ("claude-opus-5", "claude-opus-5-5"),
        ] {
            assert!(version(older) < version(newer), "{older} {newer}");
            assert!(version(newer) < newest, "{newer}");
        }
    }
}

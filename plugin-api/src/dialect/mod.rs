//! What providers with a dialect of their own have in common, so that a plugin says only what is peculiar to its
//! vendor.
//!
//! A [`Dialect`] is what is data of it; a [`RequestWriter`] and an [`AnswerReader`] translate. They take from here, in the
//! order in which a request meets it: [`Upstream`] for what is configured; [`Turns`] and
//! [`Message::said`](crate::Message::said) for what is said; [`ChatRequest::choice`](crate::ChatRequest::choice),
//! [`functions`](crate::ChatRequest::functions), [`form`](crate::ChatRequest::form) and
//! [`effort_as`](crate::ChatRequest::effort_as) for what is asked, and [`object!`](crate::object!) to write it; [`Json`],
//! [`Counts`] and [`Ends`] for what comes back, and [`Chunks`](crate::Chunks) to say it, in a stream or
//! [as a whole](crate::Chunks::gather). The [`prelude`] has all of it. An [`HttpProvider`](crate::HttpProvider) that fits
//! no [`Api`] may use all of it by itself.

use serde::Deserialize;

use crate::{ProviderError, Result};

// 1. The whole of a provider.
mod translator;
mod upstream;

// 2. What is asked.
#[doc(hidden)]
pub mod object;
mod schema;
mod turns;

// 3. What comes back.
mod counts;
mod date;
mod ends;
mod errors;
mod json;
mod models;
mod scan;
mod vectors;

pub use counts::Counts;
pub use date::unix_seconds;
pub use ends::{Ending, Ends};
pub use errors::{Errors, Meaning};
pub use json::Json;
pub use models::ModelList;
pub use object::list;
pub use schema::closed;
pub use translator::{AnswerReader, Api, BEARER_KEY, Dialect, RequestWriter, Translator};
pub use turns::Turns;
pub use upstream::Upstream;
pub use vectors::Vectors;

/// What the modules of a dialect are written with, so that they begin with one line:
/// `use patchbay_plugin_api::dialect::prelude::*`.
pub mod prelude {
    pub use serde_json::{Map, Value, json};

    pub use super::{
        AnswerReader, Api, BEARER_KEY, Counts, Dialect, Ending, Ends, Errors, Json, Meaning, ModelList,
        RequestWriter, Translator, Turns, Upstream, Vectors, closed, filled, list, version,
    };
    pub use crate::abi::KEY_PLACEHOLDER;
    pub use crate::chat::{AnswerForm, Media, Piece, Said, ToolChoice, ToolFunction, image_type};
    pub use crate::{
        ChatRequest, Chunks, EmbedRequest, ErrorKind, FinishReason, Framing, Http, Message, Model,
        ProviderError, Result, Role, Tool, ToolCall, Usage, object,
    };
}

/// A path to nothing, for what a vendor does not say.
const NOWHERE: &str = "/";

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

/// A list or a text or, where it is empty, nothing: for members of an [`object!`](crate::object!) that upstream
/// wants full or not at all.
pub fn filled<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
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

    #[test]
    fn what_is_empty_is_left_out() {
        assert_eq!((filled(vec![1]), filled(Vec::<u8>::new())), (Some(vec![1]), None));
        assert_eq!((filled("a"), filled("")), (Some("a"), None));
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

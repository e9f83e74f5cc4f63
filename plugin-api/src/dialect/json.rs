//! What upstream wrote, looked into without a type for it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::read;
use super::scan::{Items, Members};
use crate::Result;

/// JSON as upstream wrote it, or a part of it. Nothing of it is built or copied before it is asked for, so that an event
/// of a stream costs little more than its text; a member that is not there is `null`.
///
/// Paths are as in JSON pointers, without their escapes: `/delta/text`, `/choices/0`; the empty one is the value itself.
///
/// ```
/// # use patchbay_plugin_api::dialect::Json;
/// let event = Json::read("the event", br#"{"delta": {"text": "Hi", "stop": null}, "parts": [{"a": 1}, {"a": 2.0}]}"#)?;
/// assert_eq!(event.text("/delta/text"), "Hi");
/// assert_eq!(event.string("/delta/stop"), None);
/// let numbers: Vec<_> = event.items("/parts").map(|part| part.number("/a")).collect();
/// assert_eq!(numbers, [Some(1), Some(2)]);
/// # Ok::<(), patchbay_plugin_api::ProviderError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Takes what upstream sent, if all of it is JSON; `what` names it otherwise, as for [`read`].
    pub fn read(what: &str, json: &'a [u8]) -> Result<Self> {
        read::<&RawValue>(what, json).map(|raw| Self(raw.get()))
    }

    /// What stands at a path.
    pub fn at(self, path: &str) -> Self {
        path.split('/').skip(1).fold(self, Self::step)
    }

    fn step(self, name: &str) -> Self {
        let mut members = Members::of(self.0);
        let found = match members.find(|(key, _)| is_key(key, name)) {
            Some((_, value)) => Some(value),
            None => name.parse().ok().and_then(|index| Items::of(self.0).nth(index)),
        };
        Self(found.unwrap_or("null"))
    }

    /// Several members of it, found in one go: for what is looked for in every event of a stream.
    ///
    /// ```
    /// # use patchbay_plugin_api::dialect::Json;
    /// let [text, last] = Json::read("the event", br#"{"id": 1, "text": "Hi"}"#)?.members(["text", "last"]);
    /// assert_eq!((&*text.text(""), last.is_null()), ("Hi", true));
    /// # Ok::<(), patchbay_plugin_api::ProviderError>(())
    /// ```
    pub fn members<const N: usize>(self, names: [&str; N]) -> [Self; N] {
        let mut found = [Self("null"); N];
        for (key, value) in Members::of(self.0) {
            if let Some(place) = names.iter().position(|name| is_key(key, name)) {
                found[place] = Self(value);
            }
        }
        found
    }

    /// The text at a path; empty where there is none. What is no character in it, such as half of one that was cut in
    /// two, is replaced.
    pub fn text(self, path: &str) -> Cow<'a, str> {
        self.string_at(path).unwrap_or_default()
    }

    /// The text at a path, if there is one, to be kept.
    pub fn string(self, path: &str) -> Option<String> {
        self.string_at(path).map(Cow::into_owned)
    }

    fn string_at(self, path: &str) -> Option<Cow<'a, str>> {
        let text = self.at(path).0;
        let inside = text.strip_prefix('"')?.strip_suffix('"')?;
        // Most texts are as they stand.
        if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
            return Some(inside.into());
        }
        serde_json::from_str(text).ok().map(|Unescaped(text)| text.into())
    }

    /// The number at a path, if it is one that counts something, also where it is written with a point.
    pub fn number(self, path: &str) -> Option<u64> {
        let number = self.at(path).0;
        number.parse().ok().or_else(|| {
            let number: f64 = number.parse().ok()?;
            (0.0..=u64::MAX as f64).contains(&number).then_some(number as u64)
        })
    }

    /// Whether `true` stands at a path.
    pub fn is_true(self, path: &str) -> bool {
        self.at(path).0 == "true"
    }

    /// Whether it is `null`, or not there.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The items of the list at a path, or the one thing that stands in its place.
    pub fn items(self, path: &str) -> impl Iterator<Item = Self> {
        let list = self.at(path);
        let one = (!list.0.starts_with('[') && !list.is_null()).then_some(list);
        one.into_iter().chain(Items::of(list.0).map(Self))
    }

    /// Reads it as something of a type, such as a list of vectors; `what` names it where it is not.
    pub fn to<T: DeserializeOwned>(self, what: &str) -> Result<T> {
        read(what, self.0.as_bytes())
    }

    /// As upstream wrote it: for arguments, whose numbers and order would change if they were read and written again.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// What [`Json::as_str`] gave, kept in the meantime.
impl<'a> From<&'a str> for Json<'a> {
    fn from(kept: &'a str) -> Self {
        Self(kept)
    }
}

/// Whether a key as it was written has this name.
fn is_key(written: &str, name: &str) -> bool {
    let is_escaped = || written.contains('\\');
    let inside = written.get(1..written.len() - 1);
    inside == Some(name) || (is_escaped() && Json(written).text("") == name)
}

/// A text in which something is escaped. Read as bytes, for as a text half a character would be refused.
struct Unescaped(String);

impl<'de> Deserialize<'de> for Unescaped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Unescaped;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Unescaped(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const WRITTEN: &[u8] = br#" {"a": {"b\n": ["x", {"c": "y\u00e9\ud83d\ude00"}]}, "half": "1\ud83d2",
        "counts": [3, 4.0, -1, "5", 1e30, 0.5], "one": {"d": true}, "none": null, "raw": {"z": 1.50, "a": 12345678901234567890123} }"#;

    fn written() -> Json<'static> {
        Json::read("it", WRITTEN).unwrap()
    }

    #[test]
    fn members_are_found_at_their_paths() {
        for (path, text) in [
            ("/a/b\n/0", "x"),
            ("/a/b\n/1/c", "y\u{e9}\u{1f600}"),
            ("/half", "1\u{fffd}\u{fffd}\u{fffd}2"),
            ("/a/b\n/2", ""),
            ("/a/b\n/c", ""),
            ("/none", ""),
            ("/none/deeper", ""),
            ("/counts/0", ""),
            ("/counts/3", "5"),
        ] {
            assert_eq!(written().text(path), text, "{path}");
        }
        assert!(matches!(written().text("/a/b\n/0"), Cow::Borrowed("x")), "nothing is copied");
        assert_eq!((written().string("/none"), written().string("/counts/3")), (None, Some("5".into())));
        assert!(written().at("/none").is_null() && written().at("/nowhere").is_null());
        assert!(written().is_true("/one/d") && !written().is_true("/one"));
        assert_eq!(written().at(""), written());
    }

    #[test]
    fn numbers_count_something() {
        let numbers: Vec<_> = written().items("/counts").map(|number| number.number("")).collect();
        assert_eq!(numbers, [Some(3), Some(4), None, None, None, Some(0)]);
    }

    #[test]
    fn a_list_is_gone_through_and_one_thing_is_as_a_list_of_it() {
        let many = |path: &str| written().items(path).count();
        assert_eq!((many("/counts"), many("/one"), many("/none"), many("/nowhere")), (6, 1, 0, 0));
    }

    #[test]
    fn what_is_kept_is_as_it_was_written() {
        let kept = written().at("/raw").as_str().to_owned();
        assert_eq!(kept, r#"{"z": 1.50, "a": 12345678901234567890123}"#);
        assert_eq!(Json::from(&*kept).number("/z"), Some(1));
        assert_eq!(
            written().at("/counts").to::<Vec<f32>>("it").unwrap_err().kind,
            ErrorKind::UnreadableAnswer
        );
        assert_eq!(written().at("/one/d").to::<bool>("it"), Ok(true));
    }

    #[test]
    fn what_is_no_json_is_none() {
        for json in ["", "<html>", r#"{"a": 1"#, r#"{"a": "\x"}"#, "{} {}", "{\"a\": \"\u{1}\"}"] {
            assert_eq!(Json::read("it", json.as_bytes()).unwrap_err().message, "it cannot be read", "{json}");
        }
        assert!(Json::read("it", b"{\"a\": \"\xff\"}").is_err());
    }
}

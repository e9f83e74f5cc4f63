//! One chunk of a streamed answer, and what it carries, told by a parse that copies nothing.

use std::fmt;

use bytes::Bytes;
use patchbay_plugin_api::abi::chunk_flags;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One `chat.completion.chunk`, or `text_completion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its JSON, as upstream wrote it.
    pub json: Bytes,
    /// Bits of [`chunk_flags`].
    pub flags: u32,
}

impl Chunk {
    /// Whether a client sees the answer begin with it: text, a tool call or reasoning.
    pub fn has_content(&self) -> bool {
        self.flags & chunk_flags::CONTENT != 0
    }

    /// Whether it carries a finish reason or token counts.
    pub fn has_ending(&self) -> bool {
        self.flags & (chunk_flags::FINISH | chunk_flags::USAGE) != 0
    }

    /// Whether it carries token counts and nothing else: no choice at all.
    pub fn is_only_usage(&self) -> bool {
        #[derive(Deserialize)]
        struct Shape {
            choices: Option<Vec<IgnoredAny>>,
        }
        self.flags & (chunk_flags::USAGE | chunk_flags::CONTENT | chunk_flags::FINISH) == chunk_flags::USAGE
            && serde_json::from_slice(&self.json)
                .is_ok_and(|shape: Shape| shape.choices.is_none_or(|choices| choices.is_empty()))
    }
}

/// What an upstream's event turned out to be.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    /// A chunk, with its flags.
    Chunk(u32),
    /// An error in the place of a chunk.
    Error(&'a RawValue),
}

/// Looks at an event of a stream.
pub(super) fn look(json: &[u8]) -> Result<Seen<'_>, serde_json::Error> {
    // serde passes over what nobody here reads without a look at its bytes, and it goes to the client as it is.
    let json = std::str::from_utf8(json).map_err(serde_json::Error::custom)?;
    let head: Head<'_> = serde_json::from_str(json)?;
    if let Some(error) = head.error {
        return Ok(Seen::Error(error));
    }
    let usage = head.usage.map_or(0, |_| chunk_flags::USAGE);
    Ok(Seen::Chunk(head.choices.map_or(0, |choices| choices.0) | usage))
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    choices: Option<Choices>,
    usage: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    delta: Option<Delta>,
    /// What there is in place of the delta where texts are completed.
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    finish_reason: Option<IgnoredAny>,
}

/// The flags of all choices.
struct Choices(u32);

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Choices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Choices, A::Error> {
                let mut flags = 0;
                while let Some(choice) = list.next_element::<Choice<'_>>()? {
                    if choice.delta.is_some_and(|delta| delta.0) || choice.text.is_some_and(is_filled) {
                        flags |= chunk_flags::CONTENT;
                    }
                    if choice.finish_reason.is_some() {
                        flags |= chunk_flags::FINISH;
                    }
                }
                Ok(Choices(flags))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Whether the delta holds anything but the role. Which members those are is the vendors' business (`content`,
/// `tool_calls`, `reasoning`, `refusal`, `images`, ...): one that was not known here would never be seen to begin.
struct Delta(bool);

impl<'de> Deserialize<'de> for Delta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Delta;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a delta")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Delta, A::Error> {
                let mut filled = false;
                while let Some((IsRole(role), value)) = map.next_entry::<IsRole, &RawValue>()? {
                    filled |= !role && is_filled(value);
                }
                Ok(Delta(filled))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn is_filled(value: &RawValue) -> bool {
    !matches!(value.get(), "null" | "\"\"" | "[]" | "{}")
}

struct IsRole(bool);

impl<'de> Deserialize<'de> for IsRole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = IsRole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_str<E>(self, name: &str) -> Result<IsRole, E> {
                Ok(IsRole(name == "role"))
            }
        }
        deserializer.deserialize_identifier(Word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, content: bool, finish: bool, usage: bool) {
        let Seen::Chunk(flags) = look(json.as_bytes()).unwrap() else { panic!("{json} is an error") };
        let seen = |flag| flags & flag != 0;
        assert_eq!(
            (seen(chunk_flags::CONTENT), seen(chunk_flags::FINISH), seen(chunk_flags::USAGE)),
            (content, finish, usage),
            "{json}"
        );
    }

    #[test]
    fn flags_say_what_a_chunk_carries() {
        check(
            r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            false,
            false,
            false,
        );
        check(
            r#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}],"usage":null}"#,
            true,
            false,
            false,
        );
        check(r#"{"choices":[{"delta":{"content":null,"tool_calls":[{"index":0}]}}]}"#, true, false, false);
        check(r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#, true, false, false);
        check(
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"total_tokens":1}}"#,
            false,
            true,
            true,
        );
        check(r#"{"choices":[],"usage":{"total_tokens":1}}"#, false, false, true);
        check(r#"{"choices":[{"delta":null},{"delta":{"content":"b"}}],"error":null}"#, true, false, false);
        check(r#"{"id":"x"}"#, false, false, false);
        check(r#"{"choices":[{"text":"a","index":0,"finish_reason":null}]}"#, true, false, false);
        check(r#"{"choices":[{"text":"","index":0,"finish_reason":"length"}]}"#, false, true, false);
        check(r#"{"choices":[{"text":null},{"text":" "}],"usage":null}"#, true, false, false);
    }

    #[test]
    fn a_chunk_of_token_counts_alone_has_no_choice() {
        for (json, expected) in [
            (r#"{"choices":[],"usage":{"total_tokens":1}}"#, true),
            (r#"{"usage":{"total_tokens":1}}"#, true),
            (r#"{"choices":[{"delta":{"role":"assistant"}}],"usage":{"total_tokens":1}}"#, false),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"total_tokens":1}}"#, false),
            (r#"{"choices":[]}"#, false),
        ] {
            let Seen::Chunk(flags) = look(json.as_bytes()).unwrap() else { panic!("{json} is an error") };
            assert_eq!(Chunk { json: json.into(), flags }.is_only_usage(), expected, "{json}");
        }
    }

    #[test]
    fn errors_and_nonsense_are_told_apart() {
        assert!(matches!(look(br#"{"error":{"message":"no"}}"#), Ok(Seen::Error(_))));
        for json in ["", "{", "[]", "hello", r#"{"choices":{}}"#] {
            assert!(look(json.as_bytes()).is_err(), "{json}");
        }
        assert!(look(b"{\"id\":\"\xFF\"}").is_err(), "what is no UTF-8 is no JSON, wherever it is");
    }
}

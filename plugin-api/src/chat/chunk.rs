//! One piece of a streamed answer.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{FinishReason, Usage};
use crate::abi::chunk_flags::{CONTENT, FINISH, USAGE};

/// A piece of an answer, in the order in which a stream gives them: content, then finish, then usage.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Chunk {
    /// Some more text.
    Text(String),
    /// Some more of what the model thinks before it answers.
    Reasoning(String),
    /// The beginning of a tool call, or some more of its arguments.
    ToolCall {
        /// Which of the answer's tool calls, from 0.
        index: u32,
        /// Its id, in its first chunk.
        id: Option<String>,
        /// The function, in its first chunk.
        name: Option<String>,
        /// Some more of the arguments' JSON.
        arguments: String,
    },
    /// Further members of a tool call that has begun, such as the signature some models want back with its result.
    ToolCallExtra {
        /// Which of the answer's tool calls, from 0.
        index: u32,
        /// The members, as they stand in [`ToolCall`](super::ToolCall).
        extra: Map<String, Value>,
    },
    /// The answer is over.
    Finish(FinishReason),
    /// What it cost.
    Usage(Usage),
    /// A `chat.completion.chunk` object as upstream wrote it.
    Raw(Vec<u8>),
}

impl Chunk {
    /// Some more text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Some more of what the model thinks.
    pub fn reasoning(text: impl Into<String>) -> Self {
        Self::Reasoning(text.into())
    }

    /// A tool call's first chunk has its id and the function's name; those that follow only add to the arguments.
    pub fn tool_call(
        index: u32,
        id: Option<String>,
        name: Option<String>,
        arguments: impl Into<String>,
    ) -> Self {
        Self::ToolCall { index, id, name, arguments: arguments.into() }
    }

    /// Further members of a tool call that has begun.
    pub fn tool_call_extra(index: u32, extra: Map<String, Value>) -> Self {
        Self::ToolCallExtra { index, extra }
    }

    /// The answer is over.
    pub fn finish(reason: FinishReason) -> Self {
        Self::Finish(reason)
    }

    /// What it cost.
    pub fn usage(usage: Usage) -> Self {
        Self::Usage(usage)
    }

    /// A `chat.completion.chunk` object as upstream wrote it: its bytes reach the client untouched.
    pub fn raw(json: impl Into<Vec<u8>>) -> Self {
        Self::Raw(json.into())
    }

    /// What the chunk carries, in bits of [`chunk_flags`](crate::abi::chunk_flags).
    pub fn flags(&self) -> u32 {
        match self {
            Self::Text(text) | Self::Reasoning(text) => flag(!text.is_empty(), CONTENT),
            Self::ToolCall { .. } | Self::ToolCallExtra { .. } => CONTENT,
            Self::Finish(_) => FINISH,
            Self::Usage(_) => USAGE,
            Self::Raw(json) => raw_flags(json),
        }
    }
}

fn flag(set: bool, flag: u32) -> u32 {
    if set { flag } else { 0 }
}

/// Looks into a chunk without building it; what cannot be read carries nothing.
fn raw_flags(json: &[u8]) -> u32 {
    #[derive(Deserialize)]
    struct Seen<'a> {
        #[serde(borrow)]
        choices: Option<Vec<Choice<'a>>>,
        usage: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Choice<'a> {
        #[serde(borrow)]
        delta: Option<Delta<'a>>,
        finish_reason: Option<IgnoredAny>,
    }
    let Ok(seen) = serde_json::from_slice::<Seen<'_>>(json) else { return 0 };
    let choices = seen.choices.unwrap_or_default();
    let content = choices.iter().any(|choice| choice.delta.as_ref().is_some_and(|delta| delta.0.is_some()));
    let finish = choices.iter().any(|choice| choice.finish_reason.is_some());
    flag(content, CONTENT) | flag(finish, FINISH) | flag(seen.usage.is_some(), USAGE)
}

/// The first member of a delta that says something.
///
/// Any member but the role counts, known or not: a provider's new kind of content must not look like silence to
/// the host's timeouts.
struct Delta<'a>(Option<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Delta<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Delta<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a delta")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Delta<'de>, A::Error> {
                let mut said = None;
                while let Some(name) = members.next_key::<Name>()? {
                    let value: &RawValue = members.next_value()?;
                    let empty = matches!(value.get(), "null" | "\"\"" | "[]" | "{}");
                    if name == Name::Other && !empty {
                        said.get_or_insert(value);
                    }
                }
                Ok(Delta(said))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[derive(Deserialize, PartialEq)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    Role,
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_chunks_say_what_they_carry() {
        for (json, flags) in [
            (r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#, 0),
            (r#"{"choices":[{"delta":{"content":"a"}}],"usage":null}"#, CONTENT),
            (r#"{"choices":[{"delta":{"role":"assistant","content":null,"reasoning":"hm"}}]}"#, CONTENT),
            (r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#, CONTENT),
            (r#"{"choices":[{"delta":{"\u0072ole":"assistant"}}]}"#, 0),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, FINISH),
            (r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{}}"#, 7),
            (r#"{"choices":[],"usage":{"total_tokens":1}}"#, USAGE),
            (r#"{"choices":null}"#, 0),
            ("not json", 0),
        ] {
            assert_eq!(Chunk::raw(json).flags(), flags, "{json}");
        }
    }
}

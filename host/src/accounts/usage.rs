//! What an answer took, in tokens.

use schemars::JsonSchema;
use serde::de::{IgnoredAny, MapAccess};
use serde::{Deserialize, Serialize};

use crate::lenient::{Wanted, wanted};
use crate::providers::Tokens;

/// Token counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "TokenUsage")]
pub struct Usage {
    /// Of the question.
    pub prompt_tokens: u64,
    /// Of the answer.
    pub completion_tokens: u64,
    /// Of both.
    pub total_tokens: u64,
    /// Of the question, what was read before.
    #[serde(skip_serializing_if = "is_none")]
    pub cached_tokens: u64,
    /// Of the question, what is kept for the next time.
    #[serde(skip_serializing_if = "is_none")]
    pub cache_write_tokens: u64,
    /// Of the answer, what were thoughts.
    #[serde(skip_serializing_if = "is_none")]
    pub reasoning_tokens: u64,
}

impl Usage {
    /// The tokens that have prices of their own.
    pub(crate) fn tokens(&self) -> Tokens {
        Tokens {
            prompt: self.prompt_tokens,
            cached_prompt: self.cached_tokens,
            cache_write: self.cache_write_tokens,
            completion: self.completion_tokens,
            reasoning: self.reasoning_tokens,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Counts as upstreams write them; what is not counted counts as none.
impl Wanted for Usage {
    fn of_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Member {
            PromptTokens,
            CompletionTokens,
            TotalTokens,
            PromptTokensDetails,
            CompletionTokensDetails,
            #[serde(other)]
            Other,
        }
        let (mut usage, mut total) = (Self::default(), None);
        while let Some(member) = object.next_key()? {
            match member {
                Member::PromptTokens => usage.prompt_tokens = count(&mut object)?,
                Member::CompletionTokens => usage.completion_tokens = count(&mut object)?,
                Member::TotalTokens => total = wanted(&mut object)?,
                Member::PromptTokensDetails => {
                    let Details { cached, written, .. } = details(&mut object)?;
                    (usage.cached_tokens, usage.cache_write_tokens) = (cached, written);
                }
                Member::CompletionTokensDetails => usage.reasoning_tokens = details(&mut object)?.reasoning,
                Member::Other => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        let sum = usage.prompt_tokens.saturating_add(usage.completion_tokens);
        usage.total_tokens = total.unwrap_or(sum);
        Ok(Some(usage))
    }
}

/// What some of the tokens were.
#[derive(Default)]
struct Details {
    cached: u64,
    written: u64,
    reasoning: u64,
}

impl Wanted for Details {
    fn of_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Member {
            CachedTokens,
            CacheWriteTokens,
            ReasoningTokens,
            #[serde(other)]
            Other,
        }
        let mut details = Self::default();
        while let Some(member) = object.next_key()? {
            match member {
                Member::CachedTokens => details.cached = count(&mut object)?,
                Member::CacheWriteTokens => details.written = count(&mut object)?,
                Member::ReasoningTokens => details.reasoning = count(&mut object)?,
                Member::Other => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(details))
    }
}

fn count<'de, A: MapAccess<'de>>(object: &mut A) -> Result<u64, A::Error> {
    Ok(wanted(object)?.unwrap_or(0))
}

fn details<'de, A: MapAccess<'de>>(object: &mut A) -> Result<Details, A::Error> {
    Ok(wanted(object)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lenient::Lenient;

    #[test]
    fn counts_are_read_as_upstreams_write_them() {
        for (json, expected) in [
            (r#"{"prompt_tokens":3,"completion_tokens":2.0}"#, (3, 2, 5, 0, 0, 0)),
            (r#"{"prompt_tokens":3,"total_tokens":9}"#, (3, 0, 9, 0, 0, 0)),
            (
                r#"{"prompt_tokens":9,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":2,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":5}}"#,
                (9, 8, 17, 4, 2, 5),
            ),
            (
                r#"{"prompt_tokens":1,"prompt_tokens_details":null,"completion_tokens_details":"none"}"#,
                (1, 0, 1, 0, 0, 0),
            ),
        ] {
            let Lenient(read) = serde_json::from_str::<Lenient<Usage>>(json).unwrap();
            let read = read.unwrap();
            let Usage { prompt_tokens, completion_tokens, total_tokens, .. } = read;
            let details = (read.cached_tokens, read.cache_write_tokens, read.reasoning_tokens);
            let counts = (prompt_tokens, completion_tokens, total_tokens, details.0, details.1, details.2);
            assert_eq!(counts, expected, "{json}");
        }
        for json in ["null", "[]", "7"] {
            assert_eq!(serde_json::from_str::<Lenient<Usage>>(json).unwrap(), Lenient(None), "{json}");
        }
    }
}

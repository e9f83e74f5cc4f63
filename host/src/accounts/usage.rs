//! What an answer took, in tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

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

/// A count. Some upstreams count in floating point.
pub(crate) fn number(json: &RawValue) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, which will do"
    )]
    serde_json::from_str::<f64>(json.get()).ok().map(|number| number as u64)
}

/// What is counted; what is not counts as none.
pub(crate) fn usage(json: &RawValue) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Counts<'a> {
        #[serde(borrow)]
        prompt_tokens: Option<&'a RawValue>,
        #[serde(borrow)]
        completion_tokens: Option<&'a RawValue>,
        #[serde(borrow)]
        total_tokens: Option<&'a RawValue>,
        #[serde(borrow)]
        prompt_tokens_details: Option<&'a RawValue>,
        #[serde(borrow)]
        completion_tokens_details: Option<&'a RawValue>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Details<'a> {
        #[serde(borrow)]
        cached_tokens: Option<&'a RawValue>,
        #[serde(borrow)]
        cache_write_tokens: Option<&'a RawValue>,
        #[serde(borrow)]
        reasoning_tokens: Option<&'a RawValue>,
    }
    fn details(json: Option<&RawValue>) -> Details<'_> {
        json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
    }
    let counts: Counts<'_> = serde_json::from_str(json.get()).ok()?;
    let prompt_tokens = counts.prompt_tokens.and_then(number).unwrap_or(0);
    let completion_tokens = counts.completion_tokens.and_then(number).unwrap_or(0);
    let sum = prompt_tokens.saturating_add(completion_tokens);
    let (read, written) = (details(counts.prompt_tokens_details), details(counts.completion_tokens_details));
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: counts.total_tokens.and_then(number).unwrap_or(sum),
        cached_tokens: read.cached_tokens.and_then(number).unwrap_or(0),
        cache_write_tokens: read.cache_write_tokens.and_then(number).unwrap_or(0),
        reasoning_tokens: written.reasoning_tokens.and_then(number).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let read = usage(&RawValue::from_string(json.to_owned()).unwrap()).unwrap();
            let Usage { prompt_tokens, completion_tokens, total_tokens, .. } = read;
            let details = (read.cached_tokens, read.cache_write_tokens, read.reasoning_tokens);
            let counts = (prompt_tokens, completion_tokens, total_tokens, details.0, details.1, details.2);
            assert_eq!(counts, expected, "{json}");
        }
        for json in ["null", "[]", "7"] {
            assert_eq!(usage(&RawValue::from_string(json.to_owned()).unwrap()), None, "{json}");
        }
    }
}

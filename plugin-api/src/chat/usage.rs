//! What an answer cost in tokens.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::json::null_is_default;

/// Token counts of one answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Read")]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Both, unless the provider counts otherwise.
    pub total_tokens: u64,
    /// The provider's details, such as how many tokens came from a cache.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Usage {
    /// Counts without details.
    pub fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        let total_tokens = prompt_tokens.saturating_add(completion_tokens);
        Self { prompt_tokens, completion_tokens, total_tokens, extra: Map::new() }
    }
}

/// Usage as providers write it: counts may be missing, and the total often is.
#[derive(Deserialize)]
struct Read {
    #[serde(default, deserialize_with = "null_is_default")]
    prompt_tokens: u64,
    #[serde(default, deserialize_with = "null_is_default")]
    completion_tokens: u64,
    total_tokens: Option<u64>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl From<Read> for Usage {
    fn from(read: Read) -> Self {
        let sum = Self::new(read.prompt_tokens, read.completion_tokens);
        Self { total_tokens: read.total_tokens.unwrap_or(sum.total_tokens), extra: read.extra, ..sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_added_up_where_it_is_missing() {
        let usage: Usage = serde_json::from_str(r#"{"prompt_tokens": 3, "completion_tokens": 4}"#).unwrap();
        assert_eq!(usage, Usage::new(3, 4));
        let detailed = r#"{"prompt_tokens":1,"completion_tokens":0,"total_tokens":9,"cached":1}"#;
        let usage: Usage = serde_json::from_str(detailed).unwrap();
        assert_eq!(serde_json::to_string(&usage).unwrap(), detailed);
    }
}

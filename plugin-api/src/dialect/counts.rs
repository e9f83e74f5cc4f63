//! Where a vendor counts tokens.

use serde_json::{Map, Value};

use super::{Json, NOWHERE};
use crate::chat::Usage;

/// Where a vendor's counts of tokens stand, as paths of [`Json`]; take those that it has not from [`Counts::NONE`].
///
/// ```
/// use patchbay_plugin_api::dialect::{Counts, Json};
///
/// const COUNTS: Counts = Counts {
///     prompt: &["/read", "/read_from_cache"],
///     completion: &["/written"],
///     cached: "/read_from_cache",
///     ..Counts::NONE
/// };
///
/// let usage = COUNTS.of(&[Json::from(r#"{"read": 3, "read_from_cache": 4, "written": 5}"#)]).unwrap();
/// assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (7, 5, 12));
/// assert_eq!(usage.extra["prompt_tokens_details"]["cached_tokens"], 4);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// What was read, added up: OpenAI's count holds what other vendors count apart.
    pub prompt: &'static [&'static str],
    /// What was written, thoughts included, added up.
    pub completion: &'static [&'static str],
    /// Both, where the vendor has its own sum.
    pub total: &'static str,
    /// Those of the prompt that were read before.
    pub cached: &'static str,
    /// Those of the prompt that are kept for the next time.
    pub cache_write: &'static str,
    /// Those of the completion that were thoughts.
    pub reasoning: &'static str,
}

impl Counts {
    /// Nothing is counted.
    pub const NONE: Self = Self {
        prompt: &[],
        completion: &[],
        total: NOWHERE,
        cached: NOWHERE,
        cache_write: NOWHERE,
        reasoning: NOWHERE,
    };

    /// Reads the counts; none where neither side is counted. Of several, each count is taken from the first that has it.
    pub fn of(&self, counted: &[Json<'_>]) -> Option<Usage> {
        let count = |path: &str| counted.iter().find_map(|counts| counts.number(path));
        let sum = |paths: &[&str]| paths.iter().filter_map(|path| count(path)).reduce(u64::saturating_add);
        let (prompt, completion) = (sum(self.prompt), sum(self.completion));
        prompt.or(completion)?;
        let mut usage = Usage::new(prompt.unwrap_or(0), completion.unwrap_or(0));
        usage.total_tokens = count(self.total).unwrap_or(usage.total_tokens);
        // No more can come from a cache than was read.
        let cached = count(self.cached).map(|cached| cached.min(usage.prompt_tokens));
        for (details, name, count) in [
            ("prompt_tokens_details", "cached_tokens", cached),
            ("prompt_tokens_details", "cache_write_tokens", count(self.cache_write)),
            ("completion_tokens_details", "reasoning_tokens", count(self.reasoning)),
        ] {
            if let Some(count) = count.filter(|count| *count > 0) {
                let details = usage.extra.entry(details).or_insert_with(|| Value::Object(Map::new()));
                details[name] = count.into();
            }
        }
        Some(usage)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COUNTS: Counts = Counts {
        prompt: &["/in", "/tools/in"],
        completion: &["/out", "/thoughts"],
        total: "/all",
        cached: "/cached",
        cache_write: "/kept",
        reasoning: "/thoughts",
    };

    #[test]
    fn counts_become_openais() {
        for (counted, expected) in [
            (vec!["{}"], json!(null)),
            (vec!["null"], json!(null)),
            (vec![r#"{"in": 0}"#], json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})),
            (
                vec![r#"{"in": 1, "tools": {"in": 2}, "out": 4.0, "thoughts": 8, "cached": 9, "kept": 1}"#],
                json!({"prompt_tokens": 3, "completion_tokens": 12, "total_tokens": 15,
                    "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 1},
                    "completion_tokens_details": {"reasoning_tokens": 8}}),
            ),
            (
                vec![r#"{"out": 5, "in": null}"#, r#"{"in": 3, "out": 1, "cached": 0, "all": 9}"#],
                json!({"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 9}),
            ),
        ] {
            let read: Vec<_> = counted.iter().map(|counts| Json::from(*counts)).collect();
            assert_eq!(json!(COUNTS.of(&read)), expected, "{counted:?}");
        }
    }
}

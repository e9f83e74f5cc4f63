//! A question what a request would cost: its body, or only how many tokens it would take.

use bytes::Bytes;

use super::{EmbedRequest, RequestError, field, messages, model, needs, strategy, text};
use crate::config::Strategy;
use crate::gateway::select::Target;
use crate::plugins::Feature;
use crate::providers::{Members, Tokens};

/// See the module.
#[derive(Clone, Debug)]
pub struct EstimateRequest {
    provider: Option<String>,
    model: Option<String>,
    strategy: Option<Strategy>,
    /// What whoever serves it has to support.
    pub(in crate::gateway) needs: Vec<Feature>,
    members: Members,
    /// How many tokens it says that it takes.
    pub(in crate::gateway) said: Said,
}

/// The counts that are not to be guessed.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::gateway) struct Said {
    pub(in crate::gateway) prompt: Option<u64>,
    pub(in crate::gateway) completion: Option<u64>,
    /// Those that are parts of others: none where it does not say.
    pub(in crate::gateway) parts: Tokens,
}

impl EstimateRequest {
    /// Reads a body: that of a request to any surface, with counts in it or instead of what is to be counted.
    pub fn parse(body: &Bytes) -> Result<Self, RequestError> {
        let members = Members::parse(body).map_err(|error| RequestError::NotAnObject(error.to_string()))?;
        let said = Said {
            prompt: count(&members, "prompt_tokens")?,
            completion: count(&members, "completion_tokens")?,
            parts: Tokens {
                cached_prompt: count(&members, "cached_tokens")?.unwrap_or(0),
                cache_write: count(&members, "cache_write_tokens")?.unwrap_or(0),
                reasoning: count(&members, "reasoning_tokens")?.unwrap_or(0),
                ..Tokens::default()
            },
        };
        let counted = ["messages", "prompt", "input"].iter().any(|name| members.has(name));
        if said.prompt.is_none() && !counted {
            return Err(RequestError::Missing("messages (or prompt_tokens)"));
        }
        Ok(Self {
            needs: needed(&members)?,
            provider: text(&members, "provider")?,
            model: model(&members)?,
            strategy: text(&members, "strategy")?.map(|word| strategy(&word)).transpose()?,
            members,
            said,
        })
    }

    /// Whom it asks for.
    pub(in crate::gateway) fn target(&self) -> Target<'_> {
        Target {
            provider: self.provider.as_deref(),
            model: self.model.as_deref(),
            strategy: self.strategy,
            body: Some(&self.members),
            only_looking: true,
        }
    }

    pub(in crate::gateway) fn body(&self) -> &Members {
        &self.members
    }
}

/// As it is for the surface that the body is for; of a conversation where there are only counts.
fn needed(members: &Members) -> Result<Vec<Feature>, RequestError> {
    match members.get("messages") {
        Some(messages) => Ok(needs(members, messages::look(messages).map_err(RequestError::Messages)?)),
        None if members.has("input") => Ok(EmbedRequest::NEEDS.to_vec()),
        None => Ok(needs(members, messages::Contents::default())),
    }
}

/// A count of tokens, as a number or as a form sends it.
fn count(members: &Members, name: &'static str) -> Result<Option<u64>, RequestError> {
    let Some(json) = members.get(name).filter(|json| json.as_ref() != b"null") else { return Ok(None) };
    let digits = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(json);
    let count =
        serde_json::from_slice(digits).map_err(|_| field(name, "must be a whole number of tokens"))?;
    Ok(Some(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_may_stand_for_what_is_counted() {
        let parse = |body: &'static str| EstimateRequest::parse(&Bytes::from_static(body.as_bytes()));
        let request = parse(
            r#"{"model":"m","prompt_tokens":10,"completion_tokens":"7","cached_tokens":null,"reasoning_tokens":2}"#,
        );
        let said = request.unwrap().said;
        assert_eq!((said.prompt, said.completion, said.parts.reasoning), (Some(10), Some(7), 2));
        for (body, problem) in [
            (r#"{"model":"m"}"#, "messages (or prompt_tokens) is required"),
            (r#"{"prompt_tokens":-1}"#, "prompt_tokens must be a whole number of tokens"),
            (r#"{"prompt_tokens":1.5}"#, "prompt_tokens must be a whole number of tokens"),
            (r#"{"prompt":"x","strategy":"cheap"}"#, "strategy \"cheap\" is not known"),
            (r#"{"messages":[]}"#, "Messages must not be empty"),
        ] {
            let error = parse(body).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
        }
    }
}

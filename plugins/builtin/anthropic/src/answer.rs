//! From a message of Anthropic's to a canonical answer.

use patchbay_plugin_api::{Answer, FinishReason, ProviderError, Result, ToolCall, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::failure;

/// A whole message.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    content: Vec<Block>,
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Counts,
}

/// One block of a message. Kinds that only Anthropic's own tools make have none of these members.
#[derive(Deserialize)]
pub(crate) struct Block {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) thinking: String,
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    // As upstream wrote it, so that its members keep their order.
    input: Option<Box<RawValue>>,
}

/// Counts of tokens. In a stream each replaces the one before.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Counts {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

pub(crate) fn read(body: &[u8]) -> Result<Answer> {
    let said: Said = match serde_json::from_slice(body) {
        Ok(said) => said,
        Err(error) => {
            // An error may come with a status of success.
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            let unreadable = ProviderError::unreadable("the provider's answer is not a message");
            let unreadable = unreadable.with_detail(error.to_string());
            return Err(if body["type"] == "error" { failure::within(&body["error"]) } else { unreadable });
        }
    };
    let (mut text, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    for block in said.content {
        match block.kind.as_str() {
            "text" => text += &block.text,
            "thinking" => thoughts += &block.thinking,
            "tool_use" => {
                let arguments = block.input.as_deref().map_or("{}", RawValue::get);
                calls.push(ToolCall::function(block.id, block.name, arguments));
            }
            _ => {}
        }
    }
    let mut answer = Answer::text(text).with_usage(said.usage.into());
    if !thoughts.is_empty() {
        answer = answer.with_reasoning(thoughts);
    }
    if !said.id.is_empty() {
        answer = answer.with_id(said.id);
    }
    if !said.model.is_empty() {
        answer = answer.with_model(said.model);
    }
    let reason = finish_reason(said.stop_reason.as_deref(), !calls.is_empty());
    if !calls.is_empty() {
        answer = answer.with_tool_calls(calls);
    }
    Ok(answer.with_finish_reason(reason))
}

/// Why an answer ended, in OpenAI's words.
pub(crate) fn finish_reason(reason: Option<&str>, calls: bool) -> FinishReason {
    match reason {
        None if calls => FinishReason::ToolCalls,
        // A turn that paused waits to be sent back, which a client may do with an answer that stopped.
        None | Some("end_turn" | "stop_sequence" | "pause_turn") => FinishReason::Stop,
        Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
        Some("tool_use") => FinishReason::ToolCalls,
        Some("refusal") => FinishReason::ContentFilter,
        Some(newer) => FinishReason::from(newer),
    }
}

impl Counts {
    pub(crate) fn update(&mut self, newer: Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
    }
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        let count = Option::unwrap_or_default;
        let (written, cached) =
            (count(counts.cache_creation_input_tokens), count(counts.cache_read_input_tokens));
        // Anthropic counts apart what went through its cache; OpenAI counts all that was read.
        let read: u64 = count(counts.input_tokens).saturating_add(written).saturating_add(cached);
        let mut usage = Self::new(read, count(counts.output_tokens));
        if written > 0 || cached > 0 {
            let details = json!({"cached_tokens": cached, "cache_write_tokens": written});
            usage.extra.insert("prompt_tokens_details".into(), details);
        }
        usage
    }
}

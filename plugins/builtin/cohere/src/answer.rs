//! Answers of Cohere's, and what whole and streamed ones have in common.

use patchbay_plugin_api::{Answer, ErrorKind, FinishReason, ProviderError, Result, ToolCall, Usage};
use serde::Deserialize;
use serde_json::json;

use crate::failure;

#[derive(Deserialize)]
struct Said {
    id: Option<String>,
    message: Message,
    finish_reason: Option<String>,
    usage: Option<Counted>,
}

/// Citations are left out: clients of OpenAI's have no place for them, and the text is whole without.
#[derive(Deserialize)]
struct Message {
    content: Option<Vec<Block>>,
    tool_plan: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
}

/// A block of a content, or some more of one. Its type is told by its member.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Block {
    pub(crate) text: String,
    pub(crate) thinking: String,
}

#[derive(Deserialize)]
pub(crate) struct Counted {
    billed_units: Option<Units>,
    tokens: Option<Units>,
    cached_tokens: Option<f64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Units {
    input_tokens: f64,
    output_tokens: f64,
}

/// Reads a whole answer.
pub(crate) fn whole(body: &[u8]) -> Result<Answer> {
    let Said { id, message, finish_reason, usage } = read("the provider's answer", body)?;
    let mut calls = message.tool_calls.unwrap_or_default();
    let reason = finish(finish_reason.as_deref(), !calls.is_empty())?;
    // What it plans to do with its tools is what it says beside calling them.
    let (mut text, mut thoughts) = (message.tool_plan.unwrap_or_default(), String::new());
    for block in message.content.unwrap_or_default() {
        text += &block.text;
        thoughts += &block.thinking;
    }
    let mut answer = Answer::text(text).with_finish_reason(reason);
    if !thoughts.is_empty() {
        answer = answer.with_reasoning(thoughts);
    }
    if !calls.is_empty() {
        for call in calls.iter_mut().filter(|call| is_nothing(&call.function.arguments)) {
            call.function.arguments = "{}".into();
        }
        answer = answer.with_tool_calls(calls);
    }
    let answer = id.into_iter().fold(answer, Answer::with_id);
    Ok(usage.map(Usage::from).into_iter().fold(answer, Answer::with_usage))
}

/// Of functions without parameters some models write no arguments, and some `null`.
pub(crate) fn is_nothing(arguments: &str) -> bool {
    matches!(arguments.trim(), "" | "null")
}

/// Why an answer ended. One that failed on the way is none.
pub(crate) fn finish(reason: Option<&str>, called: bool) -> Result<FinishReason> {
    match reason {
        Some("TOOL_CALL") => Ok(FinishReason::ToolCalls),
        None | Some("COMPLETE" | "STOP_SEQUENCE") if called => Ok(FinishReason::ToolCalls),
        None | Some("COMPLETE" | "STOP_SEQUENCE") => Ok(FinishReason::Stop),
        Some("MAX_TOKENS") => Ok(FinishReason::Length),
        Some("ERROR_TOXIC") => Ok(FinishReason::ContentFilter),
        Some("ERROR") => Err(failure::within("")),
        Some("TIMEOUT") => {
            Err(ProviderError::new(ErrorKind::TimedOut, "the provider gave up: its answer took too long"))
        }
        Some(newer) => Ok(FinishReason::from(newer)),
    }
}

impl From<Counted> for Usage {
    /// What is billed, and not what was read: to every request Cohere adds some hundred tokens of its own, which
    /// nobody sent and nobody pays, and costs and budgets are reckoned from these counts.
    fn from(counted: Counted) -> Self {
        let units = counted.billed_units.or(counted.tokens).unwrap_or_default();
        // Counts, though Cohere writes them with a point.
        let mut usage = Self::new(units.input_tokens as u64, units.output_tokens as u64);
        // Some of the cached ones may be Cohere's own; no more can be from a cache than were read.
        let cached = (counted.cached_tokens.unwrap_or_default() as u64).min(usage.prompt_tokens);
        if cached > 0 {
            usage.extra.insert("prompt_tokens_details".into(), json!({"cached_tokens": cached}));
        }
        usage
    }
}

/// Reads what Cohere sent, or says what it was not.
pub(crate) fn read<'a, T: Deserialize<'a>>(what: &str, body: &'a [u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        ProviderError::unreadable(format!("{what} cannot be read")).with_detail(error.to_string())
    })
}

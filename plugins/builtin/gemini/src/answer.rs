//! What Gemini answered, whole or in the events of a stream: both hold the same object.

use patchbay_plugin_api::{
    Answer, Chunk, Chunks, ErrorKind, FinishReason, ProviderError, Result, ToolCall, Usage,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use crate::failure;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    candidates: Vec<Candidate>,
    prompt_feedback: Option<Feedback>,
    usage_metadata: Option<Counted>,
    model_version: Option<String>,
    response_id: Option<String>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Candidate {
    content: Content,
    finish_reason: Option<String>,
    finish_message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Content {
    parts: Vec<Part>,
}

/// What else a part may be (an image, code that ran) has no place in a chat answer, and comes only if asked for.
///
/// The signature of a call must come back with its result, so it goes along as `extra_content`, where Google's own
/// endpoint for OpenAI's clients has it. That of a text may come back, and no client would bring it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Part {
    text: Option<String>,
    thought: bool,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
}

#[derive(Deserialize)]
struct FunctionCall {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default)]
    args: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Counted {
    prompt_token_count: u64,
    tool_use_prompt_token_count: u64,
    cached_content_token_count: u64,
    candidates_token_count: u64,
    thoughts_token_count: u64,
    total_token_count: Option<u64>,
}

/// What is remembered from one event to the next.
#[derive(Default)]
pub(crate) struct Streamed {
    /// How many tool calls there were.
    calls: u32,
    /// Counts come with every event, and the last ones hold.
    usage: Option<Usage>,
}

/// One piece of an answer in terms of the canonical form.
enum Piece {
    Text(String),
    Thought(String),
    Call(ToolCall),
}

/// Reads a whole answer.
pub(crate) fn whole(body: &[u8]) -> Result<Answer> {
    let mut said = read("the provider's answer", body)?;
    let usage = said.usage_metadata.take().map(Counted::usage);
    let (mut text, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    for piece in said.pieces(0) {
        match piece {
            Piece::Text(more) => text += &more,
            Piece::Thought(more) => thoughts += &more,
            Piece::Call(call) => calls.push(call),
        }
    }
    let reason = said
        .end(!calls.is_empty())?
        .ok_or_else(|| ProviderError::unreadable("the provider's answer does not say why it ended"))?;
    let mut answer = Answer::text(text).with_finish_reason(reason);
    if !calls.is_empty() {
        answer = answer.with_tool_calls(calls);
    }
    if !thoughts.is_empty() {
        answer = answer.with_reasoning(thoughts);
    }
    let answer = said.response_id.into_iter().fold(answer, Answer::with_id);
    let answer = said.model_version.into_iter().fold(answer, Answer::with_model);
    Ok(usage.into_iter().fold(answer, Answer::with_usage))
}

/// Reads one event of a stream. Gemini's streams have no word for their end: the event that says why the answer
/// ended is the last, and a stream without one was cut.
pub(crate) fn event(state: &mut Streamed, data: &[u8], out: &mut Chunks) -> Result<()> {
    let mut said = read("an event of the provider's stream", data)?;
    if let Some(counted) = said.usage_metadata.take() {
        state.usage = Some(counted.usage());
    }
    for piece in said.pieces(state.calls) {
        match piece {
            Piece::Text(text) => out.push(Chunk::text(text)),
            Piece::Thought(text) => out.push(Chunk::reasoning(text)),
            Piece::Call(ToolCall { id, function, extra, .. }) => {
                out.push(Chunk::tool_call(state.calls, Some(id), Some(function.name), function.arguments));
                if !extra.is_empty() {
                    out.push(Chunk::tool_call_extra(state.calls, extra));
                }
                state.calls += 1;
            }
        }
    }
    if let Some(reason) = said.end(state.calls > 0)? {
        out.push(Chunk::finish(reason));
        if let Some(usage) = state.usage.take() {
            out.push(Chunk::usage(usage));
        }
        out.finish();
    }
    Ok(())
}

/// Reads what may be a failure in the place of an answer.
fn read(what: &str, body: &[u8]) -> Result<Said> {
    let said: Said = crate::read(what, body)?;
    if said.error.is_some() { Err(failure::within(body)) } else { Ok(said) }
}

impl Said {
    /// What the first candidate says; `calls` have been there before. More than one is never asked for.
    fn pieces(&mut self, calls: u32) -> Vec<Piece> {
        let parts = self.candidates.first_mut().map(|first| std::mem::take(&mut first.content.parts));
        let mut next = calls;
        let answer = self.response_id.as_deref().unwrap_or_default();
        let piece = |part: Part| match (part.function_call, part.text) {
            (Some(call), _) => {
                next += 1;
                Some(Piece::Call(call.canonical(part.thought_signature, answer, next - 1)))
            }
            // A signature may come in a part of its own, with an empty text.
            (None, Some(text)) if text.is_empty() => None,
            (None, Some(text)) if part.thought => Some(Piece::Thought(text)),
            (None, text) => text.map(Piece::Text),
        };
        parts.unwrap_or_default().into_iter().filter_map(piece).collect()
    }

    /// Why the answer ended, if it did.
    fn end(&self, called: bool) -> Result<Option<FinishReason>> {
        let Some(first) = self.candidates.first() else {
            // The question itself was withheld from the model.
            let blocked =
                self.prompt_feedback.as_ref().is_some_and(|feedback| feedback.block_reason.is_some());
            return Ok(blocked.then_some(FinishReason::ContentFilter));
        };
        Ok(Some(match first.finish_reason.as_deref() {
            None | Some("FINISH_REASON_UNSPECIFIED") => return Ok(None),
            Some("STOP") if called => FinishReason::ToolCalls,
            Some("STOP") => FinishReason::Stop,
            Some("MAX_TOKENS") => FinishReason::Length,
            // The model wrote what even Google could not read. Another try may do better, which an answer that looks
            // like a good one would prevent.
            Some(
                reason @ ("MALFORMED_FUNCTION_CALL"
                | "UNEXPECTED_TOOL_CALL"
                | "TOO_MANY_TOOL_CALLS"
                | "MALFORMED_RESPONSE"
                | "MISSING_THOUGHT_SIGNATURE"),
            ) => {
                let message = "the provider's model ended with an answer that cannot be used";
                let error = ProviderError::new(ErrorKind::Provider, message).with_code(reason);
                return Err(match &first.finish_message {
                    Some(said) => error.with_detail(said),
                    None => error,
                });
            }
            // SAFETY, RECITATION, PROHIBITED_CONTENT and what may be added to them: an answer that is not whole, for
            // a reason of Google's.
            Some(_) => FinishReason::ContentFilter,
        }))
    }
}

impl FunctionCall {
    /// Older models give their calls no id, by which a result could refer to them.
    fn canonical(self, signature: Option<String>, answer: &str, index: u32) -> ToolCall {
        let id = self.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{answer}_{index}"));
        let mut call = ToolCall::function(id, self.name, Value::Object(self.args).to_string());
        if let Some(signature) = signature {
            let google = json!({"google": {"thought_signature": signature}});
            call.extra.insert("extra_content".into(), google);
        }
        call
    }
}

impl Counted {
    /// Google counts thoughts apart from the answer, and OpenAI within.
    fn usage(self) -> Usage {
        let prompt = self.prompt_token_count.saturating_add(self.tool_use_prompt_token_count);
        let mut usage =
            Usage::new(prompt, self.candidates_token_count.saturating_add(self.thoughts_token_count));
        usage.total_tokens = self.total_token_count.unwrap_or(usage.total_tokens);
        for (name, member, count) in [
            ("prompt_tokens_details", "cached_tokens", self.cached_content_token_count),
            ("completion_tokens_details", "reasoning_tokens", self.thoughts_token_count),
        ] {
            if count > 0 {
                usage.extra.insert(name.into(), json!({member: count}));
            }
        }
        usage
    }
}

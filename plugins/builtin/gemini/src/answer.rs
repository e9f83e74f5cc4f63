//! What Gemini answered, whole or in the events of a stream: both hold the same object.

use patchbay_plugin_api::{Chunks, ErrorKind, FinishReason, ProviderError, Result, ToolCall, Usage, dialect};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use crate::failure;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    candidates: Vec<Candidate>,
    prompt_feedback: Value,
    usage_metadata: Option<Value>,
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
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Part {
    text: String,
    thought: bool,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
}

#[derive(Deserialize)]
struct FunctionCall {
    #[serde(default)]
    id: String,
    name: String,
    #[serde(default)]
    args: Map<String, Value>,
}

/// Reads an answer or an event. Gemini's streams have no word for their end: the event that says why the answer
/// ended is the last, and a stream without one was cut.
pub(crate) fn read(what: &str, json: &[u8], usage: &mut Option<Usage>, out: &mut Chunks) -> Result<()> {
    let said: Said = dialect::read(what, json)?;
    if said.error.is_some() {
        return Err(failure::within(json));
    }
    *usage = said.usage_metadata.as_ref().map(counted).or(usage.take());
    let answer = said.response_id.clone().unwrap_or_default();
    out.name(said.response_id, said.model_version);
    // More than one is never asked for.
    let Some(first) = said.candidates.into_iter().next() else {
        if said.prompt_feedback["blockReason"].is_string() {
            // The question itself was withheld from the model.
            out.end(FinishReason::ContentFilter, usage.take());
        }
        return Ok(());
    };
    for part in first.content.parts {
        match part.function_call {
            Some(call) => out.tool_call(call.canonical(part.thought_signature, &answer, out.calls())),
            None if part.thought => out.reasoning(part.text),
            None => out.text(part.text),
        }
    }
    let reason = match first.finish_reason.as_deref() {
        None | Some("FINISH_REASON_UNSPECIFIED") => return Ok(()),
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
            return Err(first.finish_message.into_iter().fold(error, ProviderError::with_detail));
        }
        // SAFETY, RECITATION, PROHIBITED_CONTENT and what may be added to them: an answer that is not whole, for a
        // reason of Google's.
        Some(_) => FinishReason::ContentFilter,
    };
    out.end(reason, usage.take());
    Ok(())
}

impl FunctionCall {
    /// Older models give their calls no id, by which a result could refer to them.
    ///
    /// The signature of a call must come back with its result, so it goes along as `extra_content`, where Google's own
    /// endpoint for OpenAI's clients has it. That of a text may come back, and no client would bring it.
    fn canonical(self, signature: Option<String>, answer: &str, index: u32) -> ToolCall {
        let id = if self.id.is_empty() { format!("call_{answer}_{index}") } else { self.id };
        let arguments = serde_json::to_string(&self.args).unwrap_or_default();
        let mut call = ToolCall::function(id, self.name, arguments);
        let google = signature.map(|signature| json!({"google": {"thought_signature": signature}}));
        call.extra.extend(google.map(|google| ("extra_content".to_owned(), google)));
        call
    }
}

/// Google counts thoughts apart from the answer, and OpenAI within.
fn counted(counts: &Value) -> Usage {
    let count = |name: &str| counts[name].as_u64().unwrap_or_default();
    let (cached, thought) = (count("cachedContentTokenCount"), count("thoughtsTokenCount"));
    let read = count("promptTokenCount").saturating_add(count("toolUsePromptTokenCount"));
    let mut usage = Usage::new(read, count("candidatesTokenCount").saturating_add(thought));
    usage.total_tokens = counts["totalTokenCount"].as_u64().unwrap_or(usage.total_tokens);
    for (name, member, count) in [
        ("prompt_tokens_details", "cached_tokens", cached),
        ("completion_tokens_details", "reasoning_tokens", thought),
    ] {
        if count > 0 {
            usage.extra.insert(name.into(), json!({member: count}));
        }
    }
    usage
}

//! What Gemini answered, whole or in the events of a stream: both hold the same object.

use patchbay_plugin_api::dialect::{AnswerReader, Counts, Json, filled};
use patchbay_plugin_api::{Chunks, ErrorKind, FinishReason, ProviderError, Result, ToolCall};
use serde_json::json;

/// Google counts thoughts apart from the answer, and OpenAI within.
const COUNTS: Counts = Counts {
    prompt: &["/promptTokenCount", "/toolUsePromptTokenCount"],
    completion: &["/candidatesTokenCount", "/thoughtsTokenCount"],
    total: "/totalTokenCount",
    cached: "/cachedContentTokenCount",
    reasoning: "/thoughtsTokenCount",
    ..Counts::NONE
};

/// Counts come with every event, and the last ones hold.
#[derive(Default)]
pub(crate) struct Reader(String);

impl AnswerReader for Reader {
    /// Streams have no word for their end: the event that says why the answer ended is the last, and a stream without
    /// one was cut.
    fn event(&mut self, said: Json<'_>, out: &mut Chunks) -> Result<()> {
        let [candidates, counts] = said.members(["candidates", "usageMetadata"]);
        if !counts.is_null() {
            counts.as_str().clone_into(&mut self.0);
        }
        // More than one is never asked for. What else a part may be (an image, code that ran) has no place in a chat
        // answer, and comes only if asked for.
        let first = candidates.at("/0");
        for part in first.items("/content/parts") {
            if !part.at("/functionCall").is_null() {
                out.tool_call(call(part, &said.text("/responseId"), out.calls()));
            } else if part.is_true("/thought") {
                out.reasoning(part.text("/text"));
            } else {
                out.text(part.text("/text"));
            }
        }
        if let Some(reason) = ended(said, first)? {
            out.name(said.string("/responseId"), said.string("/modelVersion"));
            out.end(reason, COUNTS.of(&[Json::from(&*self.0)]));
        }
        Ok(())
    }
}

fn ended(said: Json<'_>, first: Json<'_>) -> Result<Option<FinishReason>> {
    Ok(Some(match &*first.text("/finishReason") {
        // The question itself was withheld from the model.
        "" if first.is_null() && !said.at("/promptFeedback/blockReason").is_null() => {
            FinishReason::ContentFilter
        }
        "" | "FINISH_REASON_UNSPECIFIED" => return Ok(None),
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        // The model wrote what even Google could not read. Another try may do better, which an answer that looks
        // like a good one would prevent.
        reason
            if reason.contains("MALFORMED") || reason.contains("TOOL_CALL") || reason.contains("MISSING") =>
        {
            let message = "the provider's model ended with an answer that cannot be used";
            let error = ProviderError::new(ErrorKind::Provider, message).with_code(reason);
            return Err(error.with_detail(first.text("/finishMessage")));
        }
        // SAFETY, RECITATION, PROHIBITED_CONTENT and what may be added to them: an answer that is not whole, for a
        // reason of Google's.
        _ => FinishReason::ContentFilter,
    }))
}

/// Older models give their calls no id, by which a result could refer to them.
///
/// The signature of a call must come back with its result, so it goes along as `extra_content`, where Google's own
/// endpoint for OpenAI's clients has it. That of a text may come back, and no client would bring it.
fn call(part: Json<'_>, answer: &str, index: u32) -> ToolCall {
    let id = part.string("/functionCall/id").and_then(filled);
    let id = id.unwrap_or_else(|| format!("call_{answer}_{index}"));
    let (name, arguments) = (part.text("/functionCall/name"), part.at("/functionCall/args"));
    let mut call = ToolCall::function(id, name, arguments.as_str());
    let signature = part.string("/thoughtSignature");
    let google = signature.map(|signature| json!({"google": {"thought_signature": signature}}));
    call.extra.extend(google.map(|google| ("extra_content".to_owned(), google)));
    call
}

//! What Cohere says, whole or in the events of a stream.
//!
//! Citations are left out: clients of OpenAI's have no place for them, and the text is whole without.

use patchbay_plugin_api::dialect::{AnswerReader, Counts, Dialect as _, Json};
use patchbay_plugin_api::{Chunks, ErrorKind, FinishReason, ProviderError, Result, Usage};

use crate::Cohere;

/// What is billed, and not what was read: to every request Cohere adds some hundred tokens of its own, which nobody
/// sent and nobody pays, and costs and budgets are reckoned from these counts.
const BILLED: Counts = Counts {
    prompt: &["/billed_units/input_tokens"],
    completion: &["/billed_units/output_tokens"],
    cached: "/cached_tokens",
    ..Counts::NONE
};

/// What was read and written, where nothing is billed.
const COUNTED: Counts =
    Counts { prompt: &["/tokens/input_tokens"], completion: &["/tokens/output_tokens"], ..BILLED };

pub(crate) fn usage(counted: Json<'_>) -> Option<Usage> {
    BILLED.of(&[counted]).or_else(|| COUNTED.of(&[counted]))
}

#[derive(Default)]
pub(crate) struct Reader;

impl AnswerReader for Reader {
    fn whole(&mut self, answer: Json<'_>, out: &mut Chunks) -> Result<()> {
        out.name(answer.string("/id"), None);
        say(answer.at("/message"), out);
        answer.items("/message/tool_calls").for_each(|call| begin(call, out));
        end(answer, out)
    }

    fn event(&mut self, event: Json<'_>, out: &mut Chunks) -> Result<()> {
        let [kind, delta] = event.members(["type", "delta"]);
        match &*kind.text("") {
            "" => return Err(ProviderError::unreadable("an event of the provider's stream has no type")),
            "content-start" | "content-delta" | "tool-plan-delta" => say(delta.at("/message"), out),
            "tool-call-start" => delta.items("/message/tool_calls").for_each(|call| begin(call, out)),
            "tool-call-delta" => out.arguments(delta.text("/message/tool_calls/function/arguments")),
            "message-end" => end(delta, out)?,
            // Citations, and whatever is invented next.
            _ => {}
        }
        Ok(())
    }
}

fn say(message: Json<'_>, out: &mut Chunks) {
    let [plan, content] = message.members(["tool_plan", "content"]);
    // What it plans to do with its tools is what it says beside calling them.
    out.text(plan.text(""));
    for block in content.items("") {
        out.reasoning(block.text("/thinking"));
        out.text(block.text("/text"));
    }
}

fn begin(call: Json<'_>, out: &mut Chunks) {
    out.begin_call(call.text("/id"), call.text("/function/name"), call.text("/function/arguments"));
}

/// Ends the answer, if this is its end. One that failed on the way is no answer.
fn end(said: Json<'_>, out: &mut Chunks) -> Result<()> {
    let reason = said.text("/finish_reason");
    if reason == "ERROR" || !said.at("/error").is_null() {
        return Err(Cohere::ERRORS.within(said.as_str().as_bytes()));
    }
    let reason = match &*reason {
        "" => return Ok(()),
        "COMPLETE" | "STOP_SEQUENCE" => FinishReason::Stop,
        "TOOL_CALL" => FinishReason::ToolCalls,
        "MAX_TOKENS" => FinishReason::Length,
        "ERROR_TOXIC" => FinishReason::ContentFilter,
        "TIMEOUT" => {
            let message = "the provider gave up: its answer took too long";
            return Err(ProviderError::new(ErrorKind::TimedOut, message));
        }
        newer => FinishReason::from(newer),
    };
    out.end(reason, usage(said.at("/usage")));
    Ok(())
}

//! What Cohere says, whole or in the events of a stream.
//!
//! Citations are left out: clients of OpenAI's have no place for them, and the text is whole without.

use patchbay_plugin_api::dialect::prelude::*;

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

/// Why answers end.
const ENDS: Ends = Ends {
    stop: &["COMPLETE", "STOP_SEQUENCE"],
    length: &["MAX_TOKENS"],
    tool_calls: &["TOOL_CALL"],
    content_filter: &["ERROR_TOXIC"],
    failed: &[(&["TIMEOUT"], ErrorKind::TimedOut, "the provider gave up: its answer took too long")],
};

#[derive(Default)]
pub(crate) struct Reader;

impl AnswerReader for Reader {
    fn whole(&mut self, answer: Json<'_>, out: &mut Chunks) -> Result<()> {
        out.name(answer.string("/id"), None);
        read(answer, out)
    }

    /// In its `delta`, an event has a part of what a whole answer is.
    fn event(&mut self, event: Json<'_>, out: &mut Chunks) -> Result<()> {
        let [kind, delta] = event.members(["type", "delta"]);
        if kind.is_null() {
            return Err(ProviderError::unreadable("an event of the provider's stream has no type"));
        }
        read(delta, out)
    }
}

fn read(said: Json<'_>, out: &mut Chunks) -> Result<()> {
    let [message, reason, error, usage] = said.members(["message", "finish_reason", "error", "usage"]);
    let [plan, content, calls] = message.members(["tool_plan", "content", "tool_calls"]);
    // What it plans to do with its tools is what it says beside calling them.
    out.text(plan.text(""));
    for block in content.items("") {
        out.reasoning(block.text("/thinking"));
        out.text(block.text("/text"));
    }
    for call in calls.items("") {
        match call.string("/id") {
            Some(id) => out.begin_call(id, call.text("/function/name"), call.text("/function/arguments")),
            None => out.arguments(call.text("/function/arguments")),
        }
    }
    let reason = reason.text("");
    // One that failed on the way is no answer.
    if reason == "ERROR" || !error.is_null() {
        return Err(Cohere::ERRORS.within(said.as_str().as_bytes()));
    }
    if !reason.is_empty() {
        out.end(ENDS.of(&reason)?, BILLED.of(&[usage]).or_else(|| COUNTED.of(&[usage])));
    }
    Ok(())
}

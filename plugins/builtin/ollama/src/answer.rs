//! Answers, whole and line by line: they have the same shape.

use patchbay_plugin_api::dialect::prelude::*;

/// Nothing may be counted; and a prompt that was read before is not counted again.
const COUNTS: Counts =
    Counts { prompt: &["/prompt_eval_count"], completion: &["/eval_count"], ..Counts::NONE };

/// Loading a model, or unloading it, is all that a request without messages asks for.
const ENDS: Ends = Ends { stop: &["", "load", "unload"], ..Ends::UNKNOWN };

#[derive(Default)]
pub(crate) struct Reader;

impl AnswerReader for Reader {
    /// The last line may hold content, too.
    fn event(&mut self, line: Json<'_>, out: &mut Chunks) -> Result<()> {
        let [message, done] = line.members(["message", "done"]);
        let done = done.is_true("");
        if message.is_null() && !done {
            let error = ProviderError::unreadable("the provider's answer cannot be read");
            return Err(error.with_detail("it holds no message"));
        }
        let [thinking, content, calls] = message.members(["thinking", "content", "tool_calls"]);
        out.reasoning(thinking.text(""));
        out.text(content.text(""));
        for call in calls.items("") {
            // Older versions give none. The time, in its digits, makes it another one in each answer of a conversation.
            let time: String =
                line.text("/created_at").chars().filter(char::is_ascii_digit).take(23).collect();
            let id = out.call_id(call.string("/id"), &time);
            let (name, arguments) = (call.text("/function/name"), call.at("/function/arguments"));
            out.tool_call(ToolCall::function(id, name, arguments.as_str()));
        }
        if done {
            out.name(None, line.string("/model"));
            out.end(ENDS.of(&line.text("/done_reason"))?, COUNTS.of(&[line]));
        }
        Ok(())
    }
}

//! What an answer is read into, whether it comes in a stream or whole.

use std::collections::VecDeque;

use crate::chat::{Answer, Chunk, FinishReason, ToolCall, Usage};
use crate::{ProviderError, Result};

/// What the events of a stream gave: chunks in their order, and whether the answer is complete.
///
/// A dialect whose whole answers hold what its events hold is read by one piece of code into this: a stream by
/// [`event`](super::HttpProvider::event), a whole answer through [`Chunks::gather`].
///
/// ```
/// # use patchbay_plugin_api::{Chunks, FinishReason, Usage};
/// let answer = Chunks::gather(|out| {
///     out.text("Hello!");
///     out.end(FinishReason::Stop, Some(Usage::new(3, 2)));
///     Ok(())
/// });
/// # assert!(answer.is_ok());
/// ```
#[derive(Debug, Default)]
pub struct Chunks {
    ready: VecDeque<Chunk>,
    finished: bool,
    /// How many tool calls there were.
    calls: u32,
    /// Whether the last of them may get more arguments, and whether it still has none.
    calls_on: bool,
    awaits_arguments: bool,
    /// What a whole answer is called, and who gave it.
    id: Option<String>,
    model: Option<String>,
}

impl Chunks {
    /// Adds a chunk.
    pub fn push(&mut self, chunk: Chunk) {
        self.ready.push_back(chunk);
    }

    /// Adds some more text, if it is any.
    pub fn text(&mut self, text: impl Into<String>) {
        self.push_said(text.into(), Chunk::Text);
    }

    /// Adds some more of what the model thinks, if it is anything.
    pub fn reasoning(&mut self, text: impl Into<String>) {
        self.push_said(text.into(), Chunk::Reasoning);
    }

    fn push_said(&mut self, text: String, chunk: fn(String) -> Chunk) {
        if !text.is_empty() {
            self.push(chunk(text));
        }
    }

    /// Adds a whole tool call; they are numbered as they come.
    pub fn tool_call(&mut self, call: ToolCall) {
        let arguments = call.function.arguments;
        let arguments = if is_nothing(&arguments) { "{}".to_owned() } else { arguments };
        self.push_call(call.id, call.function.name, arguments);
        if !call.extra.is_empty() {
            self.push(Chunk::tool_call_extra(self.calls - 1, call.extra));
        }
    }

    /// Begins a tool call with as much of its arguments as is known, which may be nothing; an empty object is nothing,
    /// too.
    pub fn begin_call(
        &mut self,
        id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<String>,
    ) {
        let known = |arguments: &String| !is_nothing(arguments) && arguments != "{}";
        let arguments = Some(arguments.into()).filter(known).unwrap_or_default();
        self.push_call(id.into(), name.into(), arguments);
    }

    fn push_call(&mut self, id: String, name: String, arguments: String) {
        self.end_call();
        self.calls_on = true;
        self.awaits_arguments = arguments.is_empty();
        self.push(Chunk::tool_call(self.calls, Some(id), Some(name), arguments));
        self.calls += 1;
    }

    /// Adds to the arguments of the tool call that was begun last, if it was not [ended](Self::end_call).
    pub fn arguments(&mut self, more: impl Into<String>) {
        let more = more.into();
        // Within arguments a blank or a `null` is theirs.
        let none = if self.awaits_arguments { is_nothing(&more) } else { more.is_empty() };
        if self.calls_on && !none {
            self.awaits_arguments = false;
            self.push(Chunk::tool_call(self.calls - 1, None, None, more));
        }
    }

    /// Ends the tool call that was begun last, if there is one, as the next call and the end of the answer do by
    /// themselves: for vendors that write the arguments of something else in the same way.
    pub fn end_call(&mut self) {
        // Arguments that upstream did not write are none, and still have to be JSON.
        if self.awaits_arguments {
            self.arguments("{}");
        }
        self.calls_on = false;
    }

    /// The id of the next tool call: what upstream gave or, where it gives none, one that no other call of the
    /// conversation has; `answer` is what only this answer has.
    pub fn call_id(&self, given: Option<String>, answer: &str) -> String {
        given.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{answer}_{}", self.calls))
    }

    /// Says what a whole answer is called and which model gave it; streams say it by themselves.
    pub fn name(&mut self, id: Option<String>, model: Option<String>) {
        (self.id, self.model) = (id, model);
    }

    /// Ends the answer. One that stopped after tool calls stopped for them: not every upstream says so.
    pub fn end(&mut self, reason: FinishReason, usage: Option<Usage>) {
        self.end_call();
        let for_calls = reason == FinishReason::Stop && self.calls > 0;
        self.push(Chunk::finish(if for_calls { FinishReason::ToolCalls } else { reason }));
        self.ready.extend(usage.map(Chunk::usage));
        self.finish();
    }

    /// Says that this was the stream's last event. A stream that ends without was cut.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether the last event was seen.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Takes the first chunk that is left.
    pub fn pop(&mut self) -> Option<Chunk> {
        self.ready.pop_front()
    }

    /// Reads a whole answer by what also reads streams. It must come to its end, as a stream must.
    pub fn gather(read: impl FnOnce(&mut Self) -> Result<()>) -> Result<Answer> {
        let mut out = Self::default();
        read(&mut out)?;
        out.into_answer()
    }

    fn into_answer(self) -> Result<Answer> {
        if !self.finished {
            return Err(ProviderError::unreadable("the provider's answer does not say why it ended"));
        }
        let (mut text, mut thoughts) = (String::new(), String::new());
        let mut calls: Vec<ToolCall> = Vec::new();
        let (mut reason, mut usage) = (None, None);
        for chunk in self.ready {
            match chunk {
                Chunk::Text(more) => text += &more,
                Chunk::Reasoning(more) => thoughts += &more,
                Chunk::ToolCall { id: Some(id), name, arguments, .. } => {
                    calls.push(ToolCall::function(id, name.unwrap_or_default(), arguments));
                }
                Chunk::ToolCall { index, arguments, .. } => {
                    if let Some(call) = calls.get_mut(index as usize) {
                        call.function.arguments += &arguments;
                    }
                }
                Chunk::ToolCallExtra { index, extra } => {
                    if let Some(call) = calls.get_mut(index as usize) {
                        call.extra.extend(extra);
                    }
                }
                Chunk::Finish(why) => reason = Some(why),
                Chunk::Usage(counts) => usage = Some(counts),
                // It is an object of its own, which no part of an answer can be made from.
                Chunk::Raw(_) => {
                    return Err(ProviderError::unreadable("a chunk of the answer is already written"));
                }
            }
        }
        let full = |text: &String| !text.is_empty();
        let answer = Some(thoughts).filter(full).into_iter().fold(Answer::text(text), Answer::with_reasoning);
        let answer = if calls.is_empty() { answer } else { answer.with_tool_calls(calls) };
        let answer = reason.into_iter().fold(answer, Answer::with_finish_reason);
        let answer = usage.into_iter().fold(answer, Answer::with_usage);
        let answer = self.id.filter(full).into_iter().fold(answer, Answer::with_id);
        Ok(self.model.filter(full).into_iter().fold(answer, Answer::with_model))
    }
}

/// For functions without parameters some models write `null`, where no arguments are an empty object.
fn is_nothing(arguments: &str) -> bool {
    matches!(arguments.trim(), "" | "null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn said(out: &mut Chunks) {
        out.reasoning("hm");
        for text in ["a", "", "b"] {
            out.text(text);
        }
        out.begin_call("1", "f", "");
        for piece in ["{\"a\":", "null", "}"] {
            out.arguments(piece);
        }
        out.begin_call("2", "g", "");
        out.arguments("null");
        let mut signed = ToolCall::function("3", "h", "null");
        signed.extra.insert("signature".into(), "s".into());
        out.tool_call(signed);
        out.end(FinishReason::Stop, Some(Usage::new(1, 2)));
    }

    #[test]
    fn an_empty_object_may_be_the_beginning_of_arguments() {
        let mut out = Chunks::default();
        out.begin_call("1", "f", "{}");
        out.arguments("{\"a\": 1}");
        out.begin_call("2", "g", "{}");
        out.end_call();
        out.arguments("those of something else");
        out.end(FinishReason::Stop, None);
        let mut said = Vec::from_iter(std::iter::from_fn(|| out.pop()));
        assert_eq!(said.pop(), Some(Chunk::finish(FinishReason::ToolCalls)));
        let begun =
            |index, id: &str, name: &str| Chunk::tool_call(index, Some(id.into()), Some(name.into()), "");
        let more = |index, arguments: &str| Chunk::tool_call(index, None, None, arguments);
        assert_eq!(said, [begun(0, "1", "f"), more(0, "{\"a\": 1}"), begun(1, "2", "g"), more(1, "{}")]);
    }

    #[test]
    fn a_call_has_an_id_that_no_other_has() {
        let mut out = Chunks::default();
        let ids = [Some("x".into()), Some(String::new()), None].map(|given| {
            let id = out.call_id(given, "answer");
            out.begin_call(&*id, "f", "");
            id
        });
        assert_eq!(ids, ["x", "call_answer_1", "call_answer_2"]);
    }

    #[test]
    fn a_stream_is_what_was_said() {
        let mut out = Chunks::default();
        said(&mut out);
        assert!(out.is_finished() && out.calls == 3);
        let begun = |index, id: &str, name: &str, arguments: &str| {
            Chunk::tool_call(index, Some(id.into()), Some(name.into()), arguments)
        };
        let extra = serde_json::Map::from_iter([("signature".into(), "s".into())]);
        let expected = [
            Chunk::reasoning("hm"),
            Chunk::text("a"),
            Chunk::text("b"),
            begun(0, "1", "f", ""),
            Chunk::tool_call(0, None, None, "{\"a\":"),
            Chunk::tool_call(0, None, None, "null"),
            Chunk::tool_call(0, None, None, "}"),
            begun(1, "2", "g", ""),
            Chunk::tool_call(1, None, None, "{}"),
            begun(2, "3", "h", "{}"),
            Chunk::tool_call_extra(2, extra),
            Chunk::finish(FinishReason::ToolCalls),
            Chunk::usage(Usage::new(1, 2)),
        ];
        assert_eq!(std::iter::from_fn(|| out.pop()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_whole_answer_is_the_same() {
        let answer = Chunks::gather(|out| {
            out.name(Some("id".into()), Some(String::new()));
            said(out);
            Ok(())
        });
        let mut signed = ToolCall::function("3", "h", "{}");
        signed.extra.insert("signature".into(), "s".into());
        let calls =
            vec![ToolCall::function("1", "f", "{\"a\":null}"), ToolCall::function("2", "g", "{}"), signed];
        let expected = Answer::text("ab").with_reasoning("hm").with_tool_calls(calls).with_id("id");
        let expected = expected.with_usage(Usage::new(1, 2)).with_finish_reason(FinishReason::ToolCalls);
        assert_eq!(answer, Ok(expected));
    }

    #[test]
    fn an_answer_without_an_end_is_none() {
        let cut = Chunks::gather(|out| {
            out.text("a");
            Ok(())
        });
        assert_eq!(cut.unwrap_err().kind, ErrorKind::UnreadableAnswer);
    }
}

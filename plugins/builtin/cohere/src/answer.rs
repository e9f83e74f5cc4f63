//! What Cohere says, whole or in the events of a stream.
//!
//! Citations are left out: clients of OpenAI's have no place for them, and the text is whole without.

use patchbay_plugin_api::dialect::read;
use patchbay_plugin_api::{Answer, Chunks, ErrorKind, FinishReason, ProviderError, Result, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure;

/// A whole answer, or what is new in one; the latter has one block or call where the former has lists.
#[derive(Deserialize)]
struct Said<B, C> {
    id: Option<String>,
    message: Option<Message<B, C>>,
    finish_reason: Option<String>,
    usage: Option<Value>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Message<B, C> {
    content: Option<B>,
    tool_plan: Option<String>,
    tool_calls: Option<C>,
}

/// An event. Where a message begins it has empty lists, which are read as a block and a call without members.
#[derive(Deserialize)]
struct Event {
    r#type: String,
    delta: Option<Said<Block, Call>>,
}

/// A block of a content, or some more of one. Its type is told by its member.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Block {
    text: String,
    thinking: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Call {
    id: String,
    function: Function,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function {
    name: String,
    arguments: String,
}

/// Reads a whole answer.
pub(crate) fn whole(body: &[u8]) -> Result<Answer> {
    let mut said: Said<Vec<Block>, Vec<Call>> = read("the provider's answer", body)?;
    Chunks::gather(|out| {
        out.name(said.id.take(), None);
        if let Some(message) = said.message.take() {
            // What it plans to do with its tools is what it says beside calling them.
            out.text(message.tool_plan.unwrap_or_default());
            message.content.into_iter().flatten().for_each(|block| block.say(out));
            message.tool_calls.into_iter().flatten().for_each(|call| call.begin(out));
        }
        said.end(out)
    })
}

/// Reads an event.
pub(crate) fn event(data: &[u8], out: &mut Chunks) -> Result<()> {
    let Event { r#type, delta } = read("an event of the provider's stream", data)?;
    let Some(mut delta) = delta else { return Ok(()) };
    match (r#type.as_str(), delta.message.take()) {
        ("content-start" | "content-delta" | "tool-plan-delta", Some(message)) => {
            out.text(message.tool_plan.unwrap_or_default());
            message.content.into_iter().for_each(|block| block.say(out));
        }
        ("tool-call-start", Some(Message { tool_calls: Some(call), .. })) => call.begin(out),
        ("tool-call-delta", Some(Message { tool_calls: Some(call), .. })) => {
            out.arguments(call.function.arguments);
        }
        ("message-end", _) => delta.end(out)?,
        // Citations, and whatever is invented next.
        _ => {}
    }
    Ok(())
}

impl Block {
    fn say(self, out: &mut Chunks) {
        out.reasoning(self.thinking);
        out.text(self.text);
    }
}

impl Call {
    fn begin(self, out: &mut Chunks) {
        out.begin_call(self.id, self.function.name, self.function.arguments);
    }
}

impl<B, C> Said<B, C> {
    /// Ends the answer, if this is its end. One that failed on the way is no answer.
    fn end(self, out: &mut Chunks) -> Result<()> {
        if let Some(error) = self.error {
            return Err(failure::within(&error));
        }
        let reason = match self.finish_reason.as_deref() {
            None => return Ok(()),
            Some("COMPLETE" | "STOP_SEQUENCE") => FinishReason::Stop,
            Some("TOOL_CALL") => FinishReason::ToolCalls,
            Some("MAX_TOKENS") => FinishReason::Length,
            Some("ERROR_TOXIC") => FinishReason::ContentFilter,
            Some("ERROR") => return Err(failure::within("")),
            Some("TIMEOUT") => {
                let message = "the provider gave up: its answer took too long";
                return Err(ProviderError::new(ErrorKind::TimedOut, message));
            }
            Some(newer) => FinishReason::from(newer),
        };
        out.end(reason, self.usage.as_ref().map(usage));
        Ok(())
    }
}

/// What is billed, and not what was read: to every request Cohere adds some hundred tokens of its own, which nobody
/// sent and nobody pays, and costs and budgets are reckoned from these counts.
pub(crate) fn usage(counted: &Value) -> Usage {
    let units = counted.get("billed_units").unwrap_or(&counted["tokens"]);
    // Counts, though Cohere writes them with a point.
    let count = |count: &Value| count.as_f64().unwrap_or_default() as u64;
    let mut usage = Usage::new(count(&units["input_tokens"]), count(&units["output_tokens"]));
    // Some of the cached ones may be Cohere's own; no more can be from a cache than were read.
    let cached = count(&counted["cached_tokens"]).min(usage.prompt_tokens);
    if cached > 0 {
        usage.extra.insert("prompt_tokens_details".into(), json!({"cached_tokens": cached}));
    }
    usage
}

//! From what Anthropic says, whole or in the events of a stream, to a canonical answer.

use patchbay_plugin_api::{Answer, Chunks, FinishReason, ProviderError, Result, Usage, dialect};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::failure;

/// What must be remembered of an answer.
#[derive(Default)]
pub struct State {
    /// Counts of tokens. Each replaces the one before.
    counts: Map<String, Value>,
    reason: Option<String>,
    /// Whether the block under way is a call of one of the client's tools.
    calls: bool,
}

/// An event: whichever of its members the type has.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    message: Message,
    content_block: Block,
    delta: Block,
    usage: Map<String, Value>,
}

/// A whole message, or as much of it as is known when a stream begins.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    id: Option<String>,
    model: Option<String>,
    content: Option<Vec<Block>>,
    stop_reason: Option<String>,
    usage: Map<String, Value>,
    error: Option<IgnoredAny>,
}

/// A block, or what is new in one or in the message. Kinds that only Anthropic's own tools make have none of these
/// members.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: String,
    thinking: String,
    id: String,
    name: String,
    /// As upstream wrote it, so that its members keep their order.
    input: Option<Box<RawValue>>,
    partial_json: String,
    stop_reason: Option<String>,
}

/// Reads a whole message.
pub(crate) fn read(body: &[u8]) -> Result<Answer> {
    let message: Message = dialect::read("the provider's answer", body)?;
    if message.error.is_some() {
        // It came with a status of success.
        return Err(failure::within(body));
    }
    let content =
        message.content.ok_or_else(|| ProviderError::unreadable("the provider's answer is not a message"))?;
    Chunks::gather(|out| {
        out.name(message.id, message.model);
        let mut state = State { counts: message.usage, reason: message.stop_reason, calls: false };
        for mut block in content {
            block.partial_json = block.input.take().map(|input| input.get().to_owned()).unwrap_or_default();
            state.begin(block, out);
        }
        state.end(out);
        Ok(())
    })
}

/// Reads an event.
pub(crate) fn event(state: &mut State, data: &str, out: &mut Chunks) -> Result<()> {
    if data.trim().is_empty() {
        return Ok(());
    }
    let event: Event = dialect::read("an event of the provider's stream", data.as_bytes())?;
    match event.kind.as_str() {
        "message_start" => state.count(event.message.usage),
        "content_block_start" => state.begin(event.content_block, out),
        "content_block_delta" => state.go_on(event.delta, out),
        "message_delta" => {
            state.count(event.usage);
            state.reason = event.delta.stop_reason.or(state.reason.take());
        }
        "message_stop" => state.end(out),
        "error" => return Err(failure::within(data.as_bytes())),
        // `ping`, and whatever is invented next: the API asks to ignore it.
        _ => {}
    }
    Ok(())
}

impl State {
    fn count(&mut self, newer: Map<String, Value>) {
        self.counts.extend(newer.into_iter().filter(|(_, count)| !count.is_null()));
    }

    /// Begins a block with what is known of it.
    fn begin(&mut self, mut block: Block, out: &mut Chunks) {
        self.calls = block.kind == "tool_use";
        if self.calls {
            let (id, name) = (std::mem::take(&mut block.id), std::mem::take(&mut block.name));
            out.begin_call(id, name, std::mem::take(&mut block.partial_json));
        }
        self.go_on(block, out);
    }

    fn go_on(&mut self, block: Block, out: &mut Chunks) {
        out.reasoning(block.thinking);
        out.text(block.text);
        // Anthropic's own tools have arguments too, which are none of the client's business.
        if self.calls {
            out.arguments(block.partial_json);
        }
    }

    fn end(&self, out: &mut Chunks) {
        let reason = match self.reason.as_deref() {
            // A turn that paused waits to be sent back, which a client may do with an answer that stopped.
            None | Some("end_turn" | "stop_sequence" | "pause_turn") => FinishReason::Stop,
            Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
            Some("tool_use") => FinishReason::ToolCalls,
            Some("refusal") => FinishReason::ContentFilter,
            Some(newer) => FinishReason::from(newer),
        };
        let count = |name: &str| self.counts.get(name).and_then(Value::as_u64).unwrap_or_default();
        let (written, cached) = (count("cache_creation_input_tokens"), count("cache_read_input_tokens"));
        // Anthropic counts apart what went through its cache; OpenAI counts all that was read.
        let read = count("input_tokens").saturating_add(written).saturating_add(cached);
        let mut usage = Usage::new(read, count("output_tokens"));
        if written > 0 || cached > 0 {
            let details = json!({"cached_tokens": cached, "cache_write_tokens": written});
            usage.extra.insert("prompt_tokens_details".into(), details);
        }
        out.end(reason, Some(usage));
    }
}

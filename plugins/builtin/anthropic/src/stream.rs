//! From the events of Anthropic's streams to chunks.

use patchbay_plugin_api::{Chunk, Chunks, ProviderError, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{Block, Counts, finish_reason};
use crate::failure;

/// What must be remembered of a stream.
#[derive(Default)]
pub struct State {
    counts: Counts,
    reason: Option<String>,
    /// The tool calls so far, by the index of their block, and whether arguments of them were seen.
    calls: Vec<(u64, bool)>,
}

/// An event: whichever of its members the type has.
#[derive(Deserialize)]
struct Happened {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    message: Begun,
    #[serde(default)]
    index: u64,
    content_block: Option<Block>,
    #[serde(default)]
    delta: Delta,
    #[serde(default)]
    usage: Counts,
    #[serde(default)]
    error: Value,
}

/// As much of the message at the beginning as is not told again.
#[derive(Default, Deserialize)]
struct Begun {
    #[serde(default)]
    usage: Counts,
}

/// What is new. Its type is told by its member.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    text: Option<String>,
    thinking: Option<String>,
    partial_json: Option<String>,
    stop_reason: Option<String>,
}

pub(crate) fn read(state: &mut State, data: &str, out: &mut Chunks) -> Result<()> {
    if data.trim().is_empty() {
        return Ok(());
    }
    let event: Happened = serde_json::from_str(data).map_err(|error| {
        let unreadable = ProviderError::unreadable("an event of the provider's stream cannot be read");
        unreadable.with_detail(error.to_string())
    })?;
    match event.kind.as_str() {
        "message_start" => {
            state.counts.update(event.message.usage);
        }
        "content_block_start" => {
            event.content_block.into_iter().for_each(|block| state.begin(event.index, block, out));
        }
        "content_block_delta" => state.go_on(event.index, event.delta, out),
        "content_block_stop" => state.end(event.index, out),
        "message_delta" => {
            state.counts.update(event.usage);
            state.reason = event.delta.stop_reason.or(state.reason.take());
        }
        "message_stop" => {
            out.push(Chunk::finish(finish_reason(state.reason.as_deref(), !state.calls.is_empty())));
            out.push(Chunk::usage(state.counts.into()));
            out.finish();
        }
        "error" => return Err(failure::within(&event.error)),
        // `ping`, and whatever is invented next: the API asks to ignore it.
        _ => {}
    }
    Ok(())
}

impl State {
    fn begin(&mut self, index: u64, block: Block, out: &mut Chunks) {
        if block.kind == "tool_use" {
            let call = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
            self.calls.push((index, false));
            out.push(Chunk::tool_call(call, Some(block.id), Some(block.name), ""));
        } else {
            let delta = Delta { text: Some(block.text), thinking: Some(block.thinking), ..Delta::default() };
            self.go_on(index, delta, out);
        }
    }

    fn go_on(&mut self, index: u64, delta: Delta, out: &mut Chunks) {
        let said = |text: &String| !text.is_empty();
        if let Some(thinking) = delta.thinking.filter(said) {
            out.push(Chunk::reasoning(thinking));
        }
        if let Some(text) = delta.text.filter(said) {
            out.push(Chunk::text(text));
        }
        // Anthropic's own tools have arguments too, which are none of the client's business.
        if let Some(arguments) = delta.partial_json.filter(said)
            && let Some((call, begun)) = self.call(index)
        {
            *begun = true;
            out.push(Chunk::tool_call(call, None, None, arguments));
        }
    }

    /// Arguments that were not worth an event are empty, and still have to be JSON.
    fn end(&mut self, index: u64, out: &mut Chunks) {
        if let Some((call, begun)) = self.call(index)
            && !*begun
        {
            *begun = true;
            out.push(Chunk::tool_call(call, None, None, "{}"));
        }
    }

    /// Which of the tool calls a block is, and whether it has arguments yet.
    fn call(&mut self, index: u64) -> Option<(u32, &mut bool)> {
        (0..)
            .zip(&mut self.calls)
            .find(|(_, (block, _))| *block == index)
            .map(|(call, (_, begun))| (call, begun))
    }
}

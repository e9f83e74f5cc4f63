//! From the events of Cohere's streams to chunks.

use patchbay_plugin_api::{Chunk, Chunks, Result};
use serde::Deserialize;

use crate::answer::{Block, Counted, finish, is_nothing, read};
use crate::failure;

/// What a stream's events before this one held.
#[derive(Default)]
pub(crate) struct Seen {
    calls: u32,
    /// Whether the last of the calls has arguments.
    has_arguments: bool,
}

/// An event: whichever of these members its type has.
#[derive(Deserialize)]
struct Happened {
    r#type: String,
    #[serde(default)]
    delta: Delta,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    message: More,
    finish_reason: Option<String>,
    usage: Option<Counted>,
    error: Option<String>,
}

/// Where a message begins its members are empty lists, which are read as none of theirs.
#[derive(Default, Deserialize)]
#[serde(default)]
struct More {
    content: Block,
    tool_plan: String,
    tool_calls: Called,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Called {
    id: Option<String>,
    function: Function,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function {
    name: Option<String>,
    arguments: String,
}

pub(crate) fn event(seen: &mut Seen, data: &[u8], out: &mut Chunks) -> Result<()> {
    let Happened { r#type, delta } = read("an event of the provider's stream", data)?;
    let More { content, tool_plan, tool_calls: Called { id, function } } = delta.message;
    match r#type.as_str() {
        "content-start" | "content-delta" | "tool-plan-delta" => {
            let pieces =
                [Chunk::Reasoning(content.thinking), Chunk::Text(content.text), Chunk::Text(tool_plan)];
            // Without flags there is nothing in it.
            pieces.into_iter().filter(|chunk| chunk.flags() != 0).for_each(|chunk| out.push(chunk));
        }
        "tool-call-start" => {
            out.push(Chunk::tool_call(seen.calls, id, function.name, ""));
            *seen = Seen { calls: seen.calls + 1, has_arguments: false };
            seen.go_on(function.arguments, out);
        }
        "tool-call-delta" => seen.go_on(function.arguments, out),
        "tool-call-end" if !seen.has_arguments => seen.go_on("{}".into(), out),
        "message-end" => {
            if let Some(error) = delta.error {
                return Err(failure::within(&error));
            }
            out.push(Chunk::finish(finish(delta.finish_reason.as_deref(), seen.calls > 0)?));
            delta
                .usage
                .map(|counted| Chunk::usage(counted.into()))
                .into_iter()
                .for_each(|chunk| out.push(chunk));
            out.finish();
        }
        // Ends of blocks, citations, and whatever is invented next.
        _ => {}
    }
    Ok(())
}

impl Seen {
    /// Some more arguments of the last call: calls come one after the other.
    fn go_on(&mut self, arguments: String, out: &mut Chunks) {
        // Only as a whole is `null` none; within arguments blanks and nulls are theirs.
        if self.has_arguments || !is_nothing(&arguments) {
            self.has_arguments = true;
            out.push(Chunk::tool_call(self.calls.saturating_sub(1), None, None, arguments));
        }
    }
}

//! From what Anthropic says, whole or in the events of a stream, to a canonical answer.

use patchbay_plugin_api::dialect::{AnswerReader, Counts, Json};
use patchbay_plugin_api::{Chunks, FinishReason, ProviderError, Result};

/// Anthropic counts apart what went through its cache.
const COUNTS: Counts = Counts {
    prompt: &["/input_tokens", "/cache_creation_input_tokens", "/cache_read_input_tokens"],
    completion: &["/output_tokens"],
    cached: "/cache_read_input_tokens",
    cache_write: "/cache_creation_input_tokens",
    ..Counts::NONE
};

/// What must be remembered of an answer.
#[derive(Default)]
pub struct Reader {
    /// Counts of tokens, as they stood when it began and as they stand. What is not counted again still holds.
    counts: [String; 2],
    reason: Option<String>,
    /// Whether the block under way is a call of one of the client's tools.
    calls: bool,
}

impl AnswerReader for Reader {
    fn whole(&mut self, message: Json<'_>, out: &mut Chunks) -> Result<()> {
        if message.at("/content").is_null() {
            return Err(ProviderError::unreadable("the provider's answer is not a message"));
        }
        out.name(message.string("/id"), message.string("/model"));
        for block in message.items("/content") {
            self.begin(block, out);
            if self.calls {
                out.arguments(block.at("/input").as_str());
            }
        }
        self.counts[1] = message.at("/usage").as_str().to_owned();
        self.reason = message.string("/stop_reason");
        self.end(out);
        Ok(())
    }

    fn event(&mut self, event: Json<'_>, out: &mut Chunks) -> Result<()> {
        match &*event.text("/type") {
            "message_start" => self.counts[0] = event.at("/message/usage").as_str().to_owned(),
            "content_block_start" => self.begin(event.at("/content_block"), out),
            "content_block_delta" => self.go_on(event.at("/delta"), out),
            "message_delta" => {
                self.counts[1] = event.at("/usage").as_str().to_owned();
                self.reason = event.string("/delta/stop_reason").or(self.reason.take());
            }
            "message_stop" => self.end(out),
            // `ping`, and whatever is invented next: the API asks to ignore it.
            _ => {}
        }
        Ok(())
    }
}

impl Reader {
    /// Begins a block with what is known of it.
    fn begin(&mut self, block: Json<'_>, out: &mut Chunks) {
        self.calls = block.text("/type") == "tool_use";
        if self.calls {
            out.begin_call(block.text("/id"), block.text("/name"), "");
        }
        self.go_on(block, out);
    }

    fn go_on(&self, block: Json<'_>, out: &mut Chunks) {
        let [thinking, text] = block.members(["thinking", "text"]);
        out.reasoning(thinking.text(""));
        out.text(text.text(""));
        // Anthropic's own tools have arguments too, which are none of the client's business.
        if self.calls {
            out.arguments(block.text("/partial_json"));
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
        let [first, last] = self.counts.each_ref().map(|counts| Json::from(&**counts));
        out.end(reason, COUNTS.of(&[last, first]));
    }
}

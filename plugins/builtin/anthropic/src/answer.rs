//! From what Anthropic says, whole or in the events of a stream, to a canonical answer.

use patchbay_plugin_api::dialect::prelude::*;

/// Anthropic counts apart what went through its cache.
const COUNTS: Counts = Counts {
    prompt: &["/input_tokens", "/cache_creation_input_tokens", "/cache_read_input_tokens"],
    completion: &["/output_tokens"],
    cached: "/cache_read_input_tokens",
    cache_write: "/cache_creation_input_tokens",
    ..Counts::NONE
};

/// Why answers end.
const ENDS: Ends = Ends {
    // A turn that paused waits to be sent back, which a client may do with an answer that stopped.
    stop: &["", "end_turn", "stop_sequence", "pause_turn"],
    length: &["max_tokens", "model_context_window_exceeded"],
    tool_calls: &["tool_use"],
    content_filter: &["refusal"],
    ..Ends::UNKNOWN
};

/// What must be remembered of an answer.
#[derive(Default)]
pub struct Reader {
    ending: Ending,
    /// Whether the block under way is a call of one of the client's tools.
    calls: bool,
}

impl AnswerReader for Reader {
    fn whole(&mut self, message: Json<'_>, out: &mut Chunks) -> Result<()> {
        if message.at("/content").is_null() {
            return Err(ProviderError::unreadable("the provider's answer is not a message"));
        }
        out.name(message.string("/id"), message.string("/model"));
        message.items("/content").for_each(|block| self.begin(block, out));
        self.ending.keep(message.at("/usage"), message.at("/stop_reason"));
        self.ending.end(&ENDS, &COUNTS, out)
    }

    fn event(&mut self, event: Json<'_>, out: &mut Chunks) -> Result<()> {
        match &*event.text("/type") {
            "message_start" => self.ending.keep(event.at("/message/usage"), event.at("/message/stop_reason")),
            "content_block_start" => self.begin(event.at("/content_block"), out),
            "content_block_delta" => self.go_on(event.at("/delta"), out),
            "message_delta" => self.ending.keep(event.at("/usage"), event.at("/delta/stop_reason")),
            "message_stop" => self.ending.end(&ENDS, &COUNTS, out)?,
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
            out.begin_call(block.text("/id"), block.text("/name"), block.at("/input").as_str());
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
}

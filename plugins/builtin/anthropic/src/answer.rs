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

#[derive(Default)]
pub struct Reader(Ending);

impl AnswerReader for Reader {
    fn whole(&mut self, message: Json<'_>, out: &mut Chunks) -> Result<()> {
        if message.at("/content").is_null() {
            return Err(ProviderError::unreadable("the provider's answer is not a message"));
        }
        out.name(message.string("/id"), message.string("/model"));
        message.items("/content").for_each(|block| begin(block, out));
        self.0.keep(message.at("/usage"), message.at("/stop_reason"));
        self.0.end(&ENDS, &COUNTS, out)
    }

    fn event(&mut self, event: Json<'_>, out: &mut Chunks) -> Result<()> {
        match &*event.text("/type") {
            "message_start" => self.0.keep(event.at("/message/usage"), event.at("/message/stop_reason")),
            "content_block_start" => begin(event.at("/content_block"), out),
            "content_block_delta" => go_on(event.at("/delta"), out),
            "message_delta" => self.0.keep(event.at("/usage"), event.at("/delta/stop_reason")),
            "message_stop" => self.0.end(&ENDS, &COUNTS, out)?,
            // `ping`, and whatever is invented next: the API asks to ignore it.
            _ => {}
        }
        Ok(())
    }
}

/// Begins a block with what is known of it.
fn begin(block: Json<'_>, out: &mut Chunks) {
    // Anthropic's own tools have arguments too, which are none of the client's business.
    out.end_call();
    if block.text("/type") == "tool_use" {
        out.begin_call(block.text("/id"), block.text("/name"), block.at("/input").as_str());
    }
    go_on(block, out);
}

fn go_on(block: Json<'_>, out: &mut Chunks) {
    let [thinking, text, arguments] = block.members(["thinking", "text", "partial_json"]);
    out.reasoning(thinking.text(""));
    out.text(text.text(""));
    out.arguments(arguments.text(""));
}

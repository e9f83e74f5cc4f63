//! From canonical messages to turns: the system's apart from the rest, and user and assistant in alternation.

use patchbay_plugin_api::chat::{Media, Piece, Said};
use patchbay_plugin_api::dialect::{self, filled, object};
use patchbay_plugin_api::{ChatRequest, Message, Result, Role, ToolCall};
use serde_json::{Value, json};

/// The turns of user and assistant.
pub(crate) fn turns(request: &ChatRequest) -> Result<Vec<Value>> {
    dialect::turns(&request.messages, ["user", "assistant"], "content", |_, message| {
        let mut blocks = message.said().map(block).collect::<Result<Vec<_>>>()?;
        if message.role == Role::Tool {
            blocks = vec![tool_result(message, blocks)?];
        }
        blocks.extend(message.tool_calls.iter().map(tool_use));
        Ok(blocks)
    })
}

/// A block, of the system's or of a turn.
pub(crate) fn block(piece: Piece<'_>) -> Result<Value> {
    let mut block = match piece.said {
        Said::Text(text) => json!({"type": "text", "text": text}),
        Said::Image(url) => json!({"type": "image", "source": source(url)?}),
        Said::File(url) => json!({"type": "document", "source": source(url)?}),
        // In Anthropic's own words, and with what only Anthropic could have signed.
        Said::Other("document" | "search_result" | "thinking" | "redacted_thinking", own) => json!(own),
        _ => return Err(piece.unsupported()),
    };
    // The one further member that means the same here: where a cached prompt ends.
    if let Some(mark) = piece.member("cache_control") {
        block["cache_control"] = mark.clone();
    }
    Ok(block)
}

fn source(url: &str) -> Result<Value> {
    Ok(match Media::of(url)? {
        Media::At(url) => json!({"type": "url", "url": url}),
        Media::Inline { media_type, data } => {
            json!({"type": "base64", "media_type": media_type, "data": data})
        }
    })
}

fn tool_use(call: &ToolCall) -> Value {
    // What a model wrote badly is shown to it as it was, for a conversation goes on.
    let written = || json!({"arguments": call.function.arguments});
    let input = call.function.object().map_or_else(written, Value::from);
    json!({"type": "tool_use", "id": id(&call.id), "name": call.function.name, "input": input})
}

fn tool_result(message: &Message, blocks: Vec<Value>) -> Result<Value> {
    let (call, content) = (id(message.call()?), filled(blocks));
    Ok(object([("type", "tool_result".into()), ("tool_use_id", call.into()), ("content", content.into())]))
}

/// Ids that other providers made may hold what is refused here.
fn id(id: &str) -> String {
    id.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-', "_")
}

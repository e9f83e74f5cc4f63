//! From canonical messages to turns: the system's apart from the rest, and user and assistant in alternation.

use patchbay_plugin_api::dialect::prelude::*;

/// The turns of user and assistant.
pub(crate) fn turns(request: &ChatRequest) -> Result<Vec<Value>> {
    let turns = Turns {
        roles: ["user", "assistant"],
        said: "content",
        piece: block,
        call: |_, call| Ok(tool_use(call)),
        result: |index, said| tool_result(&request.messages[index], said),
    };
    turns.of(request)
}

/// A block, of the system's or of a turn.
pub(crate) fn block(piece: Piece<'_>) -> Result<Value> {
    let mut block = match piece.said {
        Said::Text(text) => json!({"type": "text", "text": text}),
        Said::Image(_) => json!({"type": "image", "source": source(piece.media()?)}),
        Said::File(_) => json!({"type": "document", "source": source(piece.media()?)}),
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

fn source(media: Media<'_>) -> Value {
    match media {
        Media::At(url) => json!({"type": "url", "url": url}),
        Media::Inline { media_type, data } => {
            json!({"type": "base64", "media_type": media_type, "data": data})
        }
    }
}

fn tool_use(call: &ToolCall) -> Value {
    // What a model wrote badly is shown to it as it was, for a conversation goes on.
    let written = || json!({"arguments": call.function.arguments});
    let input = call.function.object().map_or_else(written, Value::from);
    json!({"type": "tool_use", "id": id(&call.id), "name": call.function.name, "input": input})
}

fn tool_result(message: &Message, said: Vec<Value>) -> Result<Vec<Value>> {
    let (call, said) = (id(message.call()?), filled(said));
    Ok(vec![object([("type", "tool_result".into()), ("tool_use_id", call.into()), ("content", said.into())])])
}

/// Ids that other providers made may hold what is refused here.
fn id(id: &str) -> String {
    id.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-', "_")
}

//! From canonical messages to turns: the system's apart from the rest, and user and assistant in alternation.

use patchbay_plugin_api::chat::{Media, Piece, Said};
use patchbay_plugin_api::dialect::{self, Turn, filled, object};
use patchbay_plugin_api::{Message, ProviderError, Result, Role, ToolCall};
use serde_json::{Value, json};

/// The system's blocks, and the turns of user and assistant.
pub(crate) fn turns(messages: &[Message]) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut system = Vec::new();
    for message in messages.iter().filter(|message| matches!(message.role, Role::System | Role::Developer)) {
        system.extend(blocks(message)?);
    }
    let turns = dialect::turns(messages, ["user", "assistant"], |index, message| match message.role {
        Role::Tool => Ok(vec![tool_result(message, index)?]),
        _ => Ok(blocks(message)?.into_iter().chain(message.tool_calls.iter().map(tool_use)).collect()),
    })?;
    let turn = |turn: Turn| {
        // Results come first in a turn, or they are refused.
        let is_result = |block: &Value| block["type"] == "tool_result";
        let (mut content, rest): (Vec<_>, Vec<_>) = turn.parts.into_iter().partition(is_result);
        content.extend(rest);
        object([("role", turn.role.into()), ("content", content.into())])
    };
    Ok((system, turns.into_iter().map(turn).collect()))
}

fn blocks(message: &Message) -> Result<Vec<Value>> {
    message.pieces().filter_map(|piece| block(&piece).transpose()).collect()
}

fn block(piece: &Piece<'_>) -> Result<Option<Value>> {
    let mut block = match piece.said {
        // Blank texts are refused.
        Said::Text(text) if text.trim().is_empty() => return Ok(None),
        Said::Text(text) => json!({"type": "text", "text": text}),
        Said::Image(url) => json!({"type": "image", "source": source(url)?}),
        Said::File(url) => json!({"type": "document", "source": source(url)?}),
        Said::Other("file", _) => {
            return Err(ProviderError::unsupported("files that were uploaded elsewhere"));
        }
        // In Anthropic's own words, and with what only Anthropic could have signed.
        Said::Other("document" | "search_result" | "thinking" | "redacted_thinking", own) => {
            own.clone().into()
        }
        _ => return Err(piece.unsupported()),
    };
    // The one further member that means the same here: where a cached prompt ends.
    if let Some(mark) = piece.member("cache_control") {
        block["cache_control"] = mark.clone();
    }
    Ok(Some(block))
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

fn tool_result(message: &Message, index: usize) -> Result<Value> {
    let call = message.tool_call_id.as_deref().ok_or_else(|| {
        let error = ProviderError::invalid_input("a tool's message needs `tool_call_id`");
        error.with_param(&format!("messages[{index}].tool_call_id"))
    })?;
    let content = filled(blocks(message)?);
    Ok(object([
        ("type", "tool_result".into()),
        ("tool_use_id", id(call).into()),
        ("content", content.into()),
    ]))
}

/// Ids that other providers made may hold what is refused here.
fn id(id: &str) -> String {
    id.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-', "_")
}

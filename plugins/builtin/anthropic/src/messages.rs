//! From canonical messages to turns: the system's apart from the rest, and user and assistant in alternation.

use patchbay_plugin_api::{Content, Message, Part, ProviderError, Result, Role, ToolCall};
use serde_json::{Map, Value, json};

/// The system's blocks, and the turns of user and assistant.
pub(crate) fn turns(messages: &[Message]) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let (role, blocks) = match &message.role {
            Role::System | Role::Developer => {
                system.extend(blocks(message.content.as_ref())?);
                continue;
            }
            Role::User => ("user", blocks(message.content.as_ref())?),
            Role::Assistant => {
                let mut said = blocks(message.content.as_ref())?;
                said.extend(message.tool_calls.iter().map(tool_use));
                ("assistant", said)
            }
            Role::Tool => ("user", vec![tool_result(message, index)?]),
            Role::Other(word) => {
                let message = format!("a message's role cannot be `{word}`");
                return Err(
                    ProviderError::invalid_input(message).with_param(&format!("messages[{index}].role"))
                );
            }
        };
        match turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some((last, before)) if *last == role => add(before, blocks, message.role == Role::Tool),
            _ => turns.push((role, blocks)),
        }
    }
    let turns = turns.into_iter().map(|(role, content)| json!({"role": role, "content": content}));
    Ok((system, turns.collect()))
}

/// Results come first in a turn, or they are refused.
fn add(turn: &mut Vec<Value>, blocks: Vec<Value>, results: bool) {
    let is_result = |block: &Value| block["type"] == "tool_result";
    let at = if results { turn.iter().take_while(|block| is_result(block)).count() } else { turn.len() };
    turn.splice(at..at, blocks);
}

/// The blocks of a content. Blank texts are left out, for they are refused.
fn blocks(content: Option<&Content>) -> Result<Vec<Value>> {
    match content {
        None => Ok(Vec::new()),
        Some(Content::Text(text)) => Ok(text_block(text, &Map::new()).into_iter().collect()),
        Some(Content::Parts(parts)) => parts.iter().filter_map(|part| block(part).transpose()).collect(),
    }
}

fn block(part: &Part) -> Result<Option<Value>> {
    match part {
        Part::Text { text, extra } => Ok(text_block(text, extra)),
        Part::ImageUrl { image_url, extra } => {
            Ok(Some(marked(json!({"type": "image", "source": source(&image_url.url)?}), extra)))
        }
        Part::Other(part) => match part.get("type").and_then(Value::as_str).unwrap_or_default() {
            "refusal" => {
                Ok(text_block(part.get("refusal").and_then(Value::as_str).unwrap_or_default(), part))
            }
            "file" => match part.get("file").and_then(|file| file["file_data"].as_str()) {
                Some(data) => Ok(Some(marked(json!({"type": "document", "source": source(data)?}), part))),
                None => Err(ProviderError::unsupported("files that were uploaded elsewhere")),
            },
            // In Anthropic's own words, and with what only Anthropic could have signed.
            "document" | "search_result" | "thinking" | "redacted_thinking" => Ok(Some(part.clone().into())),
            other => Err(ProviderError::unsupported(&format!("parts of type `{other}`"))),
        },
    }
}

fn text_block(text: &str, extra: &Map<String, Value>) -> Option<Value> {
    (!text.trim().is_empty()).then(|| marked(json!({"type": "text", "text": text}), extra))
}

/// Keeps the one further member that means the same here: where a cached prompt ends.
fn marked(mut block: Value, extra: &Map<String, Value>) -> Value {
    if let Some(mark) = extra.get("cache_control") {
        block["cache_control"] = mark.clone();
    }
    block
}

/// Where an image or a document is: an address, or the thing itself in a `data:` URL.
fn source(url: &str) -> Result<Value> {
    let Some(data) = url.strip_prefix("data:") else { return Ok(json!({"type": "url", "url": url})) };
    let read = data.split_once(',').and_then(|(about, data)| {
        let about = about.strip_suffix(";base64")?;
        Some((about.split(';').next().unwrap_or_default(), data))
    });
    let (media_type, data) = read
        .ok_or_else(|| ProviderError::invalid_input("a `data:` URL must be of a media type and in base64"))?;
    let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
    Ok(json!({"type": "base64", "media_type": media_type, "data": data}))
}

fn tool_use(call: &ToolCall) -> Value {
    let written = &call.function.arguments;
    // Only objects are taken. What a model wrote badly is shown to it as it was, for a conversation goes on.
    let input: Value = match serde_json::from_str(written) {
        Ok(input @ Value::Object(_)) => input,
        _ if written.trim().is_empty() => json!({}),
        _ => json!({"arguments": written}),
    };
    json!({"type": "tool_use", "id": id(&call.id), "name": call.function.name, "input": input})
}

fn tool_result(message: &Message, index: usize) -> Result<Value> {
    let call = message.tool_call_id.as_deref().ok_or_else(|| {
        let error = ProviderError::invalid_input("a tool's message needs `tool_call_id`");
        error.with_param(&format!("messages[{index}].tool_call_id"))
    })?;
    let mut result = json!({"type": "tool_result", "tool_use_id": id(call)});
    let content = blocks(message.content.as_ref())?;
    if !content.is_empty() {
        result["content"] = content.into();
    }
    Ok(result)
}

/// Ids that other providers made may hold what is refused here.
fn id(id: &str) -> String {
    id.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-', "_")
}

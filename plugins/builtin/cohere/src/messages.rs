//! The conversation, message by message.

use patchbay_plugin_api::{ChatRequest, Content, Message, Part, ProviderError, Result, Role, ToolCall};
use serde_json::{Value, json};

/// All that was said: first the instructions, which Cohere takes nowhere else.
pub(crate) fn all(request: &ChatRequest) -> Result<Vec<Value>> {
    let system = request.system_text().filter(|text| !text.is_empty());
    let mut all: Vec<Value> =
        system.into_iter().map(|text| json!({"role": "system", "content": text})).collect();
    for (index, message) in request.messages.iter().enumerate() {
        match &message.role {
            Role::System | Role::Developer => {}
            // Turns in which nothing is said are refused.
            Role::User | Role::Assistant if says_nothing(message) => {}
            Role::User => all.push(json!({"role": "user", "content": content(message, index)?})),
            Role::Assistant => all.push(assistant(message)),
            Role::Tool => all.push(json!({
                "role": "tool", "tool_call_id": message.tool_call_id, "content": message.text(),
            })),
            Role::Other(word) => {
                let error = ProviderError::invalid_input(format!("a message's role cannot be `{word}`"));
                return Err(error.with_param(&format!("messages[{index}].role")));
            }
        }
    }
    Ok(all)
}

fn says_nothing(message: &Message) -> bool {
    let has_parts = matches!(&message.content, Some(Content::Parts(parts)) if !parts.is_empty());
    !has_parts && message.text().is_empty() && message.tool_calls.is_empty()
}

fn content(message: &Message, index: usize) -> Result<Value> {
    let Some(Content::Parts(parts)) = &message.content else { return Ok(message.text().into()) };
    let part = |part: &Part| match part {
        Part::Text { text, .. } => Ok(json!({"type": "text", "text": text})),
        Part::ImageUrl { image_url, .. } => Ok(json!({"type": "image_url", "image_url": image_url})),
        Part::Other(part) => {
            let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
            let error = ProviderError::unsupported(&format!("parts of type `{kind}`"));
            Err(error.with_param(&format!("messages[{index}].content")))
        }
    };
    parts.iter().map(part).collect()
}

/// The model's turn. Text beside calls was its plan, and is told again as that.
fn assistant(message: &Message) -> Value {
    let mut said = json!({"role": "assistant"});
    let thoughts = message.extra.get("reasoning_content").filter(|thoughts| thoughts.is_string());
    let mut blocks: Vec<Value> =
        thoughts.map(|thoughts| json!({"type": "thinking", "thinking": thoughts})).into_iter().collect();
    let text = message.text();
    if !message.tool_calls.is_empty() {
        said["tool_calls"] = message.tool_calls.iter().map(called).collect();
        if !text.is_empty() {
            said["tool_plan"] = text.into();
        }
    } else {
        blocks.push(json!({"type": "text", "text": text}));
    }
    if !blocks.is_empty() {
        said["content"] = blocks.into();
    }
    said
}

/// Without further members, such as another provider's signature.
fn called(call: &ToolCall) -> Value {
    let arguments = if call.function.arguments.trim().is_empty() { "{}" } else { &call.function.arguments };
    let function = json!({"name": call.function.name, "arguments": arguments});
    json!({"id": call.id, "type": "function", "function": function})
}

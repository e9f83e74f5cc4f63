//! The conversation, message by message.

use patchbay_plugin_api::dialect::{filled, object};
use patchbay_plugin_api::{ChatRequest, Content, Message, Part, Result, Role, ToolCall};
use serde_json::{Value, json};

/// All that was said: first the instructions, which Cohere takes nowhere else.
pub(crate) fn all(request: &ChatRequest) -> Result<Vec<Value>> {
    let system = request.system_text().and_then(filled);
    let mut all: Vec<Value> =
        system.into_iter().map(|text| json!({"role": "system", "content": text})).collect();
    for (index, message) in request.messages.iter().enumerate() {
        match &message.role {
            Role::System | Role::Developer => {}
            // Turns in which nothing is said are refused.
            Role::User | Role::Assistant
                if message.tool_calls.is_empty() && message.said().next().is_none() => {}
            Role::User => all.push(json!({"role": "user", "content": content(message, index)?})),
            Role::Assistant => all.push(assistant(message)),
            Role::Tool => all.push(json!({
                "role": "tool", "tool_call_id": message.call()?, "content": message.text(),
            })),
            other => return Err(other.unknown(index)),
        }
    }
    Ok(all)
}

/// Texts and images, which Cohere writes as OpenAI does.
fn content(message: &Message, index: usize) -> Result<Value> {
    let Some(Content::Parts(parts)) = &message.content else { return Ok(message.text().into()) };
    let mut said = message.pieces().zip(parts);
    if let Some((other, _)) = said.find(|(_, part)| matches!(part, Part::Other(_))) {
        return Err(other.unsupported().with_param(&format!("messages[{index}].content")));
    }
    Ok(json!(parts))
}

/// The model's turn. Text beside calls was its plan, and is told again as that.
fn assistant(message: &Message) -> Value {
    let (text, calls) = (message.text(), &message.tool_calls);
    let thoughts = message.extra.get("reasoning_content").filter(|thoughts| thoughts.is_string());
    let mut content: Vec<Value> =
        thoughts.map(|thoughts| json!({"type": "thinking", "thinking": thoughts})).into_iter().collect();
    if calls.is_empty() {
        content.push(json!({"type": "text", "text": text}));
    }
    object([
        ("role", "assistant".into()),
        ("content", filled(content).into()),
        ("tool_plan", (!calls.is_empty() && !text.is_empty()).then_some(text).into()),
        ("tool_calls", filled(calls.iter().map(called).collect::<Vec<_>>()).into()),
    ])
}

/// Without further members, such as another provider's signature.
fn called(call: &ToolCall) -> Value {
    let arguments = if call.function.arguments.trim().is_empty() { "{}" } else { &call.function.arguments };
    json!({"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": arguments}})
}

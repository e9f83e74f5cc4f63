//! The conversation, message by message.

use patchbay_plugin_api::chat::{Media, Said};
use patchbay_plugin_api::dialect::{filled, object};
use patchbay_plugin_api::{ChatRequest, Message, ProviderError, Result, Role, ToolCall};
use serde_json::Value;

/// All messages of a request, in their order.
pub(crate) fn all(request: &ChatRequest) -> Result<Vec<Value>> {
    (0..request.messages.len()).map(|at| said(request, at)).collect()
}

fn said(request: &ChatRequest, at: usize) -> Result<Value> {
    let message = &request.messages[at];
    let is_result = message.role == Role::Tool;
    let calls = message.tool_calls.iter().enumerate();
    let calls = calls.map(|(index, call)| called(call, &format!("messages[{at}].tool_calls[{index}]")));
    // The newer word Ollama does not know.
    let role = if message.role == Role::Developer { &Role::System } else { &message.role };
    let thinking = message.extra.get("reasoning_content").filter(|thinking| thinking.is_string());
    Ok(object([
        ("role", role.as_str().into()),
        ("content", message.text().into()),
        ("thinking", thinking.cloned().into()),
        ("images", filled(images(at, message)?).into()),
        ("tool_calls", filled(calls.collect::<Result<Vec<_>>>()?).into()),
        // What most models know a result by.
        ("tool_name", request.called(at).filter(|_| is_result).into()),
        ("tool_call_id", message.tool_call_id.as_deref().filter(|_| is_result).into()),
    ]))
}

fn images(at: usize, message: &Message) -> Result<Vec<&str>> {
    let mut images = Vec::new();
    for piece in message.pieces() {
        let error = match piece.said {
            Said::Text(_) => continue,
            Said::Image(url) => match Media::of(url) {
                Ok(Media::Inline { data, .. }) => {
                    images.push(data);
                    continue;
                }
                _ => ProviderError::unsupported("images by their address: send them as a data URL in base64"),
            },
            _ => piece.unsupported(),
        };
        return Err(error.with_param(&format!("messages[{at}].content")));
    }
    Ok(images)
}

/// A call of the past: its arguments are an object to Ollama, and to everybody else a string, which may hold anything.
fn called(call: &ToolCall, at: &str) -> Result<Value> {
    let refused = |error: ProviderError| error.with_param(&format!("{at}.function.arguments"));
    let arguments = call.function.only_object().map_err(refused)?;
    let function = [("name", call.function.name.as_str().into()), ("arguments", arguments.into())];
    Ok(object([("id", filled(&*call.id).into()), ("function", object(function))]))
}

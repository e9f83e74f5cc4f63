//! The conversation, message by message.

use std::borrow::Cow;

use patchbay_plugin_api::chat::Content;
use patchbay_plugin_api::{ChatRequest, Message, Part, ProviderError, Result, Role, ToolCall};
use serde::Serialize;
use serde_json::{Map, Value};

/// A message as Ollama reads it: text and images apart.
#[derive(Serialize)]
pub(crate) struct Said<'a> {
    role: &'a str,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Called<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Called<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Map<String, Value>,
}

/// All messages of a request, in their order.
pub(crate) fn all(request: &ChatRequest) -> Result<Vec<Said<'_>>> {
    (0..request.messages.len()).map(|at| said(&request.messages[..at], at, &request.messages[at])).collect()
}

fn said<'a>(before: &'a [Message], at: usize, message: &'a Message) -> Result<Said<'a>> {
    let is_result = message.role == Role::Tool;
    let id = message.tool_call_id.as_deref().filter(|_| is_result);
    Ok(Said {
        role: match &message.role {
            // The newer word, which Ollama does not know.
            Role::Developer => Role::System.as_str(),
            role => role.as_str(),
        },
        content: message.text(),
        thinking: message.extra.get("reasoning_content").and_then(Value::as_str),
        images: images(at, message)?,
        tool_calls: (0..)
            .zip(&message.tool_calls)
            .map(|(call, called)| read(at, call, called))
            .collect::<Result<_>>()?,
        tool_name: id.and_then(|id| name_of(before, id)).or(message.name.as_deref().filter(|_| is_result)),
        tool_call_id: id,
    })
}

/// The function behind an id, which is what most models know a result by. The nearest call counts, for ids need not
/// differ from one answer to the next.
fn name_of<'a>(before: &'a [Message], id: &str) -> Option<&'a str> {
    let mut calls = before.iter().rev().flat_map(|message| &message.tool_calls);
    calls.find(|call| call.id == id).map(|call| &*call.function.name)
}

fn images(at: usize, message: &Message) -> Result<Vec<&str>> {
    let Some(Content::Parts(parts)) = &message.content else { return Ok(Vec::new()) };
    let unsupported =
        |what: &str| Err(ProviderError::unsupported(what).with_param(&format!("messages[{at}].content")));
    let mut images = Vec::new();
    for part in parts {
        match part {
            Part::Text { .. } => {}
            Part::ImageUrl { image_url, .. } => match base64(&image_url.url) {
                Some(data) => images.push(data),
                None => return unsupported("images by their address: send them as a data URL in base64"),
            },
            Part::Other(part) => {
                let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
                return unsupported(&format!("parts of type `{kind}`"));
            }
        }
    }
    Ok(images)
}

/// What a `data:` URL holds.
fn base64(url: &str) -> Option<&str> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    head.ends_with(";base64").then_some(data)
}

/// A call of the past: its arguments are an object to Ollama, and to everybody else a string, which may hold anything.
fn read(at: usize, call: usize, called: &ToolCall) -> Result<Called<'_>> {
    let text = called.function.arguments.trim();
    let arguments = match text {
        "" => Map::new(),
        text => serde_json::from_str(text).map_err(|error| {
            ProviderError::unsupported("a tool call's arguments that are not a JSON object")
                .with_param(&format!("messages[{at}].tool_calls[{call}].function.arguments"))
                .with_detail(error.to_string())
        })?,
    };
    Ok(Called { id: &called.id, function: Function { name: &called.function.name, arguments } })
}

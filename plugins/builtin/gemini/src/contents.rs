//! A conversation in Gemini's terms: turns of the user and of the model, each a list of parts.

use patchbay_plugin_api::chat::{Media, Piece, Said, image_type};
use patchbay_plugin_api::dialect::{self, filled, object};
use patchbay_plugin_api::{ChatRequest, ProviderError, Result, Role, ToolCall};
use serde_json::{Value, json};

/// Google's own way to say that a call has no signature because no model of its own made it, or because a client
/// has not kept it. Without one or the other Gemini 3 refuses the first call of every step.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// The turns. What follows in the same role belongs to the same turn, so that the results of calls made at one time
/// are in one, as Gemini wants them. `signs` says whether the model asks for signatures.
pub(crate) fn turns(request: &ChatRequest, signs: bool) -> Result<Vec<Value>> {
    dialect::turns(&request.messages, ["user", "model"], "parts", |index, message| {
        let mut parts = message.said().map(part).collect::<Result<Vec<_>>>()?;
        if message.role == Role::Tool {
            // Images of a result go beside it, where every model takes them.
            parts.retain(|part| part.get("text").is_none());
            parts.insert(0, result(request, index)?);
        }
        // The model's thoughts are not told again: to it only their signatures mean something.
        for (index, tool_call) in message.tool_calls.iter().enumerate() {
            // Of calls made at one time, the first alone is signed.
            parts.push(call(tool_call, (signs && index == 0).then_some(UNSIGNED))?);
        }
        Ok(parts)
    })
}

fn part(piece: Piece<'_>) -> Result<Value> {
    Ok(match piece.said {
        Said::Text(text) => json!({"text": text}),
        Said::Image(url) | Said::File(url) => media(url)?,
        Said::Audio { data, format } => inline(&format!("audio/{format}"), data),
        Said::Other(..) => return Err(piece.unsupported()),
    })
}

/// A file in the request itself, or at an address from which Google fetches it.
fn media(url: &str) -> Result<Value> {
    Ok(match Media::of(url)? {
        Media::Inline { media_type, data } => inline(media_type, data),
        // Google looks at the file where nothing is said.
        Media::At(url) => {
            json!({"fileData": object([("fileUri", url.into()), ("mimeType", image_type(url).into())])})
        }
    })
}

fn inline(media_type: &str, data: &str) -> Value {
    json!({"inlineData": {"mimeType": media_type, "data": data}})
}

fn call(call: &ToolCall, unsigned: Option<&str>) -> Result<Value> {
    let (id, arguments) = (filled(&*call.id), call.function.only_object()?);
    let name = call.function.name.as_str();
    let called = object([("id", id.into()), ("name", name.into()), ("args", arguments.into())]);
    let extra = call.extra.get("extra_content");
    let signature = extra.and_then(|extra| extra["google"]["thought_signature"].as_str()).or(unsigned);
    Ok(object([("functionCall", called), ("thoughtSignature", signature.into())]))
}

/// The result of a call. OpenAI names the call, and Gemini the function, too: it stands in what came before.
fn result(request: &ChatRequest, index: usize) -> Result<Value> {
    let message = &request.messages[index];
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    let unknown = || format!("no tool call before its result has the id `{id}`");
    let name = request.called(index).ok_or_else(|| ProviderError::invalid_input(unknown()))?;
    // Gemini takes an object, and tools that return one mean that.
    let text = message.text();
    let response = match serde_json::from_str(&text) {
        Ok(object @ Value::Object(_)) => object,
        _ => json!({"result": text}),
    };
    let result = object([("id", filled(id).into()), ("name", name.into()), ("response", response)]);
    Ok(object([("functionResponse", result)]))
}

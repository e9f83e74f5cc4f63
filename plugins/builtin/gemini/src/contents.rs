//! A conversation in Gemini's terms: turns of the user and of the model, each a list of parts.

use patchbay_plugin_api::{ChatRequest, Content, Message, Part, ProviderError, Result, Role, ToolCall};
use serde_json::{Map, Value, json};

/// Google's own way to say that a call has no signature because no model of its own made it, or because a client
/// has not kept it. Without one or the other Gemini 3 refuses the first call of every step.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// The turns. What follows in the same role belongs to the same turn, so that the results of calls made at one time
/// are in one, as Gemini wants them. `signs` says whether the model asks for signatures.
pub(crate) fn turns(request: &ChatRequest, signs: bool) -> Result<Vec<Value>> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for (index, message) in request.messages.iter().enumerate() {
        let (role, parts) = match &message.role {
            Role::System | Role::Developer => continue,
            Role::User => ("user", said(message)?),
            Role::Assistant => ("model", answered(message, signs)?),
            Role::Tool => ("user", result(message, &request.messages[..index])?),
            Role::Other(role) => {
                return Err(ProviderError::invalid_input(format!("a message has the unknown role `{role}`")));
            }
        };
        match turns.last_mut() {
            _ if parts.is_empty() => {}
            Some((last, said)) if *last == role => said.extend(parts),
            _ => turns.push((role, parts)),
        }
    }
    Ok(turns.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect())
}

/// Parts of a content. An empty text is none: Gemini takes no part without content.
fn said(message: &Message) -> Result<Vec<Value>> {
    match &message.content {
        None => Ok(Vec::new()),
        Some(Content::Text(text)) => Ok(text_part(text).into_iter().collect()),
        Some(Content::Parts(parts)) => parts.iter().filter_map(|said| part(said).transpose()).collect(),
    }
}

fn text_part(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| json!({"text": text}))
}

fn part(part: &Part) -> Result<Option<Value>> {
    let members = match part {
        Part::Text { text, .. } => return Ok(text_part(text)),
        Part::ImageUrl { image_url, .. } => return media(&image_url.url).map(Some),
        Part::Other(members) => members,
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
    let member = &members.get(kind).unwrap_or(&Value::Null);
    match kind {
        "refusal" => Ok(member.as_str().and_then(text_part)),
        "input_audio" => {
            let (data, format) = (text(&member["data"]), text(&member["format"]));
            let (data, format) =
                data.zip(format).ok_or_else(|| wrong("`input_audio` needs `data` and `format`"))?;
            Ok(Some(json!({"inlineData": {"mimeType": format!("audio/{format}"), "data": data}})))
        }
        "file" => {
            let data =
                text(&member["file_data"]).ok_or_else(|| wrong("`file` needs `file_data`, a data: URL"))?;
            media(&data).map(Some)
        }
        // Somebody else may know it.
        kind => Err(ProviderError::unsupported(&format!("parts of type `{kind}`"))),
    }
}

/// A file in the request itself, or at an address from which Google fetches it.
fn media(url: &str) -> Result<Value> {
    let Some(inline) = url.strip_prefix("data:") else {
        let mut file = json!({"fileUri": url});
        // Google looks at the file where nothing is said.
        if let Some(kind) = image_type(url) {
            file["mimeType"] = kind.into();
        }
        return Ok(json!({"fileData": file}));
    };
    let (head, data) = inline.split_once(',').ok_or_else(|| wrong("a data: URL has no data"))?;
    let kind = head.strip_suffix(";base64").ok_or_else(|| wrong("a data: URL must be in base64"))?;
    // Further parameters of the type say nothing to Google.
    let kind = kind.split(';').next().filter(|kind| !kind.is_empty());
    let kind = match kind.ok_or_else(|| wrong("a data: URL does not say its type"))? {
        // A common mistake, which Google does not forgive.
        "image/jpg" => "image/jpeg",
        kind => kind,
    };
    Ok(json!({"inlineData": {"mimeType": kind, "data": data}}))
}

/// The type of an image by the end of its name.
fn image_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    Some(match path.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "gif" => "image/gif",
        _ => return None,
    })
}

/// The model's turn. Its thoughts are not told again: to the model only its signatures mean something.
fn answered(message: &Message, signs: bool) -> Result<Vec<Value>> {
    let mut parts = said(message)?;
    for (index, call) in message.tool_calls.iter().enumerate() {
        let mut part = json!({"functionCall": identified(&call.id, json!({
            "name": call.function.name, "args": arguments(call)?,
        }))});
        let signature =
            call.extra.get("extra_content").and_then(|extra| extra["google"]["thought_signature"].as_str());
        // Of calls made at one time, the first alone is signed.
        if let Some(signature) = signature.or((signs && index == 0).then_some(UNSIGNED)) {
            part["thoughtSignature"] = signature.into();
        }
        parts.push(part);
    }
    Ok(parts)
}

fn arguments(call: &ToolCall) -> Result<Map<String, Value>> {
    match call.function.arguments.trim() {
        "" => Ok(Map::new()),
        json => serde_json::from_str(json).map_err(|_| {
            wrong(&format!("the arguments of the tool call `{}` are not a JSON object", call.function.name))
        }),
    }
}

/// The result of a call. OpenAI names the call, and Gemini the function, too: it stands in what came before.
fn result(message: &Message, before: &[Message]) -> Result<Vec<Value>> {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    // The latest, for ids that a client made up may repeat themselves.
    let calls = before.iter().rev().flat_map(|message| &message.tool_calls);
    let called = calls.filter(|call| call.id == id).map(|call| &call.function.name).next();
    let name = called.or(message.name.as_ref());
    let name = name.ok_or_else(|| wrong(&format!("no tool call before its result has the id `{id}`")))?;
    // Gemini takes an object, and tools that return one mean that.
    let text = message.text();
    let response = match serde_json::from_str(&text) {
        Ok(object @ Value::Object(_)) => object,
        _ => json!({"result": text}),
    };
    let response = json!({"functionResponse": identified(id, json!({"name": name, "response": response}))});
    // Images of a result go beside it, where every model takes them.
    let beside = said(message)?.into_iter().filter(|part| part.get("text").is_none());
    Ok([response].into_iter().chain(beside).collect())
}

fn identified(id: &str, mut value: Value) -> Value {
    if !id.is_empty() {
        value["id"] = id.into();
    }
    value
}

fn wrong(message: &str) -> ProviderError {
    ProviderError::invalid_input(message)
}

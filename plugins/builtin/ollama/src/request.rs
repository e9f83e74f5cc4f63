//! Requests as Ollama reads them.

use patchbay_plugin_api::chat::{AnswerForm, ToolChoice};
use patchbay_plugin_api::dialect::{filled, object, unless_empty};
use patchbay_plugin_api::{ChatRequest, EmbedRequest, Result};
use serde_json::{Map, Value, json};

use crate::{Own, message};

/// Members that become options, beside those that [`ChatRequest`] has: OpenAI's, and some that clients of local models
/// send next to them. The other name of the penalty is vLLM's.
const OPTIONS: [(&str, &str); 8] = [
    ("seed", "seed"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("repeat_penalty", "repeat_penalty"),
    ("repetition_penalty", "repeat_penalty"),
    ("num_ctx", "num_ctx"),
];

/// The body of `/api/chat`.
pub(crate) fn chat(request: &ChatRequest, model: &str, own: &Own) -> Result<Value> {
    let format = match request.form()? {
        AnswerForm::Json => Some("json".into()),
        // The schema alone.
        form => form.schema().cloned(),
    };
    Ok(object([
        ("model", model.into()),
        ("messages", message::all(request)?.into()),
        // Said in any case: unsaid, Ollama streams.
        ("stream", request.stream.into()),
        ("tools", filled(tools(request)?).into()),
        ("format", format.into()),
        ("think", think(request).into()),
        ("keep_alive", request.member("keep_alive").or(own.keep_alive.as_ref()).cloned().into()),
        ("options", unless_empty(options(request, own)).into()),
    ]))
}

/// The tools the model may choose from. Ollama cannot be told that one must be called; it can be shown fewer.
fn tools(request: &ChatRequest) -> Result<Vec<Value>> {
    let functions = request.offered_functions()?.into_iter();
    let shown = functions.filter(|_| request.choice() != Some(ToolChoice::Never));
    Ok(shown.map(|function| json!({"type": "function", "function": function})).collect())
}

/// Ollama's own word as it is, or OpenAI's in the three that Ollama has.
fn think(request: &ChatRequest) -> Option<Value> {
    if let Some(think) = request.member("think") {
        return Some(think.clone());
    }
    match request.effort()? {
        "none" => Some(false.into()),
        "minimal" => Some("low".into()),
        effort @ ("low" | "medium" | "high") => Some(effort.into()),
        "xhigh" | "max" => Some("high".into()),
        _ => None,
    }
}

/// The operator's options, changed by those the client wrote in Ollama's words, changed by those in OpenAI's.
fn options(request: &ChatRequest, own: &Own) -> Value {
    let mut options = own_options(&request.extra, own);
    let others = OPTIONS.map(|(member, option)| (option, request.member(member).cloned()));
    let known = [
        ("temperature", request.temperature.map(Value::from)),
        ("top_p", request.top_p.map(Value::from)),
        ("num_predict", request.token_limit().map(Value::from)),
        ("stop", request.stop.as_ref().map(|_| request.stops().into())),
    ];
    let said = others.into_iter().chain(known);
    options.extend(said.filter_map(|(name, value)| Some((name.to_owned(), value?))));
    options.into()
}

fn own_options(extra: &Map<String, Value>, own: &Own) -> Map<String, Value> {
    let mut options = own.options.clone();
    options.extend(extra.get("options").and_then(Value::as_object).cloned().unwrap_or_default());
    options
}

/// The body of `/api/embed`.
pub(crate) fn embed(request: &EmbedRequest, model: &str, own: &Own) -> Result<Value> {
    let keep_alive = request.extra.get("keep_alive").filter(|time| !time.is_null());
    Ok(object([
        ("model", model.into()),
        ("input", request.texts()?.into()),
        ("dimensions", request.dimensions.into()),
        // Unsaid, Ollama cuts a text that is too long.
        ("truncate", request.extra.get("truncate").cloned().into()),
        ("keep_alive", keep_alive.or(own.keep_alive.as_ref()).cloned().into()),
        ("options", unless_empty(own_options(&request.extra, own).into()).into()),
    ]))
}

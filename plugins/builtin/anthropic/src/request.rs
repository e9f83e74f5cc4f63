//! From a canonical request to the body of one for Anthropic's Messages API.

use patchbay_plugin_api::chat::{AnswerForm, ToolChoice};
use patchbay_plugin_api::dialect::{closed, filled, object, unless_empty, version};
use patchbay_plugin_api::{ChatRequest, Message, Result, Tool};
use serde_json::{Value, json};

use crate::messages::{block, turns};
use crate::thinking;

/// What `response_format: json_object` comes to: the API has schemas, but no word for any JSON at all.
const ANY_JSON: &str = "Answer with one JSON object and nothing else: no explanation, no code fence.";

/// The body; `limit` is the operator's, for requests that leave it open.
pub(crate) fn body(request: &ChatRequest, model: &str, limit: Option<u64>) -> Result<Value> {
    let (choice, form) = (tool_choice(request), request.form()?);
    let forced = choice.as_ref().is_some_and(|choice| choice["type"] == "any" || choice["type"] == "tool");
    let thinking = thinking::plan(request, model, limit, forced);
    let mut system = request.instructions().flat_map(Message::said).map(block).collect::<Result<Vec<_>>>()?;
    system.extend((form == AnswerForm::Json).then(|| json!({"type": "text", "text": ANY_JSON})));
    // Forcing a tool would do as well with old models, but the current ones refuse to be forced.
    let format = form.schema().map(|schema| json!({"type": "json_schema", "schema": closed(schema.clone())}));
    let output = object([("effort", thinking.effort.into()), ("format", format.into())]);

    // What a model refuses is left out: clients send it unasked, and an answer without it is better than none.
    let thinks = thinking.how.as_ref().is_some_and(|how| how["type"] != "disabled");
    let samples = !thinks && version(model) < thinking::CURRENT;
    let temperature = request.temperature.filter(|_| samples);
    let tools = filled(request.tools.iter().map(tool).collect::<Vec<_>>());
    let user = request.member("user").filter(|user| user.is_string());
    Ok(object([
        ("model", model.into()),
        ("max_tokens", thinking.limit.into()),
        ("messages", turns(request)?.into()),
        ("stream", request.stream.then_some(true).into()),
        ("stop_sequences", filled(request.stops().to_vec()).into()),
        ("tool_choice", choice.filter(|_| tools.is_some()).into()),
        ("tools", tools.into()),
        ("system", filled(system).into()),
        ("thinking", thinking.how.into()),
        ("output_config", unless_empty(output).into()),
        ("metadata", user.map(|user| json!({"user_id": user})).into()),
        // OpenAI's go up to 2.
        ("temperature", temperature.map(|temperature| temperature.min(1.0)).into()),
        // Not both: most models refuse that.
        ("top_p", request.top_p.filter(|_| samples && temperature.is_none()).into()),
        ("top_k", request.member("top_k").filter(|top_k| samples && top_k.is_u64()).cloned().into()),
    ]))
}

fn tool(tool: &Tool) -> Value {
    // A tool of Anthropic's own, such as its search of the web, is in Anthropic's own words.
    let Some(function) = &tool.function else { return json!(tool) };
    let strict = function.is_strict();
    object([
        ("name", function.name.as_str().into()),
        ("description", function.description.as_deref().into()),
        // Schemas are followed only where every object says that it has no further members.
        ("input_schema", if strict { closed(function.schema()) } else { function.schema() }),
        ("strict", strict.then_some(true).into()),
        ("cache_control", tool.extra.get("cache_control").cloned().into()),
    ])
}

/// The newest models refuse to be forced. They say so: left free, they might answer in text where a call is awaited.
fn tool_choice(request: &ChatRequest) -> Option<Value> {
    let one = request.member("parallel_tool_calls") == Some(&Value::Bool(false));
    let mut choice = match request.choice() {
        None if !one => return None,
        Some(ToolChoice::Function(name)) => json!({"type": "tool", "name": name}),
        Some(ToolChoice::Other(Value::String(word))) => json!({"type": word}),
        Some(ToolChoice::Other(own)) => own.clone(),
        other => json!({"type": other.unwrap_or(ToolChoice::Auto).word(["auto", "none", "any"])}),
    };
    if one && choice["type"] != "none" && choice.is_object() {
        choice["disable_parallel_tool_use"] = true.into();
    }
    Some(choice)
}

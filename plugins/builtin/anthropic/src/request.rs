//! From a canonical request to the body of one for Anthropic's Messages API.

use patchbay_plugin_api::chat::{AnswerForm, ToolChoice};
use patchbay_plugin_api::dialect::{close_objects, filled, object, unless_empty, version};
use patchbay_plugin_api::{ChatRequest, Result, Tool};
use serde_json::{Value, json};

use crate::messages;
use crate::thinking::{self, Asked};

/// What `response_format: json_object` comes to: the API has schemas, but no word for any JSON at all.
const ANY_JSON: &str = "Answer with one JSON object and nothing else: no explanation, no code fence.";

/// The body; `limit` is the operator's, for requests that leave it open.
pub(crate) fn body(request: &ChatRequest, model: &str, limit: Option<u64>) -> Result<Value> {
    request.single_answer()?;
    let generation = version(model);
    let (mut system, turns) = messages::turns(&request.messages)?;
    let choice = tool_choice(request);
    let asked = Asked {
        effort: request.effort(),
        said: request.token_limit(),
        limit,
        forced: choice.as_ref().is_some_and(|choice| choice["type"] == "any" || choice["type"] == "tool"),
        resumed: turns.last().is_some_and(|turn| turn["content"][0]["type"] == "tool_result"),
    };
    let mut thinking = thinking::plan(generation, &asked);
    if let Some(own) = request.member("thinking") {
        // In Anthropic's own words, so it is meant for them.
        thinking = thinking::left_to(Some(own.clone()), generation, &asked);
    }
    let format = match request.form()? {
        AnswerForm::Text => None,
        AnswerForm::Json => {
            system.push(json!({"type": "text", "text": ANY_JSON}));
            None
        }
        // Forcing a tool would do as well with old models, but the current ones refuse to be forced.
        AnswerForm::Schema(schema) => Some(json!({"type": "json_schema", "schema": closed(schema)})),
    };
    let output = object([("effort", thinking.effort.into()), ("format", format.into())]);

    // What a model refuses is left out: clients send it unasked, and an answer without it is better than none.
    let thinks = thinking.how.as_ref().is_some_and(|how| how["type"] != "disabled");
    let samples = !thinks && generation < thinking::CURRENT;
    let tools = filled(request.tools.iter().map(tool).collect());
    let user = request.member("user").filter(|user| user.is_string());
    Ok(object([
        ("model", model.into()),
        ("max_tokens", thinking.limit.into()),
        ("messages", turns.into()),
        ("stream", request.stream.then_some(true).into()),
        ("stop_sequences", filled(request.stops().to_vec()).into()),
        ("tool_choice", choice.filter(|_| tools.is_some()).into()),
        ("tools", tools.into()),
        ("system", filled(system).into()),
        ("thinking", thinking.how.into()),
        ("output_config", unless_empty(output).into()),
        ("metadata", user.map(|user| json!({"user_id": user})).into()),
        // OpenAI's go up to 2.
        (
            "temperature",
            request.temperature.filter(|_| samples).map(|temperature| temperature.min(1.0)).into(),
        ),
        // Not both: most models refuse that.
        ("top_p", request.top_p.filter(|_| samples && request.temperature.is_none()).into()),
        ("top_k", request.member("top_k").filter(|top_k| samples && top_k.is_u64()).cloned().into()),
    ]))
}

fn tool(tool: &Tool) -> Value {
    let Some(function) = &tool.function else {
        // A tool of Anthropic's own, such as its search of the web, in Anthropic's own words.
        let mut own = tool.extra.clone();
        own.insert("type".into(), tool.kind.clone().into());
        return own.into();
    };
    let schema = function.parameters.clone().filter(Value::is_object);
    let schema = schema.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    let strict = function.extra.get("strict") == Some(&Value::Bool(true));
    object([
        ("name", function.name.as_str().into()),
        ("description", function.description.as_deref().into()),
        ("input_schema", if strict { closed(&schema) } else { schema }),
        ("strict", strict.then_some(true).into()),
        ("cache_control", tool.extra.get("cache_control").cloned().into()),
    ])
}

/// Schemas are followed only where every object says that it has no further members.
fn closed(schema: &Value) -> Value {
    let mut schema = schema.clone();
    close_objects(&mut schema);
    schema
}

/// The newest models refuse to be forced. They say so: left free, they might answer in text where a call is awaited.
fn tool_choice(request: &ChatRequest) -> Option<Value> {
    let one = request.member("parallel_tool_calls") == Some(&Value::Bool(false));
    let mut choice = match request.choice() {
        None if !one => return None,
        None | Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::Never) => json!({"type": "none"}),
        Some(ToolChoice::Required) => json!({"type": "any"}),
        Some(ToolChoice::Function(name)) => json!({"type": "tool", "name": name}),
        Some(ToolChoice::Other(Value::String(word))) => json!({"type": word}),
        Some(_) => request.tool_choice.clone()?,
    };
    if one && choice["type"] != "none" && choice.is_object() {
        choice["disable_parallel_tool_use"] = true.into();
    }
    Some(choice)
}

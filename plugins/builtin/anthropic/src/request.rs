//! From a canonical request to the body of one for Anthropic's Messages API.

use patchbay_plugin_api::{ChatRequest, ProviderError, Result, Tool};
use serde_json::{Map, Value, json};

use crate::messages;
use crate::thinking::{self, Asked, Generation, Thinking};

/// What `response_format: json_object` comes to: the API has schemas, but no word for any JSON at all.
const ANY_JSON: &str = "Answer with one JSON object and nothing else: no explanation, no code fence.";

/// Members of a schema that hold values.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

/// The body; `model` and `limit` are the operator's, for requests that leave them open.
pub(crate) fn body(request: &ChatRequest, model: Option<&str>, limit: Option<u64>) -> Result<Value> {
    if request.extra.get("n").and_then(Value::as_u64).is_some_and(|n| n > 1) {
        return Err(ProviderError::unsupported("several answers to one request"));
    }
    let model = request.model.as_deref().or(model);
    let model = model
        .ok_or_else(|| ProviderError::invalid_input("the request names no model").with_param("model"))?;
    let generation = Generation::of(model);
    let (mut system, turns) = messages::turns(&request.messages)?;
    let choice = tool_choice(request);

    let said = request.token_limit();
    let asked = Asked {
        effort: request.extra.get("reasoning_effort").and_then(Value::as_str),
        limit: said.or(limit).unwrap_or(generation.default_limit()),
        said: said.is_some(),
        forced: choice.as_ref().is_some_and(|choice| choice["type"] == "any" || choice["type"] == "tool"),
        resumed: turns.last().is_some_and(|turn| turn["content"][0]["type"] == "tool_result"),
    };
    let own = request.extra.get("thinking").filter(|own| !own.is_null());
    let Thinking { thinking, effort, limit } = match own {
        // In Anthropic's own words, so it is meant for them.
        Some(own) => Thinking { thinking: Some(own.clone()), effort: None, limit: asked.limit },
        None => thinking::plan(generation, &asked),
    };
    let mut output = Map::new();
    output.extend(effort.map(|effort| ("effort".to_owned(), effort.into())));
    let format = request.response_format.as_ref().unwrap_or(&Value::Null);
    match format["type"].as_str() {
        Some("json_schema") => {
            // Forcing a tool would do as well with old models, but the current ones refuse to be forced.
            let mut schema = format["json_schema"]["schema"].clone();
            close_objects(&mut schema);
            output.insert("format".into(), json!({"type": "json_schema", "schema": schema}));
        }
        Some("json_object") => system.push(json!({"type": "text", "text": ANY_JSON})),
        _ => {}
    }

    let mut body = Map::new();
    if thinking.as_ref().is_none_or(|thinking| thinking["type"] == "disabled") {
        body = sampling(request, generation);
    }
    let user = request.extra.get("user").and_then(Value::as_str);
    let tools: Vec<Value> = request.tools.iter().map(tool).collect();
    for (name, value) in [
        ("model", Some(model.into())),
        ("max_tokens", Some(limit.into())),
        ("messages", Some(turns.into())),
        ("stream", request.stream.then_some(Value::Bool(true))),
        ("stop_sequences", (!request.stops().is_empty()).then(|| request.stops().into())),
        ("tool_choice", choice.filter(|_| !tools.is_empty())),
        ("tools", (!tools.is_empty()).then(|| tools.into())),
        ("system", (!system.is_empty()).then(|| system.into())),
        ("thinking", thinking),
        ("output_config", (!output.is_empty()).then(|| output.into())),
        ("metadata", user.map(|user| json!({"user_id": user}))),
    ] {
        body.extend(value.map(|value| (name.to_owned(), value)));
    }
    Ok(body.into())
}

/// How freely to choose among words. What a model refuses is left out: clients send it unasked, and an answer without
/// it is better than none.
fn sampling(request: &ChatRequest, generation: Generation) -> Map<String, Value> {
    let mut sampling = Map::new();
    if generation.refuses_sampling() {
        return sampling;
    }
    if let Some(temperature) = request.temperature {
        // OpenAI's go up to 2.
        sampling.insert("temperature".into(), temperature.min(1.0).into());
    } else if let Some(top_p) = request.top_p {
        // Not both: most models refuse that.
        sampling.insert("top_p".into(), top_p.into());
    }
    if let Some(top_k) = request.extra.get("top_k").filter(|top_k| top_k.is_u64()) {
        sampling.insert("top_k".into(), top_k.clone());
    }
    sampling
}

fn tool(tool: &Tool) -> Value {
    let Some(function) = &tool.function else {
        // A tool of Anthropic's own, such as its search of the web, in Anthropic's own words.
        let mut own = tool.extra.clone();
        own.insert("type".into(), tool.kind.clone().into());
        return own.into();
    };
    let schema = function.parameters.clone().filter(Value::is_object);
    let mut made = json!({
        "name": function.name,
        "input_schema": schema.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
    });
    if let Some(description) = &function.description {
        made["description"] = description.clone().into();
    }
    if function.extra.get("strict") == Some(&Value::Bool(true)) {
        close_objects(&mut made["input_schema"]);
        made["strict"] = true.into();
    }
    if let Some(mark) = tool.extra.get("cache_control") {
        made["cache_control"] = mark.clone();
    }
    made
}

/// The newest models refuse to be forced. They say so: left free, they might answer in text where a call is awaited.
fn tool_choice(request: &ChatRequest) -> Option<Value> {
    let one = request.extra.get("parallel_tool_calls") == Some(&Value::Bool(false));
    let mut choice = match &request.tool_choice {
        None if one => json!({"type": "auto"}),
        None => return None,
        Some(Value::String(word)) if word == "required" => json!({"type": "any"}),
        Some(Value::String(word)) => json!({"type": word}),
        Some(named) => match named["function"]["name"].as_str() {
            Some(name) => json!({"type": "tool", "name": name}),
            None => named.clone(),
        },
    };
    if one && choice["type"] != "none" && choice.is_object() {
        choice["disable_parallel_tool_use"] = true.into();
    }
    Some(choice)
}

/// Schemas are followed only where every object says that it has no further members.
fn close_objects(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let object = |kind: &Value| {
                kind == "object" || kind.as_array().is_some_and(|kinds| kinds.contains(&"object".into()))
            };
            if members.get("type").is_some_and(object) {
                members.entry("additionalProperties").or_insert(false.into());
            }
            // Values are no schemas, whatever they look like.
            let schemas = members.iter_mut().filter(|(name, _)| !VALUES.contains(&name.as_str()));
            schemas.for_each(|(_, schema)| close_objects(schema));
        }
        Value::Array(several) => several.iter_mut().for_each(close_objects),
        _ => {}
    }
}

//! From a canonical request to the body of one for Anthropic's Messages API.

use patchbay_plugin_api::{ChatRequest, ProviderError, Result, Tool};
use serde_json::{Map, Value, json};

use crate::messages;
use crate::thinking::{self, Generation};

/// What `response_format: json_object` comes to: the API has schemas, but no word for any JSON at all.
const ANY_JSON: &str = "Answer with one JSON object and nothing else: no explanation, no code fence.";

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
    let mut body = Map::new();
    let mut output = Map::new();

    let choice = tool_choice(request);
    let forced = matches!(choice.as_ref().and_then(|choice| choice["type"].as_str()), Some("any" | "tool"));
    let said = request.token_limit();
    let mut limit = said.or(limit).unwrap_or(generation.default_limit());
    let effort = request.extra.get("reasoning_effort").and_then(Value::as_str);
    if let Some(thinking) = request.extra.get("thinking") {
        // In Anthropic's own words, so it is meant for them.
        body.insert("thinking".into(), thinking.clone());
    } else if let Some(effort) = effort {
        // These models think only before a free choice, and go on thinking only from thoughts they signed, which
        // canonical messages do not hold.
        let free = !forced && turns.last().is_none_or(|turn| turn["content"][0]["type"] != "tool_result");
        let plan = thinking::plan(generation, effort, limit, said.is_some(), free);
        limit = plan.limit;
        body.extend(plan.thinking.map(|thinking| ("thinking".to_owned(), thinking)));
        output.extend(plan.effort.map(|effort| ("effort".to_owned(), effort.into())));
    }
    match request.response_format.as_ref().map(|format| (format["type"].as_str(), format)) {
        Some((Some("json_schema"), format)) => {
            // Forcing a tool would do as well with old models, but the current ones refuse to be forced.
            let mut schema = format["json_schema"]["schema"].clone();
            close_objects(&mut schema);
            output.insert("format".into(), json!({"type": "json_schema", "schema": schema}));
        }
        Some((Some("json_object"), _)) => system.push(json!({"type": "text", "text": ANY_JSON})),
        _ => {}
    }

    body.insert("model".into(), model.into());
    body.insert("max_tokens".into(), limit.into());
    body.insert("messages".into(), turns.into());
    let mut add = |name: &str, value: Value, there: bool| there.then(|| body.insert(name.into(), value));
    add("stream", true.into(), request.stream);
    add("stop_sequences", request.stops().into(), !request.stops().is_empty());
    add("tools", request.tools.iter().map(tool).collect(), !request.tools.is_empty());
    add("system", system.clone().into(), !system.is_empty());
    add("output_config", output.clone().into(), !output.is_empty());
    if let Some(choice) = choice {
        add("tool_choice", choice, !request.tools.is_empty());
    }
    if let Some(user) = request.extra.get("user").and_then(Value::as_str) {
        add("metadata", json!({"user_id": user}), true);
    }
    sampling(request, generation, &mut body);
    Ok(body.into())
}

/// How freely to choose among words. What a model refuses is left out: clients send it unasked, and an answer without
/// it is better than none.
fn sampling(request: &ChatRequest, generation: Generation, body: &mut Map<String, Value>) {
    let thinks = body.get("thinking").is_some_and(|thinking| thinking["type"] != "disabled");
    if generation.refuses_sampling() || thinks {
        return;
    }
    if let Some(temperature) = request.temperature {
        // OpenAI's go up to 2.
        body.insert("temperature".into(), temperature.min(1.0).into());
    } else if let Some(top_p) = request.top_p {
        // Not both: most models refuse that.
        body.insert("top_p".into(), top_p.into());
    }
    if let Some(top_k) = request.extra.get("top_k").filter(|top_k| top_k.is_u64()) {
        body.insert("top_k".into(), top_k.clone());
    }
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
            if members.get("type").is_some_and(|kind| kind == "object") {
                members.entry("additionalProperties").or_insert(false.into());
            }
            members.values_mut().for_each(close_objects);
        }
        Value::Array(several) => several.iter_mut().for_each(close_objects),
        _ => {}
    }
}

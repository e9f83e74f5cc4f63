//! A request in Cohere's terms: what is said is in `messages`, everything about how is here.

use patchbay_plugin_api::{ChatRequest, ProviderError, Result, Tool};
use serde_json::{Map, Value, json};

use crate::messages;

/// Members that are Cohere's alone, from clients that know whom they talk to.
const OWN: [&str; 3] = ["citation_options", "documents", "safety_mode"];

/// The least and the most of likely words that may be chosen among.
const SHARE: (f64, f64) = (0.01, 0.99);

pub(crate) fn body(request: &ChatRequest, model: &str) -> Result<Value> {
    let extra = |name: &str| request.extra.get(name).filter(|value| !value.is_null());
    if extra("n").and_then(Value::as_u64).is_some_and(|n| n > 1) {
        return Err(ProviderError::unsupported("several answers to one request").with_param("n"));
    }
    let (tools, choice) = tools(request)?;
    // Where both are given most models refuse them.
    let frequency = penalty(extra("frequency_penalty"));
    let presence = penalty(extra("presence_penalty")).filter(|_| frequency.is_none());
    let mut body = Map::new();
    for (name, value) in [
        ("model", Some(model.into())),
        ("messages", Some(messages::all(request)?.into())),
        ("stream", request.stream.then_some(true.into())),
        // OpenAI's go up to 2.
        ("temperature", request.temperature.map(|temperature| temperature.min(1.0).into())),
        ("p", request.top_p.map(|share| share.clamp(SHARE.0, SHARE.1).into())),
        ("k", extra("top_k").cloned()),
        ("max_tokens", request.token_limit().map(Value::from)),
        ("stop_sequences", (!request.stops().is_empty()).then(|| request.stops().into())),
        ("seed", extra("seed").filter(|seed| seed.is_u64()).cloned()),
        ("frequency_penalty", frequency),
        ("presence_penalty", presence),
        ("strict_tools", are_strict(&request.tools).then_some(true.into())),
        ("tools", (!tools.is_empty()).then(|| tools.into())),
        ("tool_choice", choice.map(Value::from)),
        ("response_format", format(request)?),
        ("thinking", extra("thinking").cloned().or_else(|| thinking(request))),
    ] {
        body.extend(value.map(|value| (name.to_owned(), value)));
    }
    body.extend(OWN.iter().filter_map(|name| extra(name).map(|value| ((*name).to_owned(), value.clone()))));
    Ok(body.into())
}

/// Cohere knows none below nothing and none above 1; nothing is what clients send unasked.
fn penalty(said: Option<&Value>) -> Option<Value> {
    said.and_then(Value::as_f64).filter(|penalty| *penalty > 0.0).map(|penalty| penalty.min(1.0).into())
}

/// The tools to choose from, and whether one must be called. Which one cannot be said: it is shown no other.
fn tools(request: &ChatRequest) -> Result<(Vec<Value>, Option<&'static str>)> {
    let named = request.tool_choice.as_ref().and_then(|choice| choice["function"]["name"].as_str());
    let choice = match &request.tool_choice {
        _ if named.is_some() => Some("REQUIRED"),
        Some(Value::String(word)) if word == "required" => Some("REQUIRED"),
        Some(Value::String(word)) if word == "none" => Some("NONE"),
        None | Some(Value::Null | Value::String(_)) => None,
        Some(_) => return Err(ProviderError::unsupported("this `tool_choice`").with_param("tool_choice")),
    };
    let mut tools = Vec::new();
    for (index, tool) in request.tools.iter().enumerate() {
        let Some(function) = &tool.function else {
            let error = ProviderError::unsupported(&format!("tools of type `{}`", tool.kind));
            return Err(error.with_param(&format!("tools[{index}]")));
        };
        let none = || json!({"type": "object", "properties": {}});
        let mut made = json!({
            "name": function.name, "parameters": function.parameters.clone().unwrap_or_else(none),
        });
        if let Some(description) = &function.description {
            made["description"] = description.clone().into();
        }
        if named.is_none_or(|named| named == function.name) {
            tools.push(json!({"type": "function", "function": made}));
        }
    }
    let choice = choice.filter(|_| !tools.is_empty());
    Ok((tools, choice))
}

/// Cohere is strict with all tools or with none, and refuses to be with those that need no parameter.
fn are_strict(tools: &[Tool]) -> bool {
    let strict = |tool: &Tool| {
        tool.function.as_ref().is_some_and(|function| {
            let required = function.parameters.as_ref().and_then(|schema| schema["required"].as_array());
            function.extra.get("strict") == Some(&true.into())
                && required.is_some_and(|names| !names.is_empty())
        })
    };
    !tools.is_empty() && tools.iter().all(strict)
}

fn format(request: &ChatRequest) -> Result<Option<Value>> {
    let asked = request.response_format.as_ref().unwrap_or(&Value::Null);
    let format = match asked["type"].as_str() {
        Some("json_object") => json!({"type": "json_object"}),
        Some("json_schema") => {
            json!({"type": "json_object", "json_schema": asked["json_schema"]["schema"]})
        }
        _ => return Ok(None),
    };
    if request.tools.is_empty() {
        return Ok(Some(format));
    }
    // Cohere would call the request wrong, but it is fine for others.
    Err(ProviderError::unsupported("JSON output beside tools").with_param("response_format"))
}

/// How much to think. At the highest effort without a bound, as Cohere recommends.
fn thinking(request: &ChatRequest) -> Option<Value> {
    let budget = match request.extra.get("reasoning_effort")?.as_str()? {
        "none" => return Some(json!({"type": "disabled"})),
        "minimal" | "low" => 1024,
        "medium" => 8192,
        "high" | "xhigh" | "max" => return Some(json!({"type": "enabled"})),
        _ => return None,
    };
    // Thoughts count, and half of the tokens are left for the answer.
    let most = request.token_limit().map_or(budget, |limit| budget.min(limit / 2)).max(1);
    Some(json!({"type": "enabled", "token_budget": most}))
}

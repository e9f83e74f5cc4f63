//! A request in Gemini's terms: what is said is in `contents`, everything about how is here.

use patchbay_plugin_api::{ChatRequest, ProviderError, Result};
use serde_json::{Map, Value, json};

use crate::contents;

pub(crate) fn body(request: &ChatRequest, model: &str) -> Result<Value> {
    let mut turns = contents::turns(request, generation(model) >= 3)?;
    let mut body = Map::new();
    match request.system_text().filter(|text| !text.is_empty()) {
        // Gemini answers somebody. Where there are only instructions, they are the question.
        Some(text) if turns.is_empty() => turns.push(json!({"role": "user", "parts": [{"text": text}]})),
        Some(text) => put(&mut body, "systemInstruction", Some(json!({"parts": [{"text": text}]}))),
        None => {}
    }
    put(&mut body, "contents", Some(turns.into()));
    if !request.tools.is_empty() {
        put(&mut body, "tools", Some(json!([{"functionDeclarations": functions(request)?}])));
        let choice = request.tool_choice.as_ref().map(choice).transpose()?;
        put(&mut body, "toolConfig", choice.map(|choice| json!({"functionCallingConfig": choice})));
    }
    let config = config(request, model)?;
    put(&mut body, "generationConfig", (!config.is_empty()).then(|| config.into()));
    // As Google's own endpoint for OpenAI's clients takes them.
    let google = google(request);
    put(&mut body, "cachedContent", google.and_then(|google| google.get("cached_content")).cloned());
    put(&mut body, "safetySettings", google.and_then(|google| google.get("safety_settings")).cloned());
    Ok(body.into())
}

fn put(object: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(name.into(), value);
    }
}

/// What a client says to Google alone.
fn google(request: &ChatRequest) -> Option<&Value> {
    request.extra.get("extra_body")?.get("google")
}

/// Which generation of Gemini a model is. One whose name does not say it, as `gemini-flash-latest`, is new; one
/// that is no Gemini is none.
fn generation(model: &str) -> u32 {
    let Some(version) = model.strip_prefix("gemini-") else { return 0 };
    version.split(['.', '-']).next().and_then(|major| major.parse().ok()).unwrap_or(3)
}

fn functions(request: &ChatRequest) -> Result<Vec<Value>> {
    let declared = request.tools.iter().map(|tool| {
        let Some(function) = tool.function.as_ref().filter(|_| tool.kind == "function") else {
            return Err(ProviderError::unsupported(&format!("tools of type `{}`", tool.kind)));
        };
        let mut declared = Map::new();
        put(&mut declared, "name", Some(function.name.as_str().into()));
        put(&mut declared, "description", function.description.as_deref().map(Value::from));
        // Unlike `parameters`, this is JSON Schema as it is, and nothing has to be cut from it.
        put(&mut declared, "parametersJsonSchema", function.parameters.clone());
        Ok(declared.into())
    });
    declared.collect()
}

/// Which functions may or must be called. That no two be called at one time cannot be said.
fn choice(choice: &Value) -> Result<Value> {
    let name = |tool: &Value| tool["function"]["name"].as_str().map(str::to_owned);
    if let Some(word) = choice.as_str() {
        let mode = mode(word).ok_or_else(|| unusable("tool_choice"))?;
        return Ok(json!({"mode": mode}));
    }
    if let Some(name) = name(choice) {
        return Ok(json!({"mode": "ANY", "allowedFunctionNames": [name]}));
    }
    let allowed = choice.get("allowed_tools").ok_or_else(|| unusable("tool_choice"))?;
    let names = allowed["tools"].as_array().map(|tools| tools.iter().filter_map(name).collect::<Vec<_>>());
    let names = names.ok_or_else(|| unusable("tool_choice"))?;
    // `AUTO` takes no names; this is the mode in which the model may call one of them or none.
    let mode = if allowed["mode"] == "required" { "ANY" } else { "VALIDATED" };
    Ok(json!({"mode": mode, "allowedFunctionNames": names}))
}

fn mode(word: &str) -> Option<&'static str> {
    match word {
        "auto" => Some("AUTO"),
        "none" => Some("NONE"),
        "required" => Some("ANY"),
        _ => None,
    }
}

fn config(request: &ChatRequest, model: &str) -> Result<Map<String, Value>> {
    let extra = |name: &str| request.extra.get(name).filter(|value| !value.is_null());
    // Since Gemini 3 there is one answer to a request. Somebody else may give more; fewer than were asked for would be
    // wrong.
    if extra("n").and_then(Value::as_u64).is_some_and(|n| n > 1) {
        return Err(ProviderError::unsupported("`n` above 1"));
    }
    let mut config = Map::new();
    put(&mut config, "temperature", request.temperature.map(Value::from));
    put(&mut config, "topP", request.top_p.map(Value::from));
    put(&mut config, "topK", extra("top_k").cloned());
    put(&mut config, "maxOutputTokens", request.token_limit().map(Value::from));
    put(&mut config, "stopSequences", (!request.stops().is_empty()).then(|| json!(request.stops())));
    // Google's seeds are shorter; a part of a seed is as good as all of it, so long as it is always the same.
    put(&mut config, "seed", extra("seed").and_then(Value::as_i64).map(|seed| (seed as i32).into()));
    for (name, theirs) in [("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")]
    {
        // Clients send zeros unasked, and many models refuse even those.
        put(&mut config, theirs, extra(name).filter(|penalty| penalty.as_f64() != Some(0.0)).cloned());
    }
    if let Some(format) = &request.response_format {
        answer_form(format, &mut config)?;
    }
    let thinking = match google(request).and_then(|google| google.get("thinking_config")) {
        Some(config) => Some(config.clone()),
        None => extra("reasoning_effort").map(|effort| thinking(effort, model)).transpose()?,
    };
    put(&mut config, "thinkingConfig", thinking);
    Ok(config)
}

fn answer_form(format: &Value, config: &mut Map<String, Value>) -> Result<()> {
    let schema = match format["type"].as_str() {
        Some("text") => return Ok(()),
        Some("json_object") => None,
        // As it is: unlike `responseSchema`, this is JSON Schema.
        Some("json_schema") => format["json_schema"].get("schema").cloned(),
        _ => return Err(unusable("response_format")),
    };
    put(config, "responseMimeType", Some("application/json".into()));
    put(config, "responseJsonSchema", schema);
    Ok(())
}

/// How much to think: in words since Gemini 3, in tokens before. Who says how much wants to see the thoughts, too.
/// The numbers are those of Google's endpoint for OpenAI's clients.
fn thinking(effort: &Value, model: &str) -> Result<Value> {
    let effort = effort.as_str().ok_or_else(|| unusable("reasoning_effort"))?;
    let new = generation(model) >= 3;
    let (level, budget) = match effort {
        // The larger new models cannot think less than a little, and no new one not at all.
        "none" | "minimal" if new && model.contains("-pro") => ("low", 0),
        "none" => ("minimal", 0),
        "minimal" => ("minimal", 1024),
        "low" => ("low", 1024),
        "medium" => ("medium", 8192),
        "high" | "xhigh" | "max" => ("high", 24576),
        _ => return Err(unusable("reasoning_effort")),
    };
    let mut thinking = if new { json!({"thinkingLevel": level}) } else { json!({"thinkingBudget": budget}) };
    if effort != "none" {
        thinking["includeThoughts"] = true.into();
    }
    Ok(thinking)
}

fn unusable(member: &str) -> ProviderError {
    ProviderError::invalid_input(format!("the request has an unusable `{member}`")).with_param(member)
}

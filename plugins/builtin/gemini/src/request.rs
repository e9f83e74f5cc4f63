//! A request in Gemini's terms: what is said is in `contents`, everything about how is here.

use patchbay_plugin_api::chat::{AnswerForm, ToolChoice, ToolFunction};
use patchbay_plugin_api::dialect::{filled, object, unless_empty, version};
use patchbay_plugin_api::{ChatRequest, ProviderError, Result};
use serde_json::{Value, json};

use crate::contents;

pub(crate) fn body(request: &ChatRequest, model: &str) -> Result<Value> {
    // A model that is no Gemini is of none of its generations.
    let new = model.starts_with("gemini-") && version(model) >= (3, 0);
    let mut turns = contents::turns(request, new)?;
    let mut system = request.system_text().and_then(filled);
    if turns.is_empty() {
        // Gemini answers somebody. Where there are only instructions, they are the question.
        turns.extend(system.take().map(|text| json!({"role": "user", "parts": [{"text": text}]})));
    }
    // Unlike `parameters`, this is JSON Schema as it is, and nothing has to be cut from it.
    let declared = |it: &ToolFunction| it.declared("parametersJsonSchema", it.parameters.clone());
    let functions = filled(request.functions()?.into_iter().map(declared).collect::<Vec<_>>());
    let choice = request.choice().filter(|_| functions.is_some());
    let choice = choice.map(|choice| allowed(&choice)).transpose()?;
    // As Google's own endpoint for OpenAI's clients takes them.
    let google = request.member("extra_body").map_or(&Value::Null, |body| &body["google"]);
    Ok(object([
        ("systemInstruction", system.map(|text| json!({"parts": [{"text": text}]})).into()),
        ("contents", turns.into()),
        ("tools", functions.map(|functions| json!([{"functionDeclarations": functions}])).into()),
        ("toolConfig", choice.map(|choice| json!({"functionCallingConfig": choice})).into()),
        ("generationConfig", unless_empty(config(request, &google["thinking_config"], model, new)?).into()),
        ("cachedContent", google["cached_content"].clone()),
        ("safetySettings", google["safety_settings"].clone()),
    ]))
}

/// Which functions may or must be called. That no two be called at one time cannot be said.
fn allowed(choice: &ToolChoice<'_>) -> Result<Value> {
    let mode = match choice {
        ToolChoice::Other(_) => return Err(ProviderError::unusable("tool_choice")),
        // `AUTO` takes no names; this is the mode in which the model may call one of them or none.
        ToolChoice::Allowed { required: false, .. } => "VALIDATED",
        other => other.word(["AUTO", "NONE", "ANY"]),
    };
    Ok(object([("mode", mode.into()), ("allowedFunctionNames", choice.names().into())]))
}

fn config(request: &ChatRequest, own_thinking: &Value, model: &str, new: bool) -> Result<Value> {
    let form = request.form()?;
    let thinking = match request.member("reasoning_effort") {
        Some(effort) if own_thinking.is_null() => thinking(effort, model, new)?,
        _ => own_thinking.clone(),
    };
    // Clients send zeros unasked, and many models refuse even those.
    let penalty = |name| request.member(name).filter(|penalty| penalty.as_f64() != Some(0.0));
    Ok(object([
        ("temperature", request.temperature.into()),
        ("topP", request.top_p.into()),
        ("topK", request.member("top_k").cloned().into()),
        ("maxOutputTokens", request.token_limit().into()),
        ("stopSequences", filled(request.stops().to_vec()).into()),
        // Google's are shorter; a part of a seed is as good as all of it, so long as it is always the same.
        ("seed", request.member("seed").and_then(Value::as_i64).map(|seed| seed as i32).into()),
        ("presencePenalty", penalty("presence_penalty").cloned().into()),
        ("frequencyPenalty", penalty("frequency_penalty").cloned().into()),
        ("responseMimeType", (form != AnswerForm::Text).then_some("application/json").into()),
        // As it is: unlike `responseSchema`, this is JSON Schema.
        ("responseJsonSchema", form.schema().cloned().into()),
        ("thinkingConfig", thinking),
    ]))
}

/// How much to think: in words since Gemini 3, in tokens before. Who says how much wants to see the thoughts, too.
/// The numbers are those of Google's endpoint for OpenAI's clients.
fn thinking(effort: &Value, model: &str, new: bool) -> Result<Value> {
    let effort = effort.as_str().unwrap_or_default();
    let (level, budget) = match effort {
        // The larger new models cannot think less than a little, and no new one not at all.
        "none" | "minimal" if new && model.contains("-pro") => ("low", 0),
        "none" => ("minimal", 0),
        "minimal" => ("minimal", 1024),
        "low" => ("low", 1024),
        "medium" => ("medium", 8192),
        "high" | "xhigh" | "max" => ("high", 24576),
        _ => return Err(ProviderError::unusable("reasoning_effort")),
    };
    let mut thinking = if new { json!({"thinkingLevel": level}) } else { json!({"thinkingBudget": budget}) };
    if effort != "none" {
        thinking["includeThoughts"] = true.into();
    }
    Ok(thinking)
}

//! A request in Cohere's terms: what is said is in `messages`, everything about how is here.

use patchbay_plugin_api::dialect::prelude::*;

use crate::messages;

pub(crate) fn body(request: &ChatRequest, model: &str) -> Result<Value> {
    // Which one must be called cannot be said: it is shown no other.
    let tools = request.offered_functions()?;
    let choice = request.choice().map(|choice| choice.word(["", "NONE", "REQUIRED"])).transpose()?;
    // Most models refuse both at one time.
    let frequency = penalty(request, "frequency_penalty");
    let presence = penalty(request, "presence_penalty").filter(|_| frequency.is_none());
    let member = |name| request.member(name).cloned().into();
    Ok(object([
        ("model", model.into()),
        ("messages", messages::all(request)?.into()),
        ("stream", request.stream.then_some(true).into()),
        // OpenAI's go up to 2.
        ("temperature", request.temperature.map(|temperature| temperature.min(1.0)).into()),
        ("p", request.top_p.map(|share| share.clamp(0.01, 0.99)).into()),
        ("k", member("top_k")),
        ("max_tokens", request.token_limit().into()),
        ("stop_sequences", filled(request.stops().to_vec()).into()),
        ("seed", request.member("seed").filter(|seed| seed.is_u64()).cloned().into()),
        ("frequency_penalty", frequency.into()),
        ("presence_penalty", presence.into()),
        ("strict_tools", are_strict(&tools).then_some(true).into()),
        ("tool_choice", choice.and_then(filled).into()),
        ("tools", filled(tools.into_iter().map(tool).collect::<Vec<_>>()).into()),
        ("response_format", format(request)?.into()),
        ("thinking", thinking(request)?.into()),
        // Cohere's alone, from clients that know whom they talk to.
        ("citation_options", member("citation_options")),
        ("documents", member("documents")),
        ("safety_mode", member("safety_mode")),
    ]))
}

/// Cohere knows none below nothing and none above 1; nothing is what clients send unasked.
fn penalty(request: &ChatRequest, name: &str) -> Option<f64> {
    request.member(name)?.as_f64().filter(|penalty| *penalty > 0.0).map(|penalty| penalty.min(1.0))
}

fn tool(function: &ToolFunction) -> Value {
    json!({"type": "function", "function": function.declared("parameters", Some(function.schema()))})
}

/// Cohere is strict with all tools or with none, and refuses to be with those that need no parameter.
fn are_strict(tools: &[&ToolFunction]) -> bool {
    let strict = |tool: &&ToolFunction| tool.is_strict() && tool.schema()["required"][0].is_string();
    !tools.is_empty() && tools.iter().all(strict)
}

fn format(request: &ChatRequest) -> Result<Option<Value>> {
    let format = match request.form()? {
        AnswerForm::Text => return Ok(None),
        AnswerForm::Json => json!({"type": "json_object"}),
        AnswerForm::Schema(schema) => json!({"type": "json_object", "json_schema": schema}),
    };
    if request.tools.is_empty() {
        return Ok(Some(format));
    }
    // Cohere would call the request wrong, but it is fine for others.
    Err(ProviderError::unsupported("JSON output beside tools").with_param("response_format"))
}

/// How much to think, in Cohere's own words or by the effort; at the highest without a bound, as Cohere recommends.
fn thinking(request: &ChatRequest) -> Result<Option<Value>> {
    if let Some(own) = request.member("thinking") {
        return Ok(Some(own.clone()));
    }
    let most = request.effort_as([Some(0), Some(1024), Some(1024), Some(8192), None])?;
    Ok(most.map(|most| match most {
        Some(0) => json!({"type": "disabled"}),
        // Thoughts count, and half of the tokens are left for the answer.
        Some(most) => json!({"type": "enabled", "token_budget": request.thought_limit(most).max(1)}),
        None => json!({"type": "enabled"}),
    }))
}

//! A request in Cohere's terms: what is said is in `messages`, everything about how is here.

use patchbay_plugin_api::chat::{AnswerForm, ToolChoice, ToolFunction};
use patchbay_plugin_api::dialect::{filled, without_nulls};
use patchbay_plugin_api::{ChatRequest, ProviderError, Result};
use serde_json::{Value, json};

use crate::messages;

pub(crate) fn body(request: &ChatRequest, model: &str) -> Result<Value> {
    request.single_answer()?;
    let (tools, choice) = tools(request)?;
    // Most models refuse both at one time.
    let frequency = penalty(request, "frequency_penalty");
    let presence = penalty(request, "presence_penalty").filter(|_| frequency.is_none());
    Ok(without_nulls(json!({
        "model": model,
        "messages": messages::all(request)?,
        "stream": request.stream.then_some(true),
        // OpenAI's go up to 2.
        "temperature": request.temperature.map(|temperature| temperature.min(1.0)),
        "p": request.top_p.map(|share| share.clamp(0.01, 0.99)),
        "k": request.member("top_k"),
        "max_tokens": request.token_limit(),
        "stop_sequences": filled(request.stops().to_vec()),
        "seed": request.member("seed").filter(|seed| seed.is_u64()),
        "frequency_penalty": frequency,
        "presence_penalty": presence,
        "strict_tools": are_strict(&tools).then_some(true),
        "tool_choice": choice.filter(|_| !tools.is_empty()),
        "tools": filled(tools.into_iter().map(tool).collect()),
        "response_format": format(request)?,
        "thinking": request.member("thinking").cloned().or_else(|| thinking(request)),
        // Cohere's alone, from clients that know whom they talk to.
        "citation_options": request.member("citation_options"),
        "documents": request.member("documents"),
        "safety_mode": request.member("safety_mode"),
    })))
}

/// Cohere knows none below nothing and none above 1; nothing is what clients send unasked.
fn penalty(request: &ChatRequest, name: &str) -> Option<f64> {
    request.member(name)?.as_f64().filter(|penalty| *penalty > 0.0).map(|penalty| penalty.min(1.0))
}

/// The tools to choose from, and whether one must be called. Which one cannot be said: it is shown no other.
fn tools(request: &ChatRequest) -> Result<(Vec<&ToolFunction>, Option<&'static str>)> {
    let (choice, only) = match request.choice() {
        None | Some(ToolChoice::Auto) => (None, None),
        Some(ToolChoice::Never) => (Some("NONE"), None),
        Some(ToolChoice::Required) => (Some("REQUIRED"), None),
        Some(ToolChoice::Function(name)) => (Some("REQUIRED"), Some(vec![name])),
        Some(ToolChoice::Allowed { names, required }) => (required.then_some("REQUIRED"), Some(names)),
        Some(ToolChoice::Other(_)) => {
            return Err(ProviderError::unsupported("this `tool_choice`").with_param("tool_choice"));
        }
    };
    let mut tools = request.functions()?;
    tools.retain(|tool| only.as_ref().is_none_or(|only| only.contains(&&*tool.name)));
    Ok((tools, choice))
}

fn tool(function: &ToolFunction) -> Value {
    let parameters = function.parameters.clone();
    let made = json!({
        "name": function.name,
        "description": function.description,
        "parameters": parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
    });
    json!({"type": "function", "function": without_nulls(made)})
}

/// Cohere is strict with all tools or with none, and refuses to be with those that need no parameter.
fn are_strict(tools: &[&ToolFunction]) -> bool {
    let needs_one =
        |tool: &ToolFunction| tool.parameters.as_ref().is_some_and(|it| it["required"][0].is_string());
    let strict = |tool: &&ToolFunction| tool.extra.get("strict") == Some(&true.into()) && needs_one(tool);
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

/// How much to think. At the highest effort without a bound, as Cohere recommends.
fn thinking(request: &ChatRequest) -> Option<Value> {
    let budget = match request.effort()? {
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

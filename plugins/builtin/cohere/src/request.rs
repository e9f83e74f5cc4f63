//! A request in Cohere's terms: what is said is in `messages`, everything about how is here.

use patchbay_plugin_api::chat::{AnswerForm, ToolChoice, ToolFunction};
use patchbay_plugin_api::dialect::{filled, object};
use patchbay_plugin_api::{ChatRequest, ProviderError, Result};
use serde_json::{Value, json};

use crate::messages;

pub(crate) fn body(request: &ChatRequest, model: &str) -> Result<Value> {
    let (tools, choice) = tools(request)?;
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
        ("tool_choice", choice.filter(|_| !tools.is_empty()).into()),
        ("tools", filled(tools.into_iter().map(tool).collect::<Vec<_>>()).into()),
        ("response_format", format(request)?.into()),
        ("thinking", request.member("thinking").cloned().or_else(|| thinking(request)).into()),
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

/// The tools to choose from, and whether one must be called. Which one cannot be said: it is shown no other.
fn tools(request: &ChatRequest) -> Result<(Vec<&ToolFunction>, Option<&'static str>)> {
    let choice = match request.choice() {
        Some(ToolChoice::Other(_)) => {
            return Err(ProviderError::unsupported("this `tool_choice`").with_param("tool_choice"));
        }
        choice => choice.and_then(|choice| filled(choice.word(["", "NONE", "REQUIRED"]))),
    };
    Ok((request.offered_functions()?, choice))
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

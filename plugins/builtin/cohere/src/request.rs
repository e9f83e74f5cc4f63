//! A request in Cohere's terms: first how to answer, then the conversation.

use patchbay_plugin_api::dialect::prelude::*;

use crate::Cohere;

impl RequestWriter for Cohere {
    fn request(_: &Upstream, request: &ChatRequest, model: &str) -> Result<Value> {
        // Which one must be called cannot be said: it is shown no other.
        let tools = request.offered_functions()?;
        let choice = request.choice().map(|choice| choice.word(["", "NONE", "REQUIRED"])).transpose()?;
        // Most models refuse both at one time.
        let frequency = request.penalty("frequency_penalty");
        let presence = request.penalty("presence_penalty").filter(|_| frequency.is_none());
        let member = |name| request.member(name).cloned();
        Ok(object!({
            "model": model,
            "messages": messages(request)?,
            "stream": request.stream.then_some(true),
            // OpenAI's go up to 2.
            "temperature": request.temperature.map(|temperature| temperature.min(1.0)),
            "p": request.top_p.map(|share| share.clamp(0.01, 0.99)),
            "k": member("top_k"),
            "max_tokens": request.token_limit(),
            "stop_sequences": filled(request.stops().to_vec()),
            "seed": member("seed").filter(Value::is_u64),
            // None below nothing, and none above 1.
            "frequency_penalty": frequency.map(|penalty| penalty.clamp(0.0, 1.0)),
            "presence_penalty": presence.map(|penalty| penalty.clamp(0.0, 1.0)),
            "strict_tools": are_strict(&tools).then_some(true),
            "tool_choice": choice.and_then(filled),
            "tools": list(tools.into_iter().map(tool)),
            "response_format": format(request)?,
            "thinking": member("thinking").or(thinking(request)?),
            // Cohere's alone, from clients that know whom they talk to.
            "citation_options": member("citation_options"),
            "documents": member("documents"),
            "safety_mode": member("safety_mode"),
        }))
    }

    /// Cohere wants to know what vectors are for; where it is not told in its own words, they are to be found again.
    fn embed_request(_: &Upstream, request: &EmbedRequest, model: &str) -> Result<Value> {
        let purpose = request.member("input_type").cloned();
        Ok(object!({
            "model": model,
            "texts": request.texts()?,
            "embedding_types": ["float"],
            "input_type": purpose.unwrap_or_else(|| "search_document".into()),
            "output_dimension": request.dimensions,
            "truncate": request.member("truncate").cloned(),
        }))
    }
}

fn tool(function: &ToolFunction) -> Value {
    object!({"type": "function", "function": function.declared("parameters", Some(function.schema()))})
}

/// Cohere is strict with all tools or with none, and refuses to be with those that need no parameter.
fn are_strict(tools: &[&ToolFunction]) -> bool {
    let strict = |tool: &&ToolFunction| tool.is_strict() && tool.schema()["required"][0].is_string();
    !tools.is_empty() && tools.iter().all(strict)
}

fn format(request: &ChatRequest) -> Result<Value> {
    let form = request.form()?;
    if form == AnswerForm::Text {
        return Ok(Value::Null);
    }
    if !request.tools.is_empty() {
        // Cohere would call the request wrong, but it is fine for others.
        return Err(ProviderError::unsupported("JSON output beside tools").with_param("response_format"));
    }
    Ok(object!({"type": "json_object", "json_schema": form.schema().cloned()}))
}

/// How much to think. At the highest effort without a bound, as Cohere recommends.
fn thinking(request: &ChatRequest) -> Result<Option<Value>> {
    let most = request.effort_as([Some(0), Some(1024), Some(1024), Some(8192), None])?;
    Ok(most.map(|most| match most {
        Some(0) => json!({"type": "disabled"}),
        // Thoughts count, and half of the tokens are left for the answer.
        most => {
            object!({"type": "enabled", "token_budget": most.map(|most| request.thought_limit(most).max(1))})
        }
    }))
}

/// All that was said: first the instructions, which Cohere takes nowhere else.
fn messages(request: &ChatRequest) -> Result<Vec<Value>> {
    let system = request.system_text().and_then(filled);
    let mut all = Vec::from_iter(system.map(|text| json!({"role": "system", "content": text})));
    for (index, message) in request.messages.iter().enumerate() {
        match &message.role {
            Role::System | Role::Developer => {}
            // Turns in which nothing is said are refused.
            Role::User | Role::Assistant
                if message.tool_calls.is_empty() && message.said().next().is_none() => {}
            Role::User => all.push(json!({"role": "user", "content": content(message, index)?})),
            Role::Assistant => all.push(assistant(message)),
            Role::Tool => all.push(json!({
                "role": "tool", "tool_call_id": message.call()?, "content": message.text(),
            })),
            other => return Err(other.unknown(index)),
        }
    }
    Ok(all)
}

/// Texts and images, which Cohere writes as OpenAI does.
fn content(message: &Message, index: usize) -> Result<Value> {
    let mut pieces = message.pieces();
    match pieces.find(|piece| !matches!(piece.said, Said::Text(_) | Said::Image(_))) {
        Some(other) => Err(other.unsupported().with_param(&format!("messages[{index}].content"))),
        None => Ok(json!(message.content)),
    }
}

/// The model's turn. Text beside calls was its plan, and is told again as that.
fn assistant(message: &Message) -> Value {
    let (text, calls) = (message.text(), &message.tool_calls);
    let (said, plan) = if calls.is_empty() { (Some(text), None) } else { (None, filled(text)) };
    object!({
        "role": "assistant",
        "content": [
            {"type": message.reasoning().map(|_| "thinking"), "thinking": message.reasoning()},
            {"type": said.as_ref().map(|_| "text"), "text": said},
        ],
        "tool_plan": plan,
        "tool_calls": list(calls.iter().map(called)),
    })
}

/// Without further members, such as another provider's signature.
fn called(call: &ToolCall) -> Value {
    let arguments = if call.function.arguments.trim().is_empty() { "{}" } else { &call.function.arguments };
    json!({"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": arguments}})
}

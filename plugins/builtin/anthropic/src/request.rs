//! From a canonical request to the body of one for Anthropic's Messages API: first how to answer, then the conversation.

use patchbay_plugin_api::dialect::prelude::*;

use crate::{Anthropic, Own};

/// The first generation that thinks at all, and is told how many tokens it may think for.
const BUDGETS: (u32, u32) = (3, 7);
/// The first that decides that by itself, and is told how hard to try.
const EFFORTS: (u32, u32) = (4, 6);
/// The first that refuses budgets and sampling, and knows more efforts.
const CURRENT: (u32, u32) = (4, 7);

impl RequestWriter for Anthropic {
    fn request(upstream: &Upstream<Own>, request: &ChatRequest, model: &str) -> Result<Value> {
        let (generation, form, choice) = (version(model), request.form()?, tool_choice(request)?);
        let forced = choice["type"] == "any" || choice["type"] == "tool";
        let (thinking, effort, budget) = thinking(request, generation, forced)?;
        // Where nobody says: thoughts count, and the oldest models write no more.
        let unsaid = if generation < BUDGETS { 4096 } else { 16_384 };
        let limit = upstream.own.max_tokens.map_or(unsaid, u64::from).saturating_add(budget);
        // What a model refuses is left out: clients send it unasked, and an answer without it is better than none.
        let samples = generation < CURRENT && (thinking.is_null() || thinking["type"] == "disabled");
        let temperature = request.temperature.filter(|_| samples);
        let (system, turns) = turns(request, form)?;
        Ok(object!({
            "model": model,
            // A budget is part of the limit; one that a client chose is kept.
            "max_tokens": request.token_limit().unwrap_or(limit),
            "system": list(system),
            "messages": turns,
            "stream": request.stream.then_some(true),
            "stop_sequences": filled(request.stops().to_vec()),
            "tools": list(request.tools.iter().map(tool)),
            "tool_choice": choice,
            "thinking": thinking,
            "output_config": {
                "effort": effort,
                // Forcing a tool would do as well with old models, but the current ones refuse to be forced.
                "format": {"type": form.schema().map(|_| "json_schema"), "schema": form.schema().cloned().map(closed)},
            },
            "metadata": {"user_id": request.member("user").and_then(Value::as_str)},
            // OpenAI's go up to 2.
            "temperature": temperature.map(|temperature| temperature.min(1.0)),
            // Not both: most models refuse that.
            "top_p": request.top_p.filter(|_| samples && temperature.is_none()),
            "top_k": request.member("top_k").filter(|top_k| samples && top_k.is_u64()).cloned(),
        }))
    }
}

/// How to think, how hard to try, and how many tokens that takes: each generation is told what it understands.
fn thinking(request: &ChatRequest, generation: (u32, u32), forced: bool) -> Result<(Value, Value, u64)> {
    // What is said in Anthropic's own words is meant for them.
    if let Some(own) = request.member("thinking") {
        return Ok((own.clone(), Value::Null, 0));
    }
    if generation >= EFFORTS {
        let more = if generation < CURRENT { "high" } else { "xhigh" };
        // Some of these models cannot but think: the least effort is what comes closest to none.
        let effort = request.effort_as(["low", "low", "low", "medium", "high", more, "max"])?;
        // Unasked, the newest keep their thoughts to themselves.
        let thinks = effort.is_some() && request.effort() != Some("none") && !forced;
        let how = thinks.then(|| json!({"type": "adaptive", "display": "summarized"}));
        return Ok((how.into(), effort.into(), 0));
    }
    // With these and the default limit, even models that write no more than 32,000 tokens are content.
    let tokens = request.thought_limit(request.effort_as([0, 1024, 2048, 6144, 14_336])?.unwrap_or(0));
    // With the results of tools these models go on only from thoughts that they signed, which no canonical message holds.
    let mut turns = request.messages.iter().rev().map(|message| &message.role);
    let resumed = turns.find(|role| matches!(role, Role::Assistant | Role::Tool)) == Some(&Role::Tool);
    // Fewer tokens are refused.
    let thinks = tokens >= 1024 && !forced && !resumed && generation >= BUDGETS;
    let how = thinks.then(|| json!({"type": "enabled", "budget_tokens": tokens}));
    Ok((how.into(), Value::Null, if thinks { tokens } else { 0 }))
}

fn tool(tool: &Tool) -> Value {
    // A tool of Anthropic's own, such as its search of the web, is in Anthropic's own words.
    let Some(function) = &tool.function else { return json!(tool) };
    let strict = function.is_strict();
    object!({
        "name": &*function.name,
        "description": function.description.as_deref(),
        // Schemas are followed only where every object says that it has no further members.
        "input_schema": if strict { closed(function.schema()) } else { function.schema() },
        "strict": strict.then_some(true),
        "cache_control": tool.extra.get("cache_control").cloned(),
    })
}

/// The newest models refuse to be forced. They say so: left free, they might answer in text where a call is awaited.
fn tool_choice(request: &ChatRequest) -> Result<Value> {
    let one = !request.tools.is_empty() && request.member("parallel_tool_calls") == Some(&Value::Bool(false));
    let mut choice = match request.choice() {
        None if !one => return Ok(Value::Null),
        Some(ToolChoice::Function(name)) => json!({"type": "tool", "name": name}),
        Some(ToolChoice::Other(Value::String(word))) => json!({"type": word}),
        Some(ToolChoice::Other(own)) => own.clone(),
        other => json!({"type": other.unwrap_or(ToolChoice::Auto).word(["auto", "none", "any"])?}),
    };
    if one && choice["type"] != "none" && choice.is_object() {
        choice["disable_parallel_tool_use"] = true.into();
    }
    Ok(choice)
}

/// The system's blocks, and the turns of user and assistant.
fn turns(request: &ChatRequest, form: AnswerForm<'_>) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut system = request.instructions().flat_map(Message::said).map(block).collect::<Result<Vec<_>>>()?;
    // The API has schemas, but no word for any JSON at all.
    let any_json = "Answer with one JSON object and nothing else: no explanation, no code fence.";
    system.extend((form == AnswerForm::Json).then(|| json!({"type": "text", "text": any_json})));
    let turns = Turns {
        roles: ["user", "assistant"],
        said: "content",
        piece: block,
        call: |_, call| {
            // What a model wrote badly is shown to it as it was, for a conversation goes on.
            let written = || json!({"arguments": call.function.arguments});
            let input = call.function.object().map_or_else(written, Value::from);
            Ok(json!({"type": "tool_use", "id": id(&call.id), "name": call.function.name, "input": input}))
        },
        result: |index, said| {
            let id = id(request.messages[index].call()?);
            Ok(vec![object!({"type": "tool_result", "tool_use_id": id, "content": list(said)})])
        },
    };
    turns.after(system, request)
}

/// A block, of the system's or of a turn.
fn block(piece: Piece<'_>) -> Result<Value> {
    let mut block = match piece.said {
        Said::Text(text) => json!({"type": "text", "text": text}),
        Said::Image(_) => json!({"type": "image", "source": source(piece.media()?)}),
        Said::File(_) => json!({"type": "document", "source": source(piece.media()?)}),
        // In Anthropic's own words, and with what only Anthropic could have signed.
        Said::Other("document" | "search_result" | "thinking" | "redacted_thinking", own) => json!(own),
        _ => return Err(piece.unsupported()),
    };
    // The one further member that means the same here: where a cached prompt ends.
    if let Some(mark) = piece.member("cache_control") {
        block["cache_control"] = mark.clone();
    }
    Ok(block)
}

fn source(media: Media<'_>) -> Value {
    match media {
        Media::At(url) => json!({"type": "url", "url": url}),
        Media::Inline { media_type, data } => {
            json!({"type": "base64", "media_type": media_type, "data": data})
        }
    }
}

/// Ids that other providers made may hold what is refused here.
fn id(id: &str) -> String {
    id.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-', "_")
}

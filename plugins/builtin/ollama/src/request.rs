//! Requests as Ollama reads them: for an answer, for vectors, and the conversation.

use patchbay_plugin_api::dialect::prelude::*;

use crate::{Ollama, Own};

/// Members that become options, beside those that [`ChatRequest`] has: OpenAI's, and some that clients of local models
/// send next to them. The other name of the penalty is vLLM's.
const OPTIONS: [(&str, &str); 8] = [
    ("seed", "seed"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("repeat_penalty", "repeat_penalty"),
    ("repetition_penalty", "repeat_penalty"),
    ("num_ctx", "num_ctx"),
];

impl RequestWriter for Ollama {
    fn request(upstream: &Upstream<Own>, request: &ChatRequest, model: &str) -> Result<Value> {
        let format = match request.form()? {
            AnswerForm::Json => Some("json".into()),
            // The schema alone.
            form => form.schema().cloned(),
        };
        Ok(object!({
            "model": model,
            "messages": messages(request)?,
            // Said in any case: unsaid, Ollama streams.
            "stream": request.stream,
            "tools": filled(tools(request)?),
            "format": format,
            "think": think(request)?,
            "keep_alive": request.member("keep_alive").or(upstream.own.keep_alive.as_ref()).cloned(),
            "options": filled(options(request, &upstream.own)),
        }))
    }

    fn embed_request(upstream: &Upstream<Own>, request: &EmbedRequest, model: &str) -> Result<Value> {
        Ok(object!({
            "model": model,
            "input": request.texts()?,
            "dimensions": request.dimensions,
            // Unsaid, Ollama cuts a text that is too long.
            "truncate": request.member("truncate").cloned(),
            "keep_alive": request.member("keep_alive").or(upstream.own.keep_alive.as_ref()).cloned(),
            "options": filled(own_options(&request.extra, &upstream.own)),
        }))
    }
}

/// The tools the model may choose from. Ollama cannot be told that one must be called; it can be shown fewer.
fn tools(request: &ChatRequest) -> Result<Vec<Value>> {
    let functions = request.offered_functions()?.into_iter();
    let shown = functions.filter(|_| request.choice() != Some(ToolChoice::Never));
    Ok(shown.map(|function| json!({"type": "function", "function": function})).collect())
}

/// Ollama's own word as it is, or OpenAI's in the three that Ollama has.
fn think(request: &ChatRequest) -> Result<Option<Value>> {
    let word = request.effort_as(["", "low", "low", "medium", "high"])?;
    let asked = word.map(|word| filled(word).map_or(false.into(), Value::from));
    Ok(request.member("think").cloned().or(asked))
}

/// The operator's options, changed by those the client wrote in Ollama's words, changed by those in OpenAI's.
fn options(request: &ChatRequest, own: &Own) -> Map<String, Value> {
    let mut options = own_options(&request.extra, own);
    let others = OPTIONS.map(|(member, option)| (option, request.member(member).cloned()));
    let known = [
        ("temperature", request.temperature.map(Value::from)),
        ("top_p", request.top_p.map(Value::from)),
        ("num_predict", request.token_limit().map(Value::from)),
        ("stop", request.stop.as_ref().map(|_| request.stops().into())),
    ];
    let said = others.into_iter().chain(known);
    options.extend(said.filter_map(|(name, value)| Some((name.to_owned(), value?))));
    options
}

fn own_options(extra: &Map<String, Value>, own: &Own) -> Map<String, Value> {
    let mut options = own.options.clone();
    options.extend(extra.get("options").and_then(Value::as_object).cloned().unwrap_or_default());
    options
}

/// All messages of a request, in their order.
fn messages(request: &ChatRequest) -> Result<Vec<Value>> {
    (0..request.messages.len()).map(|at| said(request, at)).collect()
}

fn said(request: &ChatRequest, at: usize) -> Result<Value> {
    let message = &request.messages[at];
    let is_result = message.role == Role::Tool;
    let calls = message.tool_calls.iter().enumerate();
    let calls = calls.map(|(index, call)| called(call, &format!("messages[{at}].tool_calls[{index}]")));
    // The newer word Ollama does not know.
    let role = if message.role == Role::Developer { &Role::System } else { &message.role };
    Ok(object!({
        "role": role.as_str(),
        "content": message.text(),
        "thinking": message.reasoning(),
        "images": filled(images(at, message)?),
        "tool_calls": list(calls.collect::<Result<Vec<_>>>()?),
        // What most models know a result by.
        "tool_name": request.called(at).filter(|_| is_result),
        "tool_call_id": message.tool_call_id.as_deref().filter(|_| is_result),
    }))
}

fn images(at: usize, message: &Message) -> Result<Vec<&str>> {
    let mut images = Vec::new();
    for piece in message.pieces() {
        let error = match piece.said {
            Said::Text(_) => continue,
            Said::Image(url) => match Media::of(url) {
                Ok(Media::Inline { data, .. }) => {
                    images.push(data);
                    continue;
                }
                _ => ProviderError::unsupported("images by their address: send them as a data URL in base64"),
            },
            _ => piece.unsupported(),
        };
        return Err(error.with_param(&format!("messages[{at}].content")));
    }
    Ok(images)
}

/// A call of the past: its arguments are an object to Ollama, and to everybody else a string, which may hold anything.
fn called(call: &ToolCall, at: &str) -> Result<Value> {
    let refused = |error: ProviderError| error.with_param(&format!("{at}.function.arguments"));
    let arguments = call.function.only_object().map_err(refused)?;
    let name = &*call.function.name;
    Ok(object!({"id": filled(&*call.id), "function": {"name": name, "arguments": Value::from(arguments)}}))
}

//! Answers, whole and line by line.

use patchbay_plugin_api::{
    Chunks, Embeddings, ErrorKind, Failure, FinishReason, ProviderError, Result, ToolCall, Usage, dialect,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

/// A whole answer, or a line of a streamed one: they have the same shape.
#[derive(Deserialize)]
struct Line {
    error: Option<IgnoredAny>,
    model: Option<String>,
    created_at: Option<String>,
    message: Option<Said>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Said {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<Called>>,
}

#[derive(Deserialize)]
struct Called {
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    /// As it was written: read and written again, large numbers would change.
    arguments: Option<Box<RawValue>>,
}

/// Reads a whole answer or a line of a stream. The last one may hold content, too.
pub(crate) fn line(json: &[u8], out: &mut Chunks) -> Result<()> {
    let line: Line = read(json)?;
    if line.error.is_some() || (line.message.is_none() && !line.done) {
        let unreadable = ProviderError::unreadable("the provider's answer cannot be read");
        return Err(failed(json, unreadable.with_detail("it holds no message")));
    }
    let said = line.message.unwrap_or_default();
    out.reasoning(said.thinking.unwrap_or_default());
    out.text(said.content.unwrap_or_default());
    for Called { id, function } in said.tool_calls.unwrap_or_default() {
        let id = id.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| made_up_id(line.created_at.as_deref(), out.calls()));
        let arguments = function.arguments.map_or_else(|| "{}".into(), |json| json.get().to_owned());
        out.tool_call(ToolCall::function(id, function.name, arguments));
    }
    if line.done {
        out.name(None, line.model);
        // Nothing may be counted; and a prompt that was read before is not counted again.
        let counted = line.prompt_eval_count.or(line.eval_count);
        let usage = Usage::new(line.prompt_eval_count.unwrap_or(0), line.eval_count.unwrap_or(0));
        out.end(finish_reason(line.done_reason.as_deref()), counted.map(|_| usage));
    }
    Ok(())
}

/// Older versions give none. The time, in its digits, makes it another one in each answer of a conversation.
fn made_up_id(time: Option<&str>, index: u32) -> String {
    let time = time.unwrap_or_default();
    let digits: String = time.chars().filter(char::is_ascii_digit).take(23).collect();
    format!("call_{digits}_{index}")
}

fn finish_reason(word: Option<&str>) -> FinishReason {
    match word {
        // Loading a model, or unloading it, is all that a request without messages asks for.
        Some("stop" | "load" | "unload") | None => FinishReason::Stop,
        Some(other) => FinishReason::from(other),
    }
}

/// Reads vectors.
pub(crate) fn embeddings(body: &[u8]) -> Result<Embeddings> {
    #[derive(Deserialize)]
    struct Vectors {
        model: Option<String>,
        embeddings: Vec<Vec<f32>>,
        prompt_eval_count: Option<u64>,
    }
    let read: Vectors = read(body)?;
    let usage = Usage::new(read.prompt_eval_count.unwrap_or(0), 0);
    let vectors = Embeddings::new(read.embeddings).with_usage(usage);
    Ok(read.model.into_iter().fold(vectors, Embeddings::with_model))
}

/// Reads what came with a status of success, in which an error may come, too, once a stream has begun.
fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    dialect::read("the provider's answer", json).map_err(|error| failed(json, error))
}

/// Why something is no answer.
fn failed(json: &[u8], unreadable: ProviderError) -> ProviderError {
    let is_error = serde_json::from_slice(json).is_ok_and(|said: Value| !said["error"].is_null());
    if is_error {
        ProviderError::new(ErrorKind::Provider, Failure::within(json, None).described())
    } else {
        unreadable
    }
}

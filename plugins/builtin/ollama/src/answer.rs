//! Answers, whole and line by line.

use std::time::SystemTime;

use patchbay_plugin_api::{
    Answer, Chunk, Chunks, Embeddings, ErrorKind, Failure, FinishReason, ProviderError, Result, ToolCall,
    Usage,
};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
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

/// What a stream's lines before this one held.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    calls: u32,
}

impl Line {
    /// The calls of this line; `first` is the index of the first of them. Ollama's own indexes are not all different.
    fn calls(&mut self, first: u32) -> Vec<(u32, ToolCall)> {
        let called = self.message.as_mut().and_then(|said| said.tool_calls.take()).unwrap_or_default();
        let call = |(index, called): (u32, Called)| {
            let id = called.id.filter(|id| !id.is_empty()).unwrap_or_else(|| self.made_up_id(index));
            let arguments =
                called.function.arguments.map_or_else(|| "{}".into(), |json| json.get().to_owned());
            (index, ToolCall::function(id, called.function.name, arguments))
        };
        (first..).zip(called).map(call).collect()
    }

    /// Older versions give none. The time, in its digits, makes it another one in each answer of a conversation.
    fn made_up_id(&self, index: u32) -> String {
        let time = self.created_at.as_deref().unwrap_or_default();
        let digits: String = time.chars().filter(char::is_ascii_digit).take(23).collect();
        format!("call_{digits}_{index}")
    }

    fn finish_reason(&self, has_calls: bool) -> FinishReason {
        match self.done_reason.as_deref() {
            Some("stop") | None if has_calls => FinishReason::ToolCalls,
            // Loading a model, or unloading it, is all that a request without messages asks for.
            Some("stop" | "load" | "unload") | None => FinishReason::Stop,
            Some(other) => FinishReason::from(other),
        }
    }

    /// None where nothing was counted. A prompt that was read before is not counted again.
    fn usage(&self) -> Option<Usage> {
        let counted = self.prompt_eval_count.is_some() || self.eval_count.is_some();
        counted.then(|| Usage::new(self.prompt_eval_count.unwrap_or(0), self.eval_count.unwrap_or(0)))
    }
}

/// Reads a whole answer.
pub(crate) fn whole(body: &[u8]) -> Result<Answer> {
    let mut line = read_line(body)?;
    let calls: Vec<ToolCall> = line.calls(0).into_iter().map(|(_, call)| call).collect();
    let (reason, usage) = (line.finish_reason(!calls.is_empty()), line.usage());
    let said = line.message.unwrap_or_default();
    let mut answer = Answer::text(said.content.unwrap_or_default()).with_finish_reason(reason);
    if let Some(thinking) = said.thinking.filter(|thinking| !thinking.is_empty()) {
        answer = answer.with_reasoning(thinking);
    }
    if !calls.is_empty() {
        answer = answer.with_tool_calls(calls);
    }
    answer = line.model.into_iter().fold(answer, Answer::with_model);
    Ok(usage.into_iter().fold(answer, Answer::with_usage))
}

/// Reads a line of a stream. The last one may hold content, too.
pub(crate) fn line(json: &[u8], seen: &mut Seen, out: &mut Chunks) -> Result<()> {
    let mut line = read_line(json)?;
    let calls = line.calls(seen.calls);
    let said = line.message.take().unwrap_or_default();
    let full = |text: Option<String>| text.filter(|text| !text.is_empty());
    full(said.thinking).map(Chunk::reasoning).into_iter().for_each(|chunk| out.push(chunk));
    full(said.content).map(Chunk::text).into_iter().for_each(|chunk| out.push(chunk));
    for (index, ToolCall { id, function, .. }) in calls {
        out.push(Chunk::tool_call(index, Some(id), Some(function.name), function.arguments));
        seen.calls = index + 1;
    }
    if line.done {
        out.push(Chunk::finish(line.finish_reason(seen.calls > 0)));
        line.usage().map(Chunk::usage).into_iter().for_each(|chunk| out.push(chunk));
        out.finish();
    }
    Ok(())
}

fn read_line(json: &[u8]) -> Result<Line> {
    let line: Line = read(json)?;
    if line.error.is_some() || (line.message.is_none() && !line.done) {
        return Err(failed(json, "it holds no message"));
    }
    Ok(line)
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
    let vectors =
        Embeddings::new(read.embeddings).with_usage(Usage::new(read.prompt_eval_count.unwrap_or(0), 0));
    Ok(read.model.into_iter().fold(vectors, Embeddings::with_model))
}

/// Reads what came with a status of success.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| failed(json, &error.to_string()))
}

/// Why something is no answer: an error may come with a status of success, too, once a stream has begun.
fn failed(json: &[u8], reason: &str) -> ProviderError {
    let failure = Failure { status: 500, headers: &[], body: json, now: SystemTime::UNIX_EPOCH };
    let is_error = serde_json::from_slice(json).is_ok_and(|said: Value| !said["error"].is_null());
    match failure.message().filter(|_| is_error) {
        Some(message) => ProviderError::new(ErrorKind::Provider, format!("the provider failed: {message}")),
        None => ProviderError::unreadable("the provider's answer cannot be read").with_detail(reason),
    }
}

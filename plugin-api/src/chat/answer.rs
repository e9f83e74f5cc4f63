//! A whole answer.

use serde_json::{Map, Value, json};

use super::{Chunk, ChunkMeta, FinishReason, ToolCall, Usage};
use crate::{ProviderError, Result, json};

/// What a provider answers a chat request with: built part by part, or passed on as upstream wrote it.
///
/// ```
/// # use patchbay_plugin_api::{Answer, Usage};
/// let answer = Answer::text("Hello!").with_model("tiny-1").with_usage(Usage::new(3, 2));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Answer(Form);

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Raw(Vec<u8>),
    Built(Box<Built>),
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Built {
    id: Option<String>,
    model: Option<String>,
    text: Option<String>,
    reasoning: Option<String>,
    tool_calls: Vec<ToolCall>,
    finish_reason: Option<FinishReason>,
    usage: Option<Usage>,
}

impl Answer {
    /// An answer that says this.
    pub fn text(text: impl Into<String>) -> Self {
        Self(Form::Built(Box::new(Built { text: Some(text.into()), ..Built::default() })))
    }

    /// An upstream answer that already is a `chat.completion` object: its bytes reach the client untouched.
    ///
    /// The `with_` functions leave it as it is.
    pub fn raw(json: impl Into<Vec<u8>>) -> Self {
        Self(Form::Raw(json.into()))
    }

    /// The id upstream gave the answer.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        self.change(|built| built.id = Some(id.into()))
    }

    /// The model that really answered.
    #[must_use]
    pub fn with_model(self, model: impl Into<String>) -> Self {
        self.change(|built| built.model = Some(model.into()))
    }

    /// What the model thought before it answered.
    #[must_use]
    pub fn with_reasoning(self, reasoning: impl Into<String>) -> Self {
        self.change(|built| built.reasoning = Some(reasoning.into()))
    }

    /// The tools the model wants to be called. Beside them an empty text becomes no text.
    #[must_use]
    pub fn with_tool_calls(self, calls: Vec<ToolCall>) -> Self {
        self.change(|built| {
            built.text = built.text.take().filter(|text| !text.is_empty());
            built.tool_calls = calls;
        })
    }

    /// Why the answer ended. Unsaid, it is `tool_calls` where there are any, and `stop` otherwise.
    #[must_use]
    pub fn with_finish_reason(self, reason: FinishReason) -> Self {
        self.change(|built| built.finish_reason = Some(reason))
    }

    /// What the answer cost.
    #[must_use]
    pub fn with_usage(self, usage: Usage) -> Self {
        self.change(|built| built.usage = Some(usage))
    }

    fn change(mut self, change: impl FnOnce(&mut Built)) -> Self {
        if let Form::Built(built) = &mut self.0 {
            change(built);
        }
        self
    }

    /// The answer as a `chat.completion` object; `meta` says what the provider left unsaid.
    #[inline(never)]
    pub fn into_json(self, meta: &ChunkMeta) -> Vec<u8> {
        match self.0 {
            Form::Raw(bytes) => bytes,
            Form::Built(built) => json::to_vec(&built.into_object(meta)),
        }
    }

    /// The answer as the chunks of a stream, for a provider that cannot stream.
    pub fn into_chunks(self) -> Result<Vec<Chunk>> {
        match self.0 {
            Form::Raw(bytes) => raw_chunks(&bytes),
            Form::Built(built) => Ok(built.into_chunks()),
        }
    }
}

impl Built {
    fn end(&self) -> FinishReason {
        let unsaid = if self.tool_calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
        self.finish_reason.clone().unwrap_or(unsaid)
    }

    fn into_object(self, meta: &ChunkMeta) -> Value {
        let finish_reason = self.end();
        let mut message = json!({"role": "assistant", "content": self.text});
        if let Some(reasoning) = self.reasoning {
            message["reasoning_content"] = reasoning.into();
        }
        if !self.tool_calls.is_empty() {
            message["tool_calls"] = json!(self.tool_calls);
        }
        let mut answer = json!({
            "id": self.id.as_ref().unwrap_or(&meta.id),
            "object": "chat.completion",
            "created": meta.created,
            "model": self.model.as_ref().unwrap_or(&meta.model),
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        });
        if let Some(usage) = self.usage {
            answer["usage"] = json!(usage);
        }
        answer
    }

    fn into_chunks(self) -> Vec<Chunk> {
        let finish = Chunk::finish(self.end());
        let calls = (0..).zip(self.tool_calls).flat_map(|(index, call)| {
            let extra = (!call.extra.is_empty()).then(|| Chunk::tool_call_extra(index, call.extra));
            let function = call.function;
            [Chunk::tool_call(index, Some(call.id), Some(function.name), function.arguments)]
                .into_iter()
                .chain(extra)
        });
        let spoken = self.reasoning.map(Chunk::reasoning).into_iter().chain(self.text.map(Chunk::text));
        spoken.chain(calls).chain([finish]).chain(self.usage.map(Chunk::usage)).collect()
    }
}

/// Turns the object of a whole answer into the objects of its stream, with all that it holds: the choices in one
/// chunk, the usage in another, because clients that did not ask for it must not be sent it.
fn raw_chunks(answer: &[u8]) -> Result<Vec<Chunk>> {
    let unreadable = |reason: &str| {
        ProviderError::unreadable("the provider's answer is not a chat completion").with_detail(reason)
    };
    let mut answer: Map<String, Value> =
        serde_json::from_slice(answer).map_err(|error| unreadable(&error.to_string()))?;
    let Some(Value::Array(choices)) = answer.get_mut("choices") else {
        return Err(unreadable("it has no list of choices"));
    };
    for choice in choices {
        let Value::Object(choice) = choice else { return Err(unreadable("a choice is not an object")) };
        let mut delta = choice.remove("message").unwrap_or_default();
        if let Some(Value::Array(calls)) = delta.get_mut("tool_calls") {
            for (index, call) in (0_u32..).zip(calls) {
                if let Value::Object(call) = call {
                    call.entry("index").or_insert_with(|| index.into());
                }
            }
        }
        choice.insert("delta".into(), delta);
    }
    answer.insert("object".into(), "chat.completion.chunk".into());
    let usage = answer.remove("usage").filter(|usage| !usage.is_null());
    let mut chunks = vec![Chunk::raw(json::to_vec(&answer))];
    if let Some(usage) = usage {
        answer.insert("choices".into(), json!([]));
        answer.insert("usage".into(), usage);
        chunks.push(Chunk::raw(json::to_vec(&answer)));
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::abi::chunk_flags::{CONTENT, FINISH, USAGE};

    fn meta() -> ChunkMeta {
        ChunkMeta { id: "id-1".into(), created: 7, model: "default".into() }
    }

    #[test]
    fn a_built_answer_becomes_a_whole_object() {
        let answer = Answer::text("hi").with_usage(Usage::new(1, 2)).with_reasoning("hm").with_model("m");
        let object: Value = serde_json::from_slice(&answer.into_json(&meta())).unwrap();
        assert_eq!(
            object,
            json!({
                "id": "id-1", "object": "chat.completion", "created": 7, "model": "m",
                "choices": [{"index": 0, "finish_reason": "stop", "message":
                    {"role": "assistant", "content": "hi", "reasoning_content": "hm"}}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
            })
        );
    }

    #[test]
    fn further_members_of_a_call_are_streamed_too() {
        let mut call = ToolCall::function("a", "f", "{}");
        call.extra.insert("signature".into(), "s".into());
        let expected = [
            Chunk::tool_call(0, Some("a".into()), Some("f".into()), "{}"),
            Chunk::tool_call_extra(0, call.extra.clone()),
            Chunk::finish(FinishReason::ToolCalls),
        ];
        assert_eq!(Answer::text("").with_tool_calls(vec![call]).into_chunks().unwrap(), expected);
    }

    #[test]
    fn tool_calls_end_the_answer() {
        let answer =
            Answer::text("").with_tool_calls(vec![ToolCall::function("a", "f", "{}")]).with_id("mine");
        let object: Value = serde_json::from_slice(&answer.clone().into_json(&meta())).unwrap();
        assert_eq!(object["id"], "mine");
        assert_eq!(object["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(object["choices"][0]["message"]["content"], Value::Null);
        let call = Chunk::tool_call(0, Some("a".into()), Some("f".into()), "{}");
        assert_eq!(answer.into_chunks().unwrap(), [call, Chunk::finish(FinishReason::ToolCalls)]);
    }

    #[test]
    fn a_raw_answer_is_untouched() {
        let bytes = b"{ \"choices\" : [] }".to_vec();
        assert_eq!(Answer::raw(bytes.clone()).with_model("other").into_json(&meta()), bytes);
    }

    #[test]
    fn a_raw_answer_streams_with_all_it_holds() {
        let answer = json!({
            "id": "x", "object": "chat.completion", "model": "m", "provider": "kept",
            "choices": [{"index": 0, "finish_reason": "tool_calls", "message":
                {"role": "assistant", "content": "a", "tool_calls": [{"id": "1"}, {"id": "2"}]}}],
            "usage": {"total_tokens": 3},
        });
        let chunks = Answer::raw(answer.to_string()).into_chunks().unwrap();
        assert_eq!(chunks.iter().map(Chunk::flags).collect::<Vec<_>>(), [CONTENT | FINISH, USAGE]);
        let Chunk::Raw(first) = &chunks[0] else { panic!("{chunks:?}") };
        let first: Value = serde_json::from_slice(first).unwrap();
        assert_eq!(first["provider"], "kept");
        assert_eq!(first["choices"][0]["delta"]["tool_calls"][1], json!({"id": "2", "index": 1}));
        assert_eq!(first["object"], "chat.completion.chunk");
        for broken in ["<html>", "{}", r#"{"choices": [1]}"#] {
            let error = Answer::raw(broken).into_chunks().unwrap_err();
            assert_eq!(error.kind, ErrorKind::UnreadableAnswer);
        }
    }
}

//! How chunks are written.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Chunk, FinishReason, Usage};
use crate::json;

/// What every chunk of an answer repeats, and a whole answer says where its provider did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkMeta {
    /// The answer's id.
    pub id: String,
    /// When it began, in seconds since 1970.
    pub created: u64,
    /// The model.
    pub model: String,
}

/// Writes the chunks of one answer, the first of which says whose words they are.
#[derive(Debug)]
pub struct ChunkWriter {
    meta: ChunkMeta,
    begun: bool,
}

impl ChunkWriter {
    /// A writer for one answer.
    pub fn new(meta: ChunkMeta) -> Self {
        Self { meta, begun: false }
    }

    /// Appends one `chat.completion.chunk` object.
    pub fn write(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
        let role = (!std::mem::replace(&mut self.begun, true)).then_some("assistant");
        chunk.write(&self.meta, role, out);
    }
}

impl Chunk {
    /// Appends the chunk as one `chat.completion.chunk` object that names no role; see [`ChunkWriter`].
    pub fn write_json(&self, meta: &ChunkMeta, out: &mut Vec<u8>) {
        self.write(meta, None, out);
    }

    fn write(&self, meta: &ChunkMeta, role: Option<&'static str>, out: &mut Vec<u8>) {
        let mut delta = Delta { role, ..Delta::default() };
        let mut finish_reason = None;
        let mut counted = None;
        match self {
            Self::Raw(bytes) => return write_line(bytes, out),
            Self::Text(text) => delta.content = Some(text),
            Self::Reasoning(text) => delta.reasoning_content = Some(text),
            Self::ToolCall { index, id, name, arguments } => {
                delta.tool_calls = Some([CallDelta {
                    index: *index,
                    r#type: id.as_ref().map(|_| "function"),
                    id: id.as_deref(),
                    function: FunctionDelta { name: name.as_deref(), arguments },
                    extra: None,
                }]);
            }
            Self::ToolCallExtra { index, extra } => {
                // Clients add up the arguments of every piece, so that this one has some, too.
                let function = FunctionDelta { name: None, arguments: "" };
                let call = CallDelta { index: *index, id: None, r#type: None, function, extra: Some(extra) };
                delta.tool_calls = Some([call]);
            }
            Self::Finish(reason) => finish_reason = Some(reason),
            Self::Usage(usage) => counted = Some(usage),
        }
        let choice = [Choice { index: 0, delta, finish_reason }];
        json::write(
            &Object {
                id: &meta.id,
                object: "chat.completion.chunk",
                created: meta.created,
                model: &meta.model,
                // A usage chunk has no choices: that is how clients tell it apart.
                choices: if counted.is_some() { &[] } else { &choice },
                usage: counted,
            },
            out,
        );
    }
}

/// Line breaks between JSON's tokens mean nothing there, but would end the line of an event stream.
fn write_line(json: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    out.extend_from_slice(json);
    for byte in &mut out[from..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

#[derive(Serialize)]
struct Object<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a Usage>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'a FinishReason>,
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

#[derive(Serialize)]
struct CallDelta<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: FunctionDelta<'a>,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(chunk: &Chunk) -> Value {
        let meta = ChunkMeta { id: "i".into(), created: 1, model: "m".into() };
        let mut out = Vec::new();
        chunk.write_json(&meta, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn every_chunk_is_a_whole_object() {
        assert_eq!(
            written(&Chunk::text("a\"b")),
            json!({"id": "i", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": {"content": "a\"b"}, "finish_reason": null}]})
        );
        let first = Chunk::tool_call(1, Some("x".into()), Some("f".into()), "");
        assert_eq!(
            written(&first)["choices"][0]["delta"]["tool_calls"],
            json!([{"index": 1, "id": "x", "type": "function", "function": {"name": "f", "arguments": ""}}])
        );
        let more = Chunk::tool_call(1, None, None, "{\"a\"");
        assert_eq!(
            written(&more)["choices"][0]["delta"]["tool_calls"],
            json!([{"index": 1, "function": {"arguments": "{\"a\""}}])
        );
        let signed = Chunk::tool_call_extra(1, Map::from_iter([("signature".into(), "s".into())]));
        assert_eq!(
            written(&signed)["choices"][0]["delta"]["tool_calls"],
            json!([{"index": 1, "function": {"arguments": ""}, "signature": "s"}])
        );
        assert_eq!(written(&Chunk::finish(FinishReason::Length))["choices"][0]["finish_reason"], "length");
        assert_eq!(written(&Chunk::usage(Usage::new(1, 1)))["choices"], json!([]));
    }

    #[test]
    fn what_is_written_has_the_flags_of_the_chunk() {
        for chunk in [
            Chunk::text("a"),
            Chunk::text(""),
            Chunk::reasoning("r"),
            Chunk::tool_call(0, None, None, ""),
            Chunk::tool_call_extra(0, Map::new()),
            Chunk::finish(FinishReason::Stop),
            Chunk::usage(Usage::default()),
        ] {
            assert_eq!(Chunk::raw(written(&chunk).to_string()).flags(), chunk.flags(), "{chunk:?}");
        }
    }

    #[test]
    fn the_first_chunk_names_the_role() {
        let mut writer = ChunkWriter::new(ChunkMeta { id: "i".into(), created: 1, model: "m".into() });
        let role = |writer: &mut ChunkWriter, text: &str| {
            let mut out = Vec::new();
            writer.write(&Chunk::text(text), &mut out);
            serde_json::from_slice::<Value>(&out).unwrap()["choices"][0]["delta"]["role"].clone()
        };
        assert_eq!(role(&mut writer, "a"), "assistant");
        assert_eq!(role(&mut writer, "b"), Value::Null);
    }

    #[test]
    fn a_raw_chunk_is_one_line() {
        let mut out = b"before\n".to_vec();
        let meta = ChunkMeta { id: String::new(), created: 0, model: String::new() };
        Chunk::raw("{\r\n}").write_json(&meta, &mut out);
        assert_eq!(out, b"before\n{  }");
    }
}

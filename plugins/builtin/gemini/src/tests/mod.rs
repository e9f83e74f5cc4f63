//! What Gemini is sent, and what is made of its answers, without a network.

use patchbay_plugin_api::testing::{Reply, TestHost, block_on, call, defaults, drain, every_cut};
use patchbay_plugin_api::{ChatRequest, Chunk, ChunkMeta, ErrorKind, Http, Provider as _, Result};
use serde_json::{Value, json};

use crate::{Gemini, Translator};

mod beside;
mod failures;
mod translation;

fn provider() -> (TestHost, Http<Translator<Gemini>>) {
    let host = TestHost::new();
    (host, host.provider(&json!(defaults::<Http<Translator<Gemini>>>()).to_string()).unwrap())
}

fn request(asked: &Value) -> Result<ChatRequest> {
    ChatRequest::parse(asked.to_string().as_bytes())
}

/// Asks for a whole answer, of which the plugin is given this.
fn complete(asked: &Value, reply: Reply) -> Result<Value> {
    let (host, provider) = provider();
    host.reply(reply);
    let answer = block_on(provider.complete(request(asked)?, call()))?;
    Ok(serde_json::from_slice(&answer.into_json(&meta())).unwrap())
}

fn meta() -> ChunkMeta {
    ChunkMeta { id: "id".into(), created: 1, model: "model".into() }
}

/// Asks for a stream, of which the plugin is given this: the chunks, and how it ended.
fn stream(reply: Reply) -> (Vec<Chunk>, Option<ErrorKind>) {
    let (host, provider) = provider();
    host.reply(reply);
    let (chunks, error) = drain(block_on(provider.stream(ChatRequest::ask("Hi"), call())).unwrap());
    (chunks, error.map(|error| error.kind))
}

/// Events as Google writes them.
fn sse(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\r\n\r\n")).collect()
}

/// A chunk without what every chunk repeats.
fn outline(chunk: &Chunk) -> Value {
    let mut json = Vec::new();
    chunk.write_json(&meta(), &mut json);
    let written: Value = serde_json::from_slice(&json).unwrap();
    let choice = &written["choices"][0];
    match (&written["usage"], &choice["finish_reason"]) {
        (Value::Object(_), _) => json!({"usage": written["usage"]}),
        (_, Value::String(reason)) => json!({"finish_reason": reason}),
        _ => choice["delta"].clone(),
    }
}

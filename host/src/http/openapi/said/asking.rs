//! What asks providers.

use serde_json::json;

use super::{CHAT, OPENAI, body, example, stream};
use crate::http::chat::Completed;
use crate::http::error::Shape;
use crate::http::frames::{Done, Message};
use crate::http::openapi::Operation;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

pub(in crate::http) fn chat(it: Operation<'_>) -> Operation<'_> {
    it.named(CHAT, "chat", "Ask, and get the answer as it is generated")
        .about(
            "The text alone, piece by piece; with `accept: text/event-stream` events `message` \
             (`{\"content\"}`), then `done` (`{\"provider\", \"model\", \"usage\", \"finish_reason\", \
             \"cost_usd\"}`) or `error`. Headers wait for the first piece: until then another provider \
             is tried when one fails. An answer that breaks off later ends the connection abnormally \
             in text, and with `error` in events: it never looks complete.",
        )
        .takes_this(
            body!("chat"),
            true,
            &[("plain", example!("chat.plain")), ("pinned", example!("chat.pinned"))],
        )
        .answers_text(200, "The answer.", TEXT, "You said: hello")
        .streams(200, "The answer.", stream!("chat"))
        .event::<Message<'_>>(&["message"])
        .event::<Done<'_>>(&["done"])
        .event::<Shape<'_>>(&["error"])
}

pub(in crate::http) fn complete(it: Operation<'_>) -> Operation<'_> {
    it.named(CHAT, "completeChat", "Ask, and get the whole answer")
        .about("With all that is known of it; with `\"include_raw\": true` upstream's own JSON, too.")
        .takes_this(
            body!("chat"),
            true,
            &[("plain", example!("chat.plain")), ("pinned", example!("chat.pinned"))],
        )
        .answers::<Completed<'_>>(200, "The answer.", example!("completeChat"))
}

pub(in crate::http) fn openai_chat(it: Operation<'_>) -> Operation<'_> {
    it.named(OPENAI, "createChatCompletion", "OpenAI's chat completions")
        .about(
            "What the client sends goes on as it came, but for the model; what comes back is \
             upstream's. A stream ends with `data: [DONE]`; one that breaks off tells the error, and \
             then ends the connection abnormally.",
        )
        .takes_this(
            body!("openai.chat"),
            true,
            &[("plain", example!("openai.chat")), ("stream", example!("openai.chat.stream"))],
        )
        .answers_this(200, "Upstream's answer.", JSON, body!("openai.answer"), body!("openai.chat.example"))
        .streams(200, "Upstream's answer.", stream!("openai.chat"))
        .event_of(&["message"], chunk())
}

pub(in crate::http) fn openai_texts(it: Operation<'_>) -> Operation<'_> {
    it.named(OPENAI, "createCompletion", "OpenAI's completions, which were there before chat")
        .about("A provider that only has chat is asked in chat, where the request can be said in it.")
        .takes_this(body!("openai.texts"), true, &[("plain", example!("openai.texts"))])
        .answers_this(200, "Upstream's answer.", JSON, body!("openai.answer"), body!("openai.texts.example"))
        .streams(200, "Upstream's answer.", stream!("openai.texts"))
        .event_of(&["message"], chunk())
}

/// What OpenAI's streams are made of.
fn chunk() -> serde_json::Value {
    json!({ "type": "string", "description": "A chunk in JSON, as upstream made it; at the end `[DONE]`." })
}

pub(in crate::http) fn openai_embeddings(it: Operation<'_>) -> Operation<'_> {
    it.named(OPENAI, "createEmbedding", "OpenAI's embeddings")
        .takes_this(body!("openai.embeddings"), true, &[("plain", example!("openai.embeddings"))])
        .answers_this(
            200,
            "Upstream's answer.",
            JSON,
            body!("openai.answer"),
            json!({
                "object": "list", "model": "mock-1",
                "data": [{ "object": "embedding", "index": 0, "embedding": [0.25, -0.5] }],
                "usage": { "prompt_tokens": 1, "total_tokens": 1 },
            }),
        )
}

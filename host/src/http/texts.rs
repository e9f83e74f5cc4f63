//! `/v1/completions`: what there was before chat, for programs that still ask for it.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use patchbay_plugin_api::ProviderError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::WholeBody;
use super::chat::streamed;
use super::error::ApiError;
use super::frames::Form;
use super::openai::whole;
use super::recipient::Recipient;
use super::state::AppState;
use crate::gateway::{TextRequest, words};
use crate::providers::{Chunk, Members, Surface};

/// How a text goes on, whole or as it is generated.
pub(super) async fn complete(
    State(state): State<AppState>,
    recipient: Recipient,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let request = TextRequest::parse(&body)?;
    drop(body);
    if !request.stream {
        let (mut answer, surface) = state.gateway.complete_text(&request, &recipient.asker).await?;
        if surface == Surface::Chat {
            let name = answer.served.provider.name();
            answer.raw = of_chat(&answer.raw).map_err(|error| ApiError::of_provider(name, &error))?;
        }
        return Ok(whole(answer));
    }
    let (answer, surface) = state.gateway.stream_text(&request, &recipient.asker).await?;
    let usage = request.include_usage;
    let form = if surface == Surface::Chat { Form::Texts { usage } } else { Form::Chunks { usage } };
    streamed(answer, form, recipient).await
}

/// Chunks of chat as chunks of a text.
pub(super) fn chunks_of_chat(mut chunks: Vec<Chunk>) -> Result<Vec<Chunk>, ProviderError> {
    for chunk in &mut chunks {
        chunk.json = of_chat(&chunk.json)?;
    }
    Ok(chunks)
}

/// A whole answer of chat, or a chunk of it, in the shape of a text completion. What is not about the choices stays.
fn of_chat(json: &Bytes) -> Result<Bytes, ProviderError> {
    translate(json).map_err(|error| {
        ProviderError::unreadable("the provider's answer is not the JSON of a chat completion")
            .with_detail(error.to_string())
    })
}

fn translate(json: &Bytes) -> Result<Bytes, serde_json::Error> {
    let mut members = Members::parse(json)?;
    members.set("object", Bytes::from_static(br#""text_completion""#));
    let choices = members.get("choices").cloned().unwrap_or_else(|| Bytes::from_static(b"[]"));
    let choices: Option<Vec<ChatChoice<'_>>> = serde_json::from_slice(&choices)?;
    let texts = choices.unwrap_or_default().into_iter().enumerate();
    members
        .set_json("choices", &texts.map(|(place, choice)| TextChoice::of(choice, place)).collect::<Vec<_>>());
    Ok(members.write())
}

#[derive(Deserialize)]
struct ChatChoice<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    delta: Option<Message<'a>>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct TextChoice<'a> {
    text: Cow<'a, str>,
    index: usize,
    /// Those of chat have another shape, and were not asked for.
    logprobs: Option<()>,
    finish_reason: Option<&'a RawValue>,
}

impl<'a> TextChoice<'a> {
    fn of(choice: ChatChoice<'a>, place: usize) -> Self {
        let message = choice.message.or(choice.delta);
        Self {
            text: message.and_then(|message| message.content).map(words).unwrap_or_default(),
            index: choice.index.unwrap_or(place),
            logprobs: None,
            finish_reason: choice.finish_reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chat_is_told_as_text() {
        for (chat, text) in [
            (
                r#"{"id":"c","object":"chat.completion","created":7,"model":"m","x":{"n":1.50},"choices":[{"index":0,"message":{"role":"assistant","content":"a \"b\""},"logprobs":null,"finish_reason":"stop"}],"usage":{"total_tokens":4}}"#,
                r#"{"id":"c","object":"text_completion","created":7,"model":"m","x":{"n":1.50},"choices":[{"text":"a \"b\"","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"total_tokens":4}}"#,
            ),
            (
                r#"{"object":"chat.completion","choices":[{"index":1,"message":{"content":"b"},"finish_reason":"length"},{"index":0,"message":{"content":[{"type":"text","text":"a"}]}}]}"#,
                r#"{"object":"text_completion","choices":[{"text":"b","index":1,"logprobs":null,"finish_reason":"length"},{"text":"a","index":0,"logprobs":null,"finish_reason":null}]}"#,
            ),
            (
                r#"{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null}],"usage":null}"#,
                r#"{"object":"text_completion","choices":[{"text":"a","index":0,"logprobs":null,"finish_reason":null}],"usage":null}"#,
            ),
            (
                r#"{"choices":[{"delta":{}, "finish_reason":"stop"},{"delta":{"content":null}},{}]}"#,
                r#"{"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"stop"},{"text":"","index":1,"logprobs":null,"finish_reason":null},{"text":"","index":2,"logprobs":null,"finish_reason":null}],"object":"text_completion"}"#,
            ),
            (
                r#"{"object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":4}}"#,
                r#"{"object":"text_completion","choices":[],"usage":{"total_tokens":4}}"#,
            ),
            (r#"{"choices":null}"#, r#"{"choices":[],"object":"text_completion"}"#),
            (r#"{"id":"c"}"#, r#"{"id":"c","object":"text_completion","choices":[]}"#),
        ] {
            assert_eq!(of_chat(&Bytes::from_static(chat.as_bytes())).unwrap(), text, "{chat}");
        }
        for nonsense in ["", "[]", "hello", r#"{"choices":5}"#, r#"{"choices":[5]}"#] {
            assert!(of_chat(&Bytes::from_static(nonsense.as_bytes())).is_err(), "{nonsense}");
        }
    }
}

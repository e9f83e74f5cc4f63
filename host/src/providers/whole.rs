//! A whole answer in the shape of a chunk, for clients that asked a provider to stream that does not.

use bytes::Bytes;
use patchbay_plugin_api::ProviderError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::Members;

/// Makes the one chunk that says all of `answer`.
pub(super) fn as_chunk(answer: &Bytes) -> Result<Bytes, ProviderError> {
    #[derive(Deserialize)]
    struct Shape {
        choices: Option<Vec<IgnoredAny>>,
    }
    let empty = |shape: Shape| shape.choices.is_none_or(|choices| choices.is_empty());
    if serde_json::from_slice(answer).is_ok_and(empty) {
        return Err(ProviderError::unreadable("the provider's answer holds no choices"));
    }
    rewrite(answer).map_err(|error| {
        ProviderError::unreadable("the provider's answer is not the JSON of a chat completion")
            .with_detail(error.to_string())
    })
}

fn rewrite(answer: &Bytes) -> Result<Bytes, serde_json::Error> {
    let mut members = Members::parse(answer)?;
    members.set("object", Bytes::from_static(br#""chat.completion.chunk""#));
    if let Some(choices) = members.get("choices").cloned() {
        members.set(
            "choices",
            each(&choices, |_, choice| {
                if let Some(message) = choice.get("message").cloned() {
                    choice.set("delta", delta(&message)?);
                    choice.remove("message");
                }
                Ok(())
            })?,
        );
    }
    Ok(members.write())
}

/// A message is a delta, except that the tool calls of a delta are numbered.
fn delta(message: &Bytes) -> Result<Bytes, serde_json::Error> {
    let mut members = Members::parse(message)?;
    if members.has("tool_calls")
        && let Some(calls) = members.get("tool_calls").cloned()
    {
        members.set(
            "tool_calls",
            each(&calls, |index, call| {
                call.set_json("index", &index);
                Ok(())
            })?,
        );
    }
    Ok(members.write())
}

/// Changes every object of a list.
fn each(
    list: &Bytes,
    change: impl Fn(usize, &mut Members) -> Result<(), serde_json::Error>,
) -> Result<Bytes, serde_json::Error> {
    let items: Vec<&RawValue> = serde_json::from_slice(list)?;
    let mut out = Vec::with_capacity(list.len() + 32);
    for (index, item) in items.into_iter().enumerate() {
        let mut members = Members::parse(&list.slice_ref(item.get().as_bytes()))?;
        change(index, &mut members)?;
        out.push(if index == 0 { b'[' } else { b',' });
        out.extend_from_slice(&members.write());
    }
    if out.is_empty() {
        out.push(b'[');
    }
    out.push(b']');
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_answer_becomes_one_chunk() {
        let answer = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",
            "content":"hi","tool_calls":[{"id":"t"},{"id":"u"}]},"finish_reason":"stop"}],"usage":{"total_tokens":1}}"#;
        let chunk = as_chunk(&Bytes::from_static(answer.as_bytes())).unwrap();
        assert_eq!(
            chunk,
            r#"{"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"finish_reason":"stop","delta":{"role":"assistant","content":"hi","tool_calls":[{"id":"t","index":0},{"id":"u","index":1}]}}],"usage":{"total_tokens":1}}"#
        );
        for none in ["hello", "{}", r#"{"choices":[ ]}"#] {
            assert!(as_chunk(&Bytes::from_static(none.as_bytes())).is_err(), "{none}");
        }
    }
}

//! What an answer says, read out of its JSON without taking it apart.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use patchbay_plugin_api::ProviderError;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Served;
use crate::accounts::{Tab, Usage};
use crate::lenient::{First, Lenient};
use crate::providers::Cost;

/// What is known about an answer, beside its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Upstream's name for it.
    pub id: Option<String>,
    /// The model that gave it.
    pub model: Option<String>,
    /// When, in seconds since 1970.
    pub created: Option<u64>,
    /// Why it ended.
    pub finish_reason: Option<String>,
    /// What it took.
    pub usage: Option<Usage>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who gave it.
    pub served: Served,
    /// How long it took, all tries together.
    pub latency: Duration,
    /// Its words; empty when it is all tool calls.
    pub text: String,
    /// Whose words: `assistant`.
    pub role: String,
    /// What else is known.
    pub facts: Facts,
    /// Upstream's own JSON.
    pub raw: Bytes,
}

/// A whole answer as upstream wrote it.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// Who gave it.
    pub served: Served,
    /// The JSON.
    pub raw: Bytes,
    /// What it cost, as far as its tokens have prices.
    pub cost: Option<Cost>,
}

impl RawAnswer {
    /// Writes down what it took.
    pub(super) fn of(served: Served, raw: Bytes, usage: Option<Usage>, tab: &Tab) -> Self {
        let cost = usage.and_then(|usage| served.cost(&usage));
        tab.used(usage, cost);
        if tab.is_traced() {
            let mut facts = Facts::default();
            facts.add(&raw);
            tab.answer(facts.id.as_deref(), facts.finish_reason.as_deref());
        }
        Self { served, raw, cost }
    }
}

/// The words of a whole answer, and whose.
pub(super) fn words_of(raw: &[u8]) -> Result<(String, String), ProviderError> {
    let shape: Shape<WholeChoice<'_>> = read(raw)?;
    let message = shape.choices.and_then(|First(choice)| choice).and_then(|choice| choice.message);
    let Some(message) = message else {
        return Err(ProviderError::unreadable("the provider's answer holds no message"));
    };
    let text = message.content.map(words).unwrap_or_default().into_owned();
    Ok((text, message.role.unwrap_or_else(|| "assistant".to_owned())))
}

/// The words that a chunk adds.
pub fn text_of(chunk: &[u8]) -> Cow<'_, str> {
    // A chunk was looked at before it came here; one that is not JSON after all has no words.
    let shape: Option<Shape<ChunkChoice<'_>>> = serde_json::from_slice(chunk).ok();
    let choice = shape.and_then(|shape| shape.choices).and_then(|First(choice)| choice);
    choice.and_then(|choice| choice.delta).and_then(|delta| delta.content).map(words).unwrap_or_default()
}

impl Facts {
    /// Adds what an answer or a chunk says; what is known already stays unless it says otherwise.
    pub(super) fn add(&mut self, json: &[u8]) {
        let Ok(said) = serde_json::from_slice::<SaidOfItself>(json) else { return };
        let finish_reason =
            said.choices.and_then(|First(choice)| choice).and_then(|choice| choice.finish_reason);
        self.id = said.id.0.or(self.id.take());
        self.model = said.model.0.or(self.model.take());
        self.created = said.created.0.or(self.created);
        self.finish_reason = finish_reason.or(self.finish_reason.take());
        self.usage = said.usage.0.or(self.usage);
    }
}

fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, ProviderError> {
    serde_json::from_slice(json).map_err(|error| {
        ProviderError::unreadable("the provider's answer is not the JSON that was asked for")
            .with_detail(error.to_string())
    })
}

/// Text, or a list of parts of which some are text.
pub fn words(content: &RawValue) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Part {
        text: Option<String>,
    }
    let json = content.get();
    if json.starts_with('[') {
        let parts: Vec<Part> = serde_json::from_str(json).unwrap_or_default();
        return parts.into_iter().filter_map(|part| part.text).collect::<String>().into();
    }
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        Some(_) => serde_json::from_str::<String>(json).unwrap_or_default().into(),
        None => Cow::Borrowed(""),
    }
}

/// An answer or chunk; `C` is what is wanted of its first choice.
#[derive(Deserialize)]
struct Shape<C> {
    choices: Option<First<C>>,
}

#[derive(Deserialize)]
struct WholeChoice<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct ChunkChoice<'a> {
    #[serde(borrow)]
    delta: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    role: Option<String>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct SaidOfItself {
    #[serde(default)]
    id: Lenient<String>,
    #[serde(default)]
    model: Lenient<String>,
    #[serde(default)]
    created: Lenient<u64>,
    #[serde(default)]
    usage: Lenient<Usage>,
    choices: Option<First<EndedChoice>>,
}

#[derive(Deserialize)]
struct EndedChoice {
    finish_reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_words_of_chunks() {
        for (content, expected) in [
            (r#""plain é""#, "plain é"),
            (r#""a\nb \"c\" \u00e9""#, "a\nb \"c\" é"),
            (r#"[{"type":"text","text":"x"},{"type":"image"},{"type":"text","text":"y"}]"#, "xy"),
            ("null", ""),
            ("\"\"", ""),
        ] {
            let chunk = format!(
                r#"{{"choices":[{{"delta":{{"content":{content}}}}},{{"delta":{{"content":"no"}}}}]}}"#
            );
            assert_eq!(text_of(chunk.as_bytes()), expected, "{content}");
        }
        let plain = testing::chunk("as it is");
        assert!(matches!(text_of(plain.as_bytes()), Cow::Borrowed("as it is")));
        assert_eq!(text_of(b"{\"choices\":[]}"), "");
        assert_eq!(text_of(b"nonsense"), "");
    }

    #[test]
    fn facts_add_up_over_chunks() {
        let mut facts = Facts::default();
        facts.add(testing::chunk("a").as_bytes());
        assert_eq!(
            (facts.model.as_deref(), facts.created, facts.finish_reason.clone()),
            (Some("m-1"), Some(7), None)
        );
        facts.add(br#"{"choices":[{"finish_reason":"stop"}]}"#);
        facts.add(br#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2.0}}"#);
        facts.add(br#"{"usage":null}"#);
        assert_eq!(facts.finish_reason.as_deref(), Some("stop"));
        assert_eq!(
            facts.usage,
            Some(Usage { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5, ..Usage::default() })
        );
        assert_eq!(facts.id.as_deref(), Some("c1"));
    }

    #[test]
    fn the_words_of_a_whole_answer() {
        let words = words_of(testing::whole_answer("hi").as_bytes()).unwrap();
        assert_eq!(words, ("hi".to_owned(), "assistant".to_owned()));
        let tools = br#"{"choices":[{"message":{"content":null,"tool_calls":[]}}]}"#;
        assert_eq!(words_of(tools).unwrap().0, "");
        assert!(words_of(br#"{"choices":[]}"#).is_err());
    }
}

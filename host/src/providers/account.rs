//! What a whole answer says of itself, read in one pass over its JSON: whether it is one, who gave it, what it took.

use bytes::Bytes;
use patchbay_plugin_api::ProviderError;
use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny};
use serde_json::value::RawValue;

use super::Surface;
use crate::accounts::Usage;
use crate::lenient::{First, Lenient};

/// A whole answer that answers something.
#[derive(Clone, Debug)]
pub struct WholeAnswer {
    /// Its JSON.
    pub raw: Bytes,
    /// What that says of itself.
    pub account: Account,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The model that gave it.
    pub model: Option<String>,
    /// What it took.
    pub usage: Option<Usage>,
}

impl WholeAnswer {
    /// Reads what somebody answered who says otherwise when it fails.
    pub(super) fn read(surface: Surface, raw: Bytes) -> Result<Self, ProviderError> {
        let account = Said::read(surface, &raw)?.account()?;
        Ok(Self { raw, account })
    }
}

/// What stands in an answer.
pub(super) struct Said<'a> {
    /// That it is an error after all.
    pub(super) error: Option<&'a RawValue>,
    /// What every answer of its kind has, and this one has not.
    missing: Option<&'static str>,
    account: Account,
}

impl<'a> Said<'a> {
    /// Reads an answer, all of which has to be text: of what nobody here reads, serde would not ask that, and it goes to
    /// the client.
    pub(super) fn read(surface: Surface, json: &'a [u8]) -> Result<Self, ProviderError> {
        let text = std::str::from_utf8(json).map_err(serde_json::Error::custom);
        text.and_then(|text| Self::parse(surface, text)).map_err(|error| {
            let message = match surface {
                Surface::Chat => "the provider's answer is not the JSON of a chat completion",
                Surface::Texts => "the provider's answer is not the JSON of a text completion",
                Surface::Embeddings => "the provider's answer holds no embeddings",
            };
            ProviderError::unreadable(message).with_detail(error.to_string())
        })
    }

    /// What the answer says of itself. An error where it answers nothing.
    pub(super) fn account(self) -> Result<Account, ProviderError> {
        let missing = |what| ProviderError::unreadable(format!("the provider's answer holds no {what}"));
        self.missing.map_or(Ok(self.account), |what| Err(missing(what)))
    }

    fn parse(surface: Surface, text: &'a str) -> Result<Self, serde_json::Error> {
        if surface == Surface::Embeddings {
            let shape: Shape<'_, IgnoredAny, First<IgnoredAny>> = serde_json::from_str(text)?;
            let missing = shape.data.is_none().then_some("embeddings");
            return Ok(shape.without(missing));
        }
        let shape: Shape<'_, First<Choice>, IgnoredAny> = serde_json::from_str(text)?;
        let missing = match shape.choices.as_ref().and_then(|First(choice)| choice.as_ref()) {
            None => Some("choices"),
            Some(choice) if surface == Surface::Texts => choice.text.is_none().then_some("text"),
            Some(choice) => choice.message.is_none().then_some("message"),
        };
        Ok(shape.without(missing))
    }
}

/// What one surface has no use for may be anything in its answers: `data` in those of chat, say.
#[derive(Deserialize)]
struct Shape<'a, C, D> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    model: Lenient<String>,
    #[serde(default)]
    usage: Lenient<Usage>,
    choices: Option<C>,
    data: Option<D>,
}

impl<'a, C, D> Shape<'a, C, D> {
    fn without(self, missing: Option<&'static str>) -> Said<'a> {
        let account = Account { model: self.model.0, usage: self.usage.0 };
        Said { error: self.error, missing, account }
    }
}

#[derive(Deserialize)]
struct Choice {
    message: Option<IgnoredAny>,
    text: Option<IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_who_gave_it_and_what_it_took_or_what_it_has_not() {
        let read = |surface, json: &'static str| {
            WholeAnswer::read(surface, Bytes::from_static(json.as_bytes()))
                .map(|answer| (answer.account.model, answer.account.usage.map(|usage| usage.total_tokens)))
                .map_err(|error| error.message)
        };
        for (surface, json, expected) in [
            (
                Surface::Chat,
                r#"{"choices":[{"message":{}}],"model":"m","usage":{"total_tokens":7}}"#,
                Ok((Some("m"), Some(7))),
            ),
            (Surface::Chat, r#"{"choices":[{"message":1},{}],"model":7,"data":7}"#, Ok((None, None))),
            (Surface::Chat, r#"{"choices":[{"text":"x"}]}"#, Err("the provider's answer holds no message")),
            (Surface::Chat, r#"{"choices":[]}"#, Err("the provider's answer holds no choices")),
            (Surface::Chat, r#"{"model":"m"}"#, Err("the provider's answer holds no choices")),
            (
                Surface::Chat,
                r#"{"choices":[7]}"#,
                Err("the provider's answer is not the JSON of a chat completion"),
            ),
            (Surface::Texts, r#"{"choices":[{"text":"x"}]}"#, Ok((None, None))),
            (Surface::Texts, r#"{"choices":[{}]}"#, Err("the provider's answer holds no text")),
            (Surface::Texts, "[]", Err("the provider's answer is not the JSON of a text completion")),
            (
                Surface::Embeddings,
                r#"{"data":[],"model":"m","usage":{"prompt_tokens":4,"total_tokens":4},"choices":7}"#,
                Ok((Some("m"), Some(4))),
            ),
            (Surface::Embeddings, r#"{"model":"m"}"#, Err("the provider's answer holds no embeddings")),
            (Surface::Embeddings, r#"{"data":7}"#, Err("the provider's answer holds no embeddings")),
        ] {
            let expected = expected
                .map(|(model, total): (Option<&str>, _)| (model.map(str::to_owned), total))
                .map_err(str::to_owned);
            assert_eq!(read(surface, json), expected, "{json}");
        }
    }
}

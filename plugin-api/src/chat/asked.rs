//! What a request asks for beside its messages and tools, each in one form however it was written.

use serde_json::Value;

use super::ChatRequest;
use crate::{ProviderError, Result};

/// From the least to the most.
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AnswerForm<'a> {
    /// As the model likes.
    Text,
    /// A JSON object.
    Json,
    /// JSON that follows this schema.
    Schema(&'a Value),
}

impl<'a> AnswerForm<'a> {
    /// The schema, where the answer has to follow one.
    pub fn schema(self) -> Option<&'a Value> {
        match self {
            Self::Schema(schema) => Some(schema),
            Self::Text | Self::Json => None,
        }
    }
}

impl ChatRequest {
    /// A member that has no field of its own, such as `seed`; none where it is `null`.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.extra.get(name).filter(|value| !value.is_null())
    }

    /// How much to think before the answer: a word such as `low`.
    pub fn effort(&self) -> Option<&str> {
        self.member("reasoning_effort")?.as_str()
    }

    /// What a vendor is asked for at the effort of this request, of what it is at `none`, `minimal`, `low`, `medium`,
    /// `high`, `xhigh` and `max`; the last that is said is for all that are above it, too. None where the request does not
    /// say its effort.
    ///
    /// ```
    /// # use patchbay_plugin_api::ChatRequest;
    /// let request = ChatRequest::parse(br#"{"messages": [], "reasoning_effort": "medium"}"#)?;
    /// assert_eq!(request.effort_as([0, 1024, 1024, 8192, 24_576])?, Some(8192));
    /// # Ok::<(), patchbay_plugin_api::ProviderError>(())
    /// ```
    pub fn effort_as<T, const N: usize>(&self, asked: [T; N]) -> Result<Option<T>> {
        let Some(effort) = self.member("reasoning_effort") else { return Ok(None) };
        let place = EFFORTS.iter().position(|known| effort == known);
        let place = place.ok_or_else(|| ProviderError::unusable("reasoning_effort"))?;
        Ok(asked.into_iter().nth(place.min(N.saturating_sub(1))))
    }

    /// How many tokens to think for, of those that the vendor counts as the answer's: so many, but no more than half of
    /// the limit, where the request has one.
    pub fn thought_limit(&self, tokens: u64) -> u64 {
        self.token_limit().map_or(tokens, |limit| tokens.min(limit / 2))
    }

    /// How much to avoid what was said before, by the name of one of the two members for it. None where it is nothing,
    /// which clients say unasked and many models refuse.
    pub fn penalty(&self, name: &str) -> Option<f64> {
        self.member(name)?.as_f64().filter(|penalty| *penalty != 0.0)
    }

    /// Refuses a request for more than one answer, which few providers can give. Fewer than were asked for would be
    /// wrong, and somebody else may give them.
    pub fn single_answer(&self) -> Result<()> {
        match self.member("n").and_then(Value::as_u64) {
            Some(2..) => Err(ProviderError::unsupported("several answers to one request").with_param("n")),
            _ => Ok(()),
        }
    }

    /// The form that `response_format` wants of the answer.
    pub fn form(&self) -> Result<AnswerForm<'_>> {
        let Some(format) = &self.response_format else { return Ok(AnswerForm::Text) };
        match format["type"].as_str() {
            Some("text") => Ok(AnswerForm::Text),
            Some("json_object") => Ok(AnswerForm::Json),
            Some("json_schema") => match format.pointer("/json_schema/schema") {
                Some(schema @ Value::Object(_)) => Ok(AnswerForm::Schema(schema)),
                _ => {
                    let message = "`response_format` needs `json_schema.schema`, an object";
                    Err(ProviderError::invalid_input(message).with_param("response_format"))
                }
            },
            _ => Err(ProviderError::unusable("response_format")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ErrorKind;

    fn asked(members: &Value) -> ChatRequest {
        let mut asked = json!({"messages": []});
        asked.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        ChatRequest::parse(asked.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn forms_are_read_or_refused() {
        let schema = json!({"type": "object"});
        for (written, expected) in [
            (Value::Null, Ok(AnswerForm::Text)),
            (json!({"type": "text"}), Ok(AnswerForm::Text)),
            (json!({"type": "json_object"}), Ok(AnswerForm::Json)),
            (
                json!({"type": "json_schema", "json_schema": {"schema": schema}}),
                Ok(AnswerForm::Schema(&schema)),
            ),
            (json!({"type": "json_schema"}), Err("needs `json_schema.schema`")),
            (json!({"type": "verse"}), Err("unusable `response_format`")),
        ] {
            match (asked(&json!({"response_format": written})).form(), expected) {
                (Err(error), Err(says)) => assert!(error.message.contains(says), "{error}"),
                (form, expected) => {
                    let (form, expected) = (form.unwrap(), expected.unwrap());
                    assert_eq!(form, expected, "{written}");
                    assert_eq!(form.schema().is_some(), written["type"] == "json_schema", "{written}");
                }
            }
        }
    }

    #[test]
    fn efforts_are_what_the_vendor_has_for_them() {
        for (written, expected) in [
            (Value::Null, Ok(None)),
            ("none".into(), Ok(Some(0))),
            ("minimal".into(), Ok(Some(1))),
            ("low".into(), Ok(Some(2))),
            ("medium".into(), Ok(Some(3))),
            ("high".into(), Ok(Some(4))),
            ("max".into(), Ok(Some(4))),
            ("much".into(), Err(ProviderError::unusable("reasoning_effort"))),
            (3.into(), Err(ProviderError::unusable("reasoning_effort"))),
        ] {
            let asked = asked(&json!({"reasoning_effort": written}));
            assert_eq!(asked.effort_as([0, 1, 2, 3, 4]), expected, "{written}");
        }
        assert_eq!(
            asked(&json!({"reasoning_effort": "xhigh"})).effort_as([0, 1, 2, 3, 4, 5, 6]),
            Ok(Some(5))
        );
        assert_eq!(asked(&json!({})).thought_limit(9), 9);
        assert_eq!(asked(&json!({"max_tokens": 10})).thought_limit(9), 5);
    }

    #[test]
    fn a_penalty_of_nothing_is_none() {
        let penalties = asked(&json!({"presence_penalty": 0, "frequency_penalty": -0.5}));
        let read = ["presence_penalty", "frequency_penalty", "other"].map(|name| penalties.penalty(name));
        assert_eq!(read, [None, Some(-0.5), None]);
    }

    #[test]
    fn what_most_providers_cannot_do_is_refused() {
        assert_eq!(asked(&json!({"n": 1, "seed": null})).single_answer(), Ok(()));
        let error = asked(&json!({"n": 2})).single_answer().unwrap_err();
        assert_eq!((error.kind, error.param.as_deref()), (ErrorKind::Unsupported, Some("n")));
    }
}

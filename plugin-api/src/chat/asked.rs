//! What a request asks for beside its messages, each in one form however it was written.

use serde_json::Value;

use super::{ChatRequest, ToolFunction};
use crate::{ProviderError, Result};

/// Whether and which tool to call.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolChoice<'a> {
    /// The model decides.
    Auto,
    /// None may be called.
    Never,
    /// One must be called, or several.
    Required,
    /// This function must be called.
    Function(&'a str),
    /// These functions alone may be called, or must be where it is `required`.
    Allowed {
        /// Their names.
        names: Vec<&'a str>,
        /// Whether one of them must be.
        required: bool,
    },
    /// What this version does not know, as the client wrote it.
    Other(&'a Value),
}

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

impl ChatRequest {
    /// A member that has no field of its own, such as `seed`; none where it is `null`.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.extra.get(name).filter(|value| !value.is_null())
    }

    /// How much to think before the answer: a word such as `low`.
    pub fn effort(&self) -> Option<&str> {
        self.member("reasoning_effort")?.as_str()
    }

    /// Refuses a request for more than one answer, which few providers can give. Fewer than were asked for would be
    /// wrong, and somebody else may give them.
    pub fn single_answer(&self) -> Result<()> {
        match self.member("n").and_then(Value::as_u64) {
            Some(2..) => Err(ProviderError::unsupported("several answers to one request").with_param("n")),
            _ => Ok(()),
        }
    }

    /// Whether and which tool to call, where the request says it.
    ///
    /// ```
    /// # use patchbay_plugin_api::{ChatRequest, chat::ToolChoice};
    /// let request = ChatRequest { tool_choice: Some("required".into()), ..ChatRequest::ask("hi") };
    /// assert_eq!(request.choice(), Some(ToolChoice::Required));
    /// ```
    pub fn choice(&self) -> Option<ToolChoice<'_>> {
        let choice = self.tool_choice.as_ref()?;
        Some(match choice.as_str() {
            Some("auto") => ToolChoice::Auto,
            Some("none") => ToolChoice::Never,
            Some("required") => ToolChoice::Required,
            _ => match (name(choice), allowed(&choice["allowed_tools"])) {
                (Some(name), _) => ToolChoice::Function(name),
                (None, Some(allowed)) => allowed,
                (None, None) => ToolChoice::Other(choice),
            },
        })
    }

    /// The functions among the tools, for providers that have no other tools: a request with others is refused.
    pub fn functions(&self) -> Result<Vec<&ToolFunction>> {
        let functions = self.tools.iter().enumerate().map(|(index, tool)| {
            tool.function.as_ref().filter(|_| tool.kind == "function").ok_or_else(|| {
                let error = ProviderError::unsupported(&format!("tools of type `{}`", tool.kind));
                error.with_param(&format!("tools[{index}]"))
            })
        });
        functions.collect()
    }

    /// The form that `response_format` wants of the answer.
    pub fn form(&self) -> Result<AnswerForm<'_>> {
        let unusable = |message: &str| {
            Err(ProviderError::invalid_input(message.to_owned()).with_param("response_format"))
        };
        let Some(format) = &self.response_format else { return Ok(AnswerForm::Text) };
        match format["type"].as_str() {
            Some("text") => Ok(AnswerForm::Text),
            Some("json_object") => Ok(AnswerForm::Json),
            Some("json_schema") => match format.pointer("/json_schema/schema") {
                Some(schema @ Value::Object(_)) => Ok(AnswerForm::Schema(schema)),
                _ => unusable("`response_format` needs `json_schema.schema`, an object"),
            },
            _ => unusable("the request has an unusable `response_format`"),
        }
    }

    /// The function whose result the message of this index is, which the message itself need not say.
    pub fn called(&self, index: usize) -> Option<&str> {
        let message = self.messages.get(index)?;
        let id = message.tool_call_id.as_deref().unwrap_or_default();
        // The nearest call counts, for ids need not differ from one answer to the next.
        let mut before = self.messages[..index].iter().rev().flat_map(|message| &message.tool_calls);
        let called = before.find(|call| call.id == id).map(|call| &*call.function.name);
        called.or(message.name.as_deref())
    }
}

fn name(tool: &Value) -> Option<&str> {
    tool["function"]["name"].as_str()
}

fn allowed(allowed: &Value) -> Option<ToolChoice<'_>> {
    let names = allowed["tools"].as_array()?.iter().filter_map(name).collect();
    Some(ToolChoice::Allowed { names, required: allowed["mode"] == "required" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use serde_json::json;

    fn asked(members: &Value) -> ChatRequest {
        let mut asked = json!({"messages": []});
        asked.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        ChatRequest::parse(asked.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn tool_choices_are_read_however_they_are_written() {
        let other = json!({"type": "custom"});
        let function = |name: &str| json!({"type": "function", "function": {"name": name}});
        for (written, expected) in [
            (Value::Null, None),
            ("auto".into(), Some(ToolChoice::Auto)),
            ("none".into(), Some(ToolChoice::Never)),
            (function("f"), Some(ToolChoice::Function("f"))),
            (
                json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [function("g")]}}),
                Some(ToolChoice::Allowed { names: vec!["g"], required: true }),
            ),
            (other.clone(), Some(ToolChoice::Other(&other))),
        ] {
            assert_eq!(asked(&json!({"tool_choice": written})).choice(), expected, "{written}");
        }
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
                (form, expected) => assert_eq!(form.unwrap(), expected.unwrap(), "{written}"),
            }
        }
    }

    #[test]
    fn what_most_providers_cannot_do_is_refused() {
        assert_eq!(asked(&json!({"n": 1, "seed": null})).single_answer(), Ok(()));
        let error = asked(&json!({"n": 2})).single_answer().unwrap_err();
        assert_eq!((error.kind, error.param.as_deref()), (ErrorKind::Unsupported, Some("n")));

        let functions = asked(&json!({"tools": [{"type": "function", "function": {"name": "f"}}]}));
        assert_eq!(functions.functions().unwrap()[0].name, "f");
        let error = asked(&json!({"tools": [{"type": "web"}]})).functions().unwrap_err();
        assert_eq!(error.message, "this provider does not support tools of type `web`");
        assert_eq!(error.param.as_deref(), Some("tools[0]"));
    }

    #[test]
    fn the_nearest_call_is_the_one_of_a_result() {
        let call = |name: &str| {
            json!({"role": "assistant", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": name}}]})
        };
        let result =
            |id: &str, name: Value| json!({"role": "tool", "content": "", "tool_call_id": id, "name": name});
        let messages = [call("f"), call("g"), result("1", Value::Null), result("2", "h".into())];
        let request = asked(&json!({"messages": messages}));
        let called = [0, 2, 3, 4].map(|index| request.called(index));
        assert_eq!(called, [None, Some("g"), Some("h"), None]);
    }
}

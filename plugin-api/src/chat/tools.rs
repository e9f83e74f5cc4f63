//! The tools of a request, and which of them may or must be called, however it was written.

use serde_json::{Map, Value, json};

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

impl<'a> ToolChoice<'a> {
    /// The vendor's word: that the model decides, that it may call none, or that it must call one. A choice that this
    /// version does not know is refused.
    ///
    /// ```
    /// # use patchbay_plugin_api::chat::ToolChoice;
    /// assert_eq!(ToolChoice::Function("f").word(["AUTO", "NONE", "ANY"]), Ok("ANY"));
    /// ```
    pub fn word(&self, [auto, never, required]: [&'static str; 3]) -> Result<&'static str> {
        match self {
            Self::Never => Ok(never),
            Self::Required | Self::Function(_) | Self::Allowed { required: true, .. } => Ok(required),
            Self::Auto | Self::Allowed { required: false, .. } => Ok(auto),
            Self::Other(_) => Err(ProviderError::unsupported("this `tool_choice`").with_param("tool_choice")),
        }
    }

    /// The functions that alone may be called, where only some may.
    pub fn names(&self) -> Option<&[&'a str]> {
        match self {
            Self::Function(name) => Some(std::slice::from_ref(name)),
            Self::Allowed { names, .. } => Some(names),
            _ => None,
        }
    }
}

impl ToolFunction {
    /// The schema of its arguments; of an empty object where it has none.
    pub fn schema(&self) -> Value {
        let schema = self.parameters.clone().filter(Value::is_object);
        schema.unwrap_or_else(|| json!({"type": "object", "properties": {}}))
    }

    /// Its declaration as most dialects have it: its name, its description and, in a member of that name, a schema.
    pub fn declared(&self, schema_in: &str, schema: Option<Value>) -> Value {
        let mut declared = Map::from_iter([("name".to_owned(), self.name.as_str().into())]);
        declared.extend(self.description.as_deref().map(|text| ("description".to_owned(), text.into())));
        declared.extend(schema.map(|schema| (schema_in.to_owned(), schema)));
        declared.into()
    }

    /// Whether its arguments have to follow the schema to the letter.
    pub fn is_strict(&self) -> bool {
        self.extra.get("strict") == Some(&Value::Bool(true))
    }
}

impl ChatRequest {
    /// Whether and which tool to call, where the request says it and there are any: vendors refuse a choice among none.
    ///
    /// ```
    /// # use patchbay_plugin_api::{ChatRequest, chat::ToolChoice};
    /// let request = br#"{"messages": [], "tools": [{"function": {"name": "f"}}], "tool_choice": "required"}"#;
    /// assert_eq!(ChatRequest::parse(request)?.choice(), Some(ToolChoice::Required));
    /// # Ok::<(), patchbay_plugin_api::ProviderError>(())
    /// ```
    pub fn choice(&self) -> Option<ToolChoice<'_>> {
        let choice = self.tool_choice.as_ref().filter(|_| !self.tools.is_empty())?;
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

    /// Those of the [`functions`](Self::functions) that the [`choice`](Self::choice) leaves to the model: a vendor that
    /// cannot be told which ones may be called is shown no others.
    pub fn offered_functions(&self) -> Result<Vec<&ToolFunction>> {
        let (mut functions, choice) = (self.functions()?, self.choice());
        let only = choice.as_ref().and_then(ToolChoice::names);
        functions.retain(|function| only.is_none_or(|only| only.contains(&&*function.name)));
        Ok(functions)
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
            let asked = asked(&json!({"tool_choice": written, "tools": [function("f")]}));
            assert_eq!(asked.choice(), expected, "{written}");
        }
        assert_eq!(asked(&json!({"tool_choice": "required"})).choice(), None);
    }

    #[test]
    fn the_choice_has_the_vendors_word_and_leaves_some_functions() {
        let named = |name: &str| json!({"type": "function", "function": {"name": name}});
        let some = |mode: &str| json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [named("g")]}});
        for (written, word, offered) in [
            ("auto".into(), Some("may"), vec!["f", "g"]),
            ("none".into(), Some("must not"), vec!["f", "g"]),
            ("required".into(), Some("must"), vec!["f", "g"]),
            (named("f"), Some("must"), vec!["f"]),
            (some("auto"), Some("may"), vec!["g"]),
            (some("required"), Some("must"), vec!["g"]),
            (json!({"type": "custom"}), None, vec!["f", "g"]),
        ] {
            let asked = asked(&json!({"tool_choice": written, "tools": [named("f"), named("g")]}));
            let said = asked.choice().unwrap().word(["may", "must not", "must"]);
            assert_eq!(said.as_ref().ok(), word.as_ref(), "{written}");
            assert_eq!(said.err().and_then(|error| error.param).is_some(), word.is_none(), "{written}");
            let functions = asked.offered_functions().unwrap().into_iter();
            assert_eq!(functions.map(|function| &*function.name).collect::<Vec<_>>(), offered, "{written}");
        }
    }

    #[test]
    fn functions_have_a_schema_in_any_case() {
        let empty = json!({"type": "object", "properties": {}});
        for (function, schema, is_strict) in [
            (json!({"name": "f"}), empty.clone(), false),
            (json!({"name": "f", "parameters": "none", "strict": false}), empty, false),
            (
                json!({"name": "f", "parameters": {"type": "object"}, "strict": true}),
                json!({"type": "object"}),
                true,
            ),
        ] {
            let asked = asked(&json!({"tools": [{"type": "function", "function": function}]}));
            let function = asked.functions().unwrap()[0];
            assert_eq!((function.schema(), function.is_strict()), (schema.clone(), is_strict));
            let declared = function.declared("takes", Some(schema.clone()));
            assert_eq!(declared, json!({"name": "f", "takes": schema}));
        }
    }

    #[test]
    fn other_tools_than_functions_are_refused() {
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

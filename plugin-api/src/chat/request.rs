//! A chat request.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::message::function;
use super::{Message, Role};
use crate::{Result, json};

/// What a client asks a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ChatRequest {
    /// The model, in the provider's own words; none for the provider's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Whether the answer is wanted in chunks.
    #[serde(skip_serializing_if = "json::is_false")]
    pub stream: bool,
    /// How freely to choose among likely words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The share of likely words to choose among.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens to answer with; see [`ChatRequest::token_limit`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// The same in the newer word, which counts reasoning too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// What the model may ask to be called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether and which tool to call: a word or an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// The form of the answer, such as a JSON schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
    /// Every other member, as the client wrote it.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

json::open_object! {
    ChatRequest {
        model: "model",
        messages: "messages" required,
        stream: "stream",
        temperature: "temperature",
        top_p: "top_p",
        max_tokens: "max_tokens",
        max_completion_tokens: "max_completion_tokens",
        stop: "stop",
        tools: "tools",
        tool_choice: "tool_choice",
        response_format: "response_format",
    }
}

/// Where to stop.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Stop {
    /// At this text.
    One(String),
    /// At any of these.
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Stop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let stops = match Value::deserialize(deserializer)? {
            Value::String(stop) => Some(Self::One(stop)),
            Value::Array(stops) => json::all(&stops, |stop| stop.as_str().map(str::to_owned)).map(Self::Many),
            _ => None,
        };
        stops.ok_or_else(|| D::Error::custom("expected a string or a list of strings"))
    }
}

/// Something the model may ask to be called.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tool {
    /// `function`, or a kind of the provider's own whose members are in `extra`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<ToolFunction>,
    /// Further members.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

json::open_object! {
    Tool {
        kind: "type" or self::function,
        function: "function",
    }
}

/// A function the model may ask to be called.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolFunction {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Further members, such as `strict`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

json::open_object! {
    ToolFunction {
        name: "name" required,
        description: "description",
        parameters: "parameters",
    }
}

impl ChatRequest {
    /// A request that asks one thing of the default model.
    pub fn ask(text: impl Into<String>) -> Self {
        Self { messages: vec![Message::user(text)], ..Self::default() }
    }

    /// Reads a request. The error names the field that is wrong.
    #[inline(never)]
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        json::read_input("the request", bytes)
    }

    /// Writes it as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(self)
    }

    /// The text of the user's last message; empty if the user said nothing in text.
    pub fn last_user_text(&self) -> Cow<'_, str> {
        let last = self.messages.iter().rev().find(|message| message.role == Role::User);
        last.map(Message::text).unwrap_or_default()
    }

    /// All system and developer messages, for providers that take them apart from the rest.
    pub fn instructions(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| matches!(message.role, Role::System | Role::Developer))
    }

    /// Their instructions, as one text.
    pub fn system_text(&self) -> Option<String> {
        let texts: Vec<_> = self.instructions().map(Message::text).collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }

    /// The most tokens to answer with, in whichever of its two words the client said it.
    pub fn token_limit(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    /// The texts that end the answer, however they were written.
    pub fn stops(&self) -> &[String] {
        match &self.stop {
            None => &[],
            Some(Stop::One(stop)) => std::slice::from_ref(stop),
            Some(Stop::Many(stops)) => stops,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use serde_json::json;

    #[test]
    fn everything_unknown_survives() {
        let written = json!({
            "model": "m", "temperature": 0.5, "max_tokens": 3, "stop": "END", "stream": true, "seed": 7,
            "stream_options": {"include_usage": true}, "tool_choice": "auto",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "hi"}], "x": 1},
                {"role": "assistant", "content": null, "refusal": null, "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, "index": 0}]},
                {"role": "tool", "content": "4", "tool_call_id": "a"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}, "strict": true}},
                {"type": "web_search", "depth": 2}],
        });
        let request = ChatRequest::parse(written.to_string().as_bytes()).unwrap();
        let again: Value = serde_json::from_slice(&request.to_json()).unwrap();
        assert_eq!(again, written);
    }

    #[test]
    fn helpers_find_the_texts() {
        let request = ChatRequest {
            messages: vec![
                Message::new(Role::System, "one"),
                Message::user("first"),
                Message::new(Role::Developer, "two"),
                Message::user("second"),
                Message::new(Role::Assistant, "third"),
            ],
            ..ChatRequest::default()
        };
        assert_eq!(request.last_user_text(), "second");
        assert_eq!(request.system_text().as_deref(), Some("one\n\ntwo"));
        assert_eq!(ChatRequest::default().last_user_text(), "");
        assert_eq!(ChatRequest::default().system_text(), None);
        assert_eq!(ChatRequest { stop: Some(Stop::One("x".into())), ..request }.stops(), ["x"]);
    }

    #[test]
    fn the_error_names_the_field() {
        for (body, says) in [
            ("{", "the request is not valid JSON"),
            ("{}", "missing field `messages`"),
            (r#"{"messages": 3}"#, "`messages`"),
            (r#"{"messages": [{"role": "user", "content": "a"}, {"content": "b"}]}"#, "`messages[1]`"),
            (r#"{"messages": [{"role": "user", "content": 4}]}"#, "`messages[0].content`"),
            (r#"{"messages": [], "temperature": "warm"}"#, "`temperature`"),
            (r#"{"messages": [], "stop": 4}"#, "a string or a list of strings"),
        ] {
            let error = ChatRequest::parse(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidInput);
            assert!(error.message.contains(says), "{body}: {error}");
        }
    }

    #[test]
    fn null_means_absent() {
        let body = br#"{"messages": [], "stream": null, "tools": null, "stop": null, "model": null}"#;
        assert_eq!(ChatRequest::parse(body).unwrap(), ChatRequest::default());
    }
}

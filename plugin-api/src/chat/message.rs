//! One message of a conversation.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Content, Role};
use crate::json::open_object;
use crate::{ProviderError, Result};

/// Who says what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What. None beside tool calls, where it is written as `null`, as OpenAI does and some servers demand.
    pub content: Option<Content>,
    /// Which of several speakers in the same role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The tools the model wants to be called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// In a tool's message: the call this is the result of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Further members.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

open_object! {
    Message {
        role: "role" required,
        content: "content",
        name: "name",
        tool_calls: "tool_calls",
        tool_call_id: "tool_call_id",
    }
}

/// A tool the model wants to be called.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolCall {
    /// By which the result refers to it.
    pub id: String,
    /// `function`, or a newer kind whose members are in `extra`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function and its arguments.
    #[serde(skip_serializing_if = "FunctionCall::is_empty")]
    pub function: FunctionCall,
    /// Further members.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

open_object! {
    ToolCall {
        id: "id",
        kind: "type" or self::function,
        function: "function",
    }
}

/// A function and its arguments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The function's name.
    pub name: String,
    /// The arguments: JSON in a string, as the model wrote it, which is not always valid.
    #[serde(default)]
    pub arguments: String,
}

impl Message {
    /// A message of plain text.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: Some(Content::Text(text.into())),
            name: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            extra: Map::new(),
        }
    }

    /// A user's message.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, text)
    }

    /// The call that a tool's message is the result of, which it has to name.
    pub fn call(&self) -> Result<&str> {
        let unnamed = || ProviderError::invalid_input("a tool's message needs `tool_call_id`");
        self.tool_call_id.as_deref().ok_or_else(unnamed)
    }

    /// What the model thought before it said this, where the client brings it back.
    pub fn reasoning(&self) -> Option<&str> {
        self.extra.get("reasoning_content")?.as_str()
    }

    /// The text of the content; empty where there is none.
    pub fn text(&self) -> Cow<'_, str> {
        self.content.as_ref().map(Content::text).unwrap_or_default()
    }
}

impl ToolCall {
    /// A call of a function.
    pub fn function(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            kind: function(),
            function: FunctionCall { name: name.into(), arguments: arguments.into() },
            extra: Map::new(),
        }
    }
}

impl FunctionCall {
    fn is_empty(&self) -> bool {
        self.name.is_empty() && self.arguments.is_empty()
    }
}

pub(super) fn function() -> String {
    "function".into()
}

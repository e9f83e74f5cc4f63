//! Reads typed fields out of a manifest and notes everything that is wrong, instead of stopping at the first.

use serde_json::{Map, Value};

use super::PluginId;
use crate::plugins::problem::ProblemCode;

/// All that is wrong in one manifest, so that it is mended in one go. Never empty.
#[derive(Debug)]
pub struct Issues {
    pub first: Issue,
    pub others: Vec<Issue>,
}

/// One thing wrong in a manifest.
#[derive(Debug)]
pub struct Issue {
    pub code: ProblemCode,
    pub message: String,
    pub hint: String,
}

impl Issues {
    pub(super) fn in_one_line(&self) -> String {
        let first = &self.first.message;
        let others: Vec<&str> = self.others.iter().map(|issue| issue.message.as_str()).collect();
        match others.len() {
            0 => first.clone(),
            count => format!("{first} (and {count} more: {})", others.join("; ")),
        }
    }
}

/// The manifest being read, and what was found wrong so far.
pub(super) struct Fields {
    object: Map<String, Value>,
    issues: Vec<Issue>,
}

impl Fields {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        Self { object, issues: Vec::new() }
    }

    /// What was found wrong since the last time.
    pub(super) fn finish(&mut self) -> Result<(), Issues> {
        let mut issues = std::mem::take(&mut self.issues).into_iter();
        match issues.next() {
            None => Ok(()),
            Some(first) => Err(Issues { first, others: issues.collect() }),
        }
    }

    pub(super) fn wrong(&mut self, code: ProblemCode, message: String, hint: impl Into<String>) {
        self.issues.push(Issue { code, message, hint: hint.into() });
    }

    /// How to speak of the plugin before its fields are known to be right.
    pub(super) fn who(&self) -> String {
        let id = self.object.get("id").and_then(Value::as_str);
        id.and_then(PluginId::parse).map_or_else(|| "the plugin".to_owned(), |id| format!("\"{id}\""))
    }

    /// The value, or an empty stand-in for it once the issue is noted.
    pub(super) fn required(&mut self, key: &'static str) -> String {
        let issues = self.issues.len();
        let text = self.text(key);
        if text.is_none() && self.issues.len() == issues {
            let hint = match key {
                "id" => "give the crate a name in the plugin's Cargo.toml".to_owned(),
                "author" => "set authors in the plugin's Cargo.toml, or author in its manifest".to_owned(),
                "version" | "description" => format!("set {key} in the plugin's Cargo.toml"),
                _ => format!("set {key} in the plugin's manifest"),
            };
            self.wrong(ProblemCode::FieldMissing, format!("\"/{key}\" is missing"), hint);
        }
        text.unwrap_or_default()
    }

    /// Empty is missing: that is how Cargo passes on what its own manifest does not say.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let Value::String(text) = self.object.get(key).filter(|value| !value.is_null())? else {
            self.wrong_type(key, "a string");
            return None;
        };
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn table(&mut self, key: &'static str) -> Option<Map<String, Value>> {
        match self.object.get(key).filter(|value| !value.is_null())? {
            Value::Object(table) => Some(table.clone()),
            _ => {
                self.wrong_type(key, "an object");
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        match self.object.get(key) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.wrong_type(key, "true or false");
                false
            }
        }
    }

    pub(super) fn words(&mut self, key: &'static str) -> Vec<String> {
        let items = match self.object.get(key) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(_) => {
                self.wrong_type(key, "a list of strings");
                return Vec::new();
            }
        };
        let mut words = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(word) => words.push(word),
                other => self.wrong_type_at(&format!("{key}/{index}"), "a string", &other),
            }
        }
        words
    }

    fn wrong_type(&mut self, key: &str, wanted: &str) {
        let value = self.object.get(key).cloned().unwrap_or_default();
        self.wrong_type_at(key, wanted, &value);
    }

    fn wrong_type_at(&mut self, path: &str, wanted: &str, value: &Value) {
        let message = format!("\"/{path}\" is {}, not {wanted}", kind(value));
        self.wrong(ProblemCode::WrongType, message, format!("write {wanted}"));
    }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

//! What is in force, fit to be shown: secrets masked, and whatever looks like one.

use serde_json::Value;

use super::describe::Shape;
use super::layered::{Layered, shape_of};
use super::origin::EffectiveValue;
use super::pointer::{join, segments};
use super::secret::{masked, sounds_secret};
use crate::services::redact;

impl Layered {
    /// Every value at or below a place, fit to be shown.
    pub(super) fn effective(&self, pointer: &str, shape: &Shape) -> Vec<EffectiveValue> {
        let mut rows = Vec::new();
        if let Some(value) = self.get(pointer) {
            self.rows(value, pointer.to_owned(), shape, &mut rows);
        }
        rows
    }

    fn rows(&self, value: &Value, pointer: String, shape: &Shape, rows: &mut Vec<EffectiveValue>) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (key, value) in members {
                    self.rows(value, join(&pointer, key), shape_of(shape, key), rows);
                }
            }
            value => {
                let value = self.show(value, &pointer, shape);
                let origin = self.origin(&pointer);
                rows.push(EffectiveValue { pointer, value, origin });
            }
        }
    }

    fn show(&self, value: &Value, pointer: &str, shape: &Shape) -> Value {
        match value {
            Value::Array(items) => {
                let shape = if let Shape::List(item) = shape { item } else { shape };
                let show = |(index, item)| self.show(item, &join(pointer, &usize::to_string(&index)), shape);
                items.iter().enumerate().map(show).collect()
            }
            Value::Object(members) => {
                let show = |(key, value): (&String, &Value)| {
                    (key.clone(), self.show(value, &join(pointer, key), shape_of(shape, key)))
                };
                Value::Object(members.iter().map(show).collect())
            }
            Value::String(text) => self.show_text(text, pointer, shape).into(),
            plain if self.shown.contains_key(pointer) => match plain {
                // A secret may have been made of digits.
                Value::Number(_) if matches!(shape, Shape::Any) => Value::from("***"),
                plain => plain.clone(),
            },
            plain => plain.clone(),
        }
    }

    fn show_text(&self, text: &str, pointer: &str, shape: &Shape) -> String {
        if matches!(shape, Shape::Secret) {
            return masked(text);
        }
        let text = self.shown.get(pointer).map_or(text, String::as_str);
        if !pointer.contains("/config/") {
            return text.to_owned();
        }
        let name = segments(pointer).last().unwrap_or_default();
        // `api_key_env` is a name, and the one described key that sounds like more than it is.
        let plugins_own = matches!(shape, Shape::Any) || pointer.contains("/extra_headers/");
        if plugins_own && sounds_secret(&name) && !self.shown.contains_key(pointer) {
            return masked(text);
        }
        redact::clean(text, &[])
    }
}

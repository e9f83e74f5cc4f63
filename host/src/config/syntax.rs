//! JSON as a person wrote it: a key written twice is a mistake, which serde_json alone would let pass.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::pointer::join;
use super::problem::ConfigProblem;

/// The value, if it is one, and what is wrong with how it is written.
pub(super) fn parse(file: &str, bytes: &[u8]) -> (Option<Value>, Vec<ConfigProblem>) {
    let mut twice = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let node = Node { pointer: String::new(), twice: &mut twice };
    let parsed = node.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    let mut problems: Vec<ConfigProblem> = twice.iter().map(|pointer| duplicate(file, pointer)).collect();
    let value = parsed.map_err(|error| problems.push(syntax(file, &error))).ok();
    (value, problems)
}

fn duplicate(file: &str, pointer: &str) -> ConfigProblem {
    let name = super::pointer::segments(pointer).last().unwrap_or_default();
    let reason = format!("the key \"{name}\" is written twice");
    ConfigProblem::new(file, pointer, reason, "keep one of them")
}

fn syntax(file: &str, error: &serde_json::Error) -> ConfigProblem {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    // The place is said once, in our words.
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    let reason = format!("line {line}, column {column} is not JSON: {what}");
    ConfigProblem::new(
        file,
        "",
        reason,
        "mend it there or just before; comments and trailing commas are not JSON",
    )
}

/// The value at one place.
struct Node<'a> {
    pointer: String,
    twice: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is too large"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let pointer = join(&self.pointer, &list.len().to_string());
            match items.next_element_seed(Node { pointer, twice: &mut *self.twice })? {
                Some(item) => list.push(item),
                None => return Ok(list.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let pointer = join(&self.pointer, &key);
            let value =
                members.next_value_seed(Node { pointer: pointer.clone(), twice: &mut *self.twice })?;
            if object.insert(key, value).is_some() {
                self.twice.push(pointer);
            }
        }
        Ok(object.into())
    }
}

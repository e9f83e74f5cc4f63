//! `KEY=VALUE`, as it is typed and as the host wants it.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::config::dotted;

/// What belongs to the provider's entry itself. Everything else is part of its `config`.
const OF_THE_ENTRY: [&str; 3] = ["priority", "weight", "enabled"];

/// A command line is in the shell's history, and everybody's to see while it runs.
const SECRETS: [&str; 2] = ["api_key", "api_keys"];

/// One value, at its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Assignment {
    path: Vec<String>,
    value: Value,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Assignment, String> {
        let (key, value) = text.split_once('=').ok_or("it has to be KEY=VALUE")?;
        let mut path = dotted::names(key).ok_or_else(|| {
            format!(
                "`{key}` is no key: it is a name, or names with dots in between, in quotes where they have dots themselves"
            )
        })?;
        if path.first().is_some_and(|name| name == "config") {
            path.remove(0);
        } else if path.len() == 1 && OF_THE_ENTRY.contains(&path[0].as_str()) {
            return Ok(Assignment { path, value: read(value) });
        }
        match path.first() {
            None => return Err("`config` is not one value: name a key in it".to_owned()),
            Some(name) if SECRETS.contains(&name.as_str()) => {
                return Err("keys do not belong on a command line: use --key-stdin or --key-env".to_owned());
            }
            Some(_) => path.insert(0, "config".to_owned()),
        }
        Ok(Assignment { path, value: read(value) })
    }
}

impl Assignment {
    /// Its key, as the host writes it, where it takes the value away.
    pub(super) fn taken_away(&self) -> Option<String> {
        let within = self.path.strip_prefix(&["config".to_owned()]).unwrap_or(&self.path);
        self.value.is_null().then(|| dotted::written(within))
    }
}

/// What is not JSON is a string: nobody wants to type quotes within quotes.
fn read(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| value.into())
}

/// The object with these values in it, and the key if there is one.
pub(super) fn object(assignments: Vec<Assignment>, key: Option<String>) -> Map<String, Value> {
    let mut object = Map::new();
    for Assignment { path, value } in assignments {
        put(&mut object, &path, value);
    }
    if let Some(key) = key {
        put(&mut object, &["config".to_owned(), "api_key".to_owned()], key.into());
    }
    object
}

fn put(object: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            object.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = object.entry(name.clone()).or_insert_with(|| Map::new().into());
            // A later assignment wins, also over one to what it is now to be part of.
            if !inner.is_object() {
                *inner = Map::new().into();
            }
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_come_to_their_place() {
        for (texts, expected) in [
            (&["priority=10"][..], json!({"priority": 10})),
            (&["enabled=auto", "weight=2"], json!({"enabled": "auto", "weight": 2})),
            (&["model=gpt-4o"], json!({"config": {"model": "gpt-4o"}})),
            (&["config.model=null"], json!({"config": {"model": null}})),
            (
                &["extra_headers.x-team=a=b", "extra_headers.x-n=\"1\""],
                json!({"config": {"extra_headers": {"x-team": "a=b", "x-n": "1"}}}),
            ),
            (&["a=1", "a.b=[1, 2]"], json!({"config": {"a": {"b": [1, 2]}}})),
            (&["reply="], json!({"config": {"reply": ""}})),
            (
                &["pricing.\"gpt-5.1\".prompt=1.25", "pricing.gpt-5.1.completion=10"],
                json!({"config": {"pricing": {"gpt-5.1": {"prompt": 1.25, "completion": 10}}}}),
            ),
        ] {
            let assignments = texts.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(Value::Object(object(assignments, None)), expected, "{texts:?}");
        }
        assert_eq!(Value::Object(object(Vec::new(), Some("k".into()))), json!({"config": {"api_key": "k"}}));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, says) in [
            ("model", "KEY=VALUE"),
            ("=1", "is no key"),
            ("a..b=1", "is no key"),
            ("config={}", "is not one value"),
            ("api_key=sk-1", "--key-stdin"),
            ("config.api_keys=[]", "--key-stdin"),
        ] {
            let error = text.parse::<Assignment>().unwrap_err();
            assert!(error.contains(says) && !error.contains("sk-1"), "{text}: {error}");
        }
    }
}

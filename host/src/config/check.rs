//! A value against its description: everything that is wrong with it, in one pass.

use std::fmt::Display;
use std::time::Duration;

use serde::de::{Deserialize as _, Deserializer, Error as _};
use serde_json::{Map, Value};

use super::describe::{Section, Shape};
use super::network::Network;
use super::pointer::join;
use super::prices;
use super::problem::ConfigProblem;
use crate::gateway::near::near;

/// Looks for problems in what one file (or other place) says.
pub(super) struct Checker<'a> {
    file: &'a str,
    /// Whether the texts of entries may be filled in from variables.
    filled_in: bool,
    /// Whether values come out of variables that the operator did not mean to be seen.
    hidden: bool,
    /// Texts with `${` stand for what is not known yet.
    templates: bool,
    pub(super) problems: Vec<ConfigProblem>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, filled_in: true, hidden: false, templates: false, problems: Vec::new() }
    }

    /// For what is never filled in: a text is what it is.
    pub(super) fn literal(file: &'a str) -> Self {
        Self { filled_in: false, ..Self::new(file) }
    }

    /// For texts that were filled in.
    pub(super) fn filled(file: &'a str) -> Self {
        Self { hidden: true, ..Self::literal(file) }
    }

    pub(super) fn value(&mut self, shape: &Shape, value: &Value, pointer: &str) {
        match (shape, value) {
            (Shape::Section(section), Value::Object(members)) => self.section(section, members, pointer),
            (Shape::Providers(entry), Value::Object(entries)) => {
                for (name, value) in entries {
                    let pointer = join(pointer, name);
                    self.provider_name(name, &pointer);
                    let outside = std::mem::replace(&mut self.templates, self.filled_in);
                    match value {
                        Value::Object(members) => self.section(entry, members, &pointer),
                        other => self.wrong(&Shape::Section(entry), other, &pointer),
                    }
                    self.templates = outside;
                }
            }
            (Shape::Map(shape), Value::Object(members)) => {
                members.iter().for_each(|(key, value)| self.value(shape, value, &join(pointer, key)));
            }
            (Shape::List(shape), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(shape, item, &join(pointer, &index.to_string()));
                }
            }
            (shape, Value::String(text)) if self.templates && may_be_template(shape, text) => {}
            (shape, value) if is(shape, value) => {}
            (shape, value) => self.wrong(shape, value, pointer),
        }
    }

    fn section(&mut self, section: &Section, members: &Map<String, Value>, pointer: &str) {
        for (name, value) in members {
            let at = join(pointer, name);
            match section.key(name) {
                Some(key) if value.is_null() && section.may_be_null(key) => {}
                Some(key) => self.value(&key.shape, value, &at),
                None if section.open => {}
                None => self.unknown(name, section, &at),
            }
        }
    }

    fn unknown(&mut self, name: &str, section: &Section, pointer: &str) {
        let reason = format!("unknown key \"{name}\"");
        self.problems.push(ConfigProblem::new(self.file, pointer, reason, meant(name, section.names())));
    }

    fn provider_name(&mut self, name: &str, pointer: &str) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(allowed) {
            let reason = format!("\"{name}\" is no name for a provider");
            let hint =
                "use letters, digits, \"-\", \"_\" and \".\": requests name it, as in \"provider/model\"";
            self.problems.push(ConfigProblem::new(self.file, pointer, reason, hint));
        }
    }

    fn wrong(&mut self, shape: &Shape, value: &Value, pointer: &str) {
        let said = match value {
            Value::Number(_) if self.hidden || matches!(shape, Shape::Secret) => "a number".to_owned(),
            // Anywhere in an entry somebody may have put a secret.
            value => said(value, !shape.hides() && !pointer.starts_with("/plugins/")),
        };
        let mut names: Vec<String> = super::pointer::segments(pointer).collect();
        let name = names.pop().unwrap_or_default();
        let expected = shape.expected();
        let reason = match names.last() {
            _ if pointer.is_empty() => format!("the whole is {said}, not {expected}"),
            // The items of a list have numbers for names.
            Some(list) if name.parse::<usize>().is_ok() => format!("\"{list}\" holds {said}, not {expected}"),
            _ => format!("\"{name}\" is {said}, not {expected}"),
        };
        let hint = match shape {
            Shape::OneOf(words) => format!("write one of them, such as \"{}\"", words[0]),
            _ => format!("write it as in {}", example(shape, &name)),
        };
        self.problems.push(ConfigProblem::new(self.file, pointer, reason, hint));
    }
}

fn example(shape: &Shape, name: &str) -> String {
    if name.is_empty() || name.parse::<usize>().is_ok() {
        shape.example().to_owned()
    } else {
        format!("\"{name}\": {}", shape.example())
    }
}

/// What an unknown key may have been meant to be.
pub(crate) fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let letters = |name: &str| {
        let mut letters: Vec<char> = name.to_lowercase().chars().collect();
        letters.sort_unstable();
        letters
    };
    // Letters in another order are the slip that a count of edits makes too much of.
    let swapped = || known.clone().find(|known| letters(known) == letters(name)).map(str::to_owned);
    match near(name, known.clone()).into_iter().next().or_else(swapped) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// A value for a reader; texts only where they can be no secret.
fn said(value: &Value, texts: bool) -> String {
    match value {
        Value::String(text) if texts => format!("{text:?}"),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        plain => plain.to_string(),
    }
}

/// Whether a value that is no object or list, or is one that may hold anything, has the shape.
pub(super) fn is(shape: &Shape, value: &Value) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Flag => value.is_boolean(),
        Shape::Whole { least, most } => value.as_i64().is_some_and(|n| (*least..=*most).contains(&n)),
        Shape::Number { least, most } => value.as_f64().is_some_and(|n| (*least..=*most).contains(&n)),
        Shape::Seconds => value.as_f64().is_some_and(is_time),
        Shape::Text | Shape::Secret => value.is_string(),
        Shape::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Shape::Enabled => value.is_boolean() || value == "auto",
        Shape::Network => value.as_str().is_some_and(|text| text.parse::<Network>().is_ok()),
        Shape::Dollars => prices::price(value).is_some(),
        Shape::List(shape) => value.as_array().is_some_and(|items| items.iter().all(|item| is(shape, item))),
        Shape::Map(shape) => {
            value.as_object().is_some_and(|members| members.values().all(|value| is(shape, value)))
        }
        Shape::Providers(_) | Shape::Section(_) => value.is_object(),
    }
}

fn is_time(seconds: f64) -> bool {
    duration(seconds).is_some()
}

/// A time in seconds: longer than none, and short enough to be added to now.
pub(super) fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero() && *time <= LONGEST_TIME)
}

/// Ten years.
pub(super) const LONGEST_TIME: Duration = Duration::from_secs(315_360_000);

/// For values that were checked.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    duration(seconds).ok_or_else(|| D::Error::custom(format_args!("{seconds} is not a time in seconds")))
}

/// `enabled` decides whether templates are filled in at all, and is none itself.
fn may_be_template(shape: &Shape, text: &str) -> bool {
    text.contains("${") && !matches!(shape, Shape::Enabled)
}

/// Very large bounds are no help to anybody.
pub(super) fn expected_numbers(what: &str, least: i64, most: i64) -> String {
    let at_least = |least: &dyn Display| format!("{what}, {least} or more");
    match (least, most) {
        (_, i64::MAX) => at_least(&least),
        (_, most) if most == i64::from(u32::MAX) => at_least(&least),
        (least, _) if least == i64::from(i32::MIN) => what.to_owned(),
        (least, most) => format!("{what} from {least} to {most}"),
    }
}

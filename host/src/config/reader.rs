//! Variables turned into settings: short forms, and those that step into anything.

use serde_json::Value;

use super::check::{Checker, is, meant};
use super::describe::{ENTRY, ROOT, Section, Shape};
use super::environment::{Environment, Set};
use super::layered::{Layered, Setting, shape_of};
use super::pointer::{join, segments};
use super::problem::{ConfigProblem, ENVIRONMENT};
use super::variables::{PER_PROVIDER, STEPPING_IN, VARIABLES, in_capitals};

/// See the module. Takes note of what cannot be.
pub(super) struct Reader<'a> {
    pub(super) environment: &'a Environment,
    /// The path of `.env`, for problems.
    pub(super) dotenv: &'a str,
    pub(super) problems: Vec<ConfigProblem>,
}

impl<'a> Reader<'a> {
    /// The short forms that every host has.
    pub(super) fn short(&mut self, real: bool) -> Vec<Setting> {
        let known = VARIABLES.iter().filter_map(|known| Some((known.name, known.key?)));
        let known = known.filter(|(name, _)| !name.starts_with(PER_PROVIDER));
        known.filter_map(|(name, key)| self.one(name, "", key, &Shape::Section(&ROOT), real)).collect()
    }

    /// The short forms of one provider; `pointer` is where its entry is.
    pub(super) fn of_provider(&mut self, capitals: &str, pointer: &str, real: bool) -> Vec<Setting> {
        let known = VARIABLES.iter().filter_map(|known| Some((known.name, known.key?)));
        let known = known.filter_map(|(name, key)| Some((name.strip_prefix(PER_PROVIDER)?, key)));
        known
            .filter_map(|(suffix, key)| {
                self.one(&format!("{capitals}{suffix}"), pointer, key, &Shape::Section(&ENTRY), real)
            })
            .collect()
    }

    fn one(&mut self, name: &str, pointer: &str, key: &str, root: &Shape, real: bool) -> Option<Setting> {
        let environment = self.environment;
        let set = environment.get(name).filter(|set| set.is_real() == real)?;
        let shape = segments(key).fold(root, |shape, key| shape_of(shape, &key));
        let pointer = format!("{pointer}{key}");
        let value = match shape {
            Shape::List(Shape::Secret) => set.value.to_str().map(|keys| {
                keys.split(',').map(str::trim).filter(|key| !key.is_empty()).map(Value::from).collect()
            }),
            // An empty part comes from `$OLD:/new` with nothing in OLD, and would be the working directory.
            Shape::List(_) => std::env::split_paths(set.value)
                .filter(|path| !path.as_os_str().is_empty())
                .map(|path| path.to_str().map(Value::from))
                .collect::<Option<Value>>(),
            shape => set.value.to_str().map(|text| from_text(text, shape, false)),
        };
        self.checked(set, shape, value, false, pointer)
    }

    /// `PATCHBAY__SERVER__PORT` and the like. What is there already says how keys are spelt.
    pub(super) fn stepping_in(&mut self, there: &Layered, real: bool) -> Vec<Setting> {
        let environment = self.environment;
        let mut settings = Vec::new();
        for set in environment.all(real) {
            let Some(path) = set.name.strip_prefix(STEPPING_IN) else { continue };
            match locate(path, there) {
                Ok((pointer, shape, nulls)) => {
                    let value = set.value.to_str().map(|text| from_text(text, shape, nulls));
                    settings.extend(self.checked(set, shape, value, nulls, pointer));
                }
                Err((reason, hint)) => {
                    let reason = format!("{}: {reason}", set.name);
                    self.problems.push(set.problem(self.dotenv, "", &reason, &hint));
                }
            }
        }
        settings
    }

    fn checked(
        &mut self,
        set: Set<'_>,
        shape: &Shape,
        value: Option<Value>,
        nulls: bool,
        pointer: String,
    ) -> Option<Setting> {
        let Some(value) = value else {
            let reason = format!("{} is not UTF-8", set.name);
            self.problems.push(set.problem(self.dotenv, &pointer, &reason, "set it to a text"));
            return None;
        };
        if nulls && value.is_null() {
            return Some(Setting { pointer, value: Some(value), origin: set.origin() });
        }
        let mut checker = Checker::new(ENVIRONMENT);
        checker.value(shape, &value, &pointer);
        if checker.problems.is_empty() {
            return Some(Setting { pointer, value: Some(value), origin: set.origin() });
        }
        for problem in checker.problems {
            // A text of the wrong kind is all that the value of a variable can be; inside it, the place matters.
            let reason = match value.as_str() {
                Some(_)
                    if shape.hides()
                        || pointer.starts_with("/plugins/")
                        || pointer.starts_with("/config/") =>
                {
                    format!("{} is not {}", set.name, shape.expected())
                }
                Some(text) => format!("{} is {text:?}, not {}", set.name, shape.expected()),
                None => format!("{}: {}", set.name, problem.reason),
            };
            let hint = format!("write it as in {}={}", set.name, bare(shape.example()));
            let hint = if value.is_string() { hint } else { problem.hint };
            self.problems.push(set.problem(self.dotenv, &problem.pointer, &reason, &hint));
        }
        None
    }
}

fn bare(example: &str) -> &str {
    example.trim_matches('"')
}

/// A text as the value it stands for: JSON where that is what is wanted there, else the text itself.
pub(super) fn from_text(text: &str, shape: &Shape, nulls: bool) -> Value {
    let plain = || Value::from(text);
    // What stands for a key is the key, quotes and all.
    if matches!(shape, Shape::Secret) {
        return plain();
    }
    match serde_json::from_str::<Value>(text.trim()) {
        Ok(Value::Null) if nulls => Value::Null,
        Ok(value)
            if is(shape, &value)
                || matches!(value, Value::Object(_) | Value::Array(_)) && !value_is_text(shape) =>
        {
            value
        }
        // A number that is out of range is still better called a number.
        Ok(Value::Number(number)) if is_number(shape) => Value::Number(number),
        _ => plain(),
    }
}

fn value_is_text(shape: &Shape) -> bool {
    matches!(shape, Shape::Text | Shape::OneOf(_) | Shape::Enabled | Shape::Network)
}

fn is_number(shape: &Shape) -> bool {
    matches!(shape, Shape::Whole { .. } | Shape::Number { .. } | Shape::Seconds | Shape::Dollars)
}

type Place = (String, &'static Shape, bool);

/// The place that `SERVER__PORT` names, what may be there, and whether nothing may. Or why there is none.
fn locate(path: &str, there: &Layered) -> Result<Place, (String, String)> {
    static WHOLE: Shape = Shape::Section(&ROOT);
    let mut place: Place = (String::new(), &WHOLE, false);
    for part in path.split("__") {
        let (pointer, shape, _) = place;
        if part.is_empty() {
            return Err((
                "there is a part without a name".to_owned(),
                "write a key between double underscores".to_owned(),
            ));
        }
        let known = there.object(&pointer);
        let spelt = known.and_then(|known| known.keys().find(|key| in_capitals(key) == in_capitals(part)));
        let spelt = || spelt.cloned().unwrap_or_else(|| part.to_lowercase());
        place = match shape {
            Shape::Section(section) => step_into(section, part, &pointer, spelt)?,
            Shape::Providers(_) | Shape::Map(_) | Shape::Any => {
                let key = spelt();
                (join(&pointer, &key), shape_of(shape, &key), false)
            }
            _ => {
                let itself: Vec<String> = segments(&pointer).map(|key| in_capitals(&key)).collect();
                let hint = format!("set {STEPPING_IN}{} itself", itself.join("__"));
                return Err((format!("\"{pointer}\" has nothing inside"), hint));
            }
        };
    }
    Ok(place)
}

fn step_into(
    section: &Section,
    part: &str,
    pointer: &str,
    spelt: impl Fn() -> String,
) -> Result<Place, (String, String)> {
    match section.keys.iter().find(|key| in_capitals(key.name) == in_capitals(part)) {
        Some(key) => Ok((join(pointer, key.name), &key.shape, section.may_be_null(key))),
        None if section.open => Ok((join(pointer, &spelt()), &Shape::Any, false)),
        None => {
            let name = part.to_lowercase();
            Err((format!("unknown key \"{name}\""), meant(&name, section.names())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_is_wanted() {
        for (text, shape, value) in [
            ("8080", &Shape::Whole { least: 0, most: 9 }, Value::from(8080)),
            ("8080", &Shape::Text, Value::from("8080")),
            ("8080", &Shape::Any, Value::from(8080)),
            ("true", &Shape::Enabled, Value::from(true)),
            ("auto", &Shape::Enabled, Value::from("auto")),
            ("[\"a\"]", &Shape::List(&Shape::Text), serde_json::json!(["a"])),
            ("\"quoted\"", &Shape::Secret, Value::from("\"quoted\"")),
            ("{\"a\": 1}", &Shape::Any, serde_json::json!({"a": 1})),
            ("{not json", &Shape::Any, Value::from("{not json")),
        ] {
            assert_eq!(from_text(text, shape, false), value, "{text}");
        }
    }
}

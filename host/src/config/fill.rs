//! What the file leaves to variables, filled in: `${VAR}` in the texts of its entries, and `api_key_env`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::check::Checker;
use super::describe::{ENTRY, Shape};
use super::environment::Environment;
use super::interpolate::{Fault, fill};
use super::layered::{Layered, shape_of};
use super::origin::Origin;
use super::pointer::{join, segments};
use super::problem::ConfigProblem;
use super::reader::from_text;

/// Goes through the entries that are switched on.
pub(super) struct Filler<'a> {
    layered: &'a mut Layered,
    environment: &'a Environment,
    file: String,
    problems: &'a mut Vec<ConfigProblem>,
    /// The variable that an `auto` entry waits for, by the provider's name.
    waiting: BTreeMap<String, String>,
}

impl<'a> Filler<'a> {
    pub(super) fn new(
        layered: &'a mut Layered,
        environment: &'a Environment,
        file: &Path,
        problems: &'a mut Vec<ConfigProblem>,
    ) -> Self {
        let file = file.display().to_string();
        Self { layered, environment, file, problems, waiting: BTreeMap::new() }
    }

    /// Answers with the entries that wait for a variable, and for which.
    pub(super) fn fill(mut self) -> BTreeMap<String, String> {
        let names: Vec<String> = self
            .layered
            .object("/plugins")
            .map(|entries| entries.keys().cloned().collect())
            .unwrap_or_default();
        for name in names {
            let entry = join("/plugins", &name);
            let enabled = self.layered.get(&join(&entry, "enabled"));
            if enabled == Some(&Value::Bool(false)) {
                continue;
            }
            let auto = enabled.is_some_and(|enabled| enabled == "auto");
            for (pointer, text) in self.layered.texts(&entry) {
                if matches!(self.layered.origin(&pointer), Origin::File { .. }) {
                    self.text(&name, &pointer, &text, auto);
                }
            }
            self.key_from_variable(&name, &join(&entry, "config"), auto);
        }
        self.waiting
    }

    fn text(&mut self, provider: &str, pointer: &str, text: &str, auto: bool) {
        let environment = self.environment;
        match fill(text, |name| environment.text(name)) {
            Ok(None) => {}
            Ok(Some(filled)) => {
                let shape = shape_at(pointer);
                let value = from_text(&filled.text, shape, false);
                let mut checker = Checker::filled(&self.file);
                checker.value(shape, &value, pointer);
                self.problems.append(&mut checker.problems);
                self.layered.fill(pointer, value, filled.shown);
            }
            Err(Fault::Missing(variable)) => self.missing(provider, pointer, &variable, auto),
            Err(Fault::Unclosed) => self.unreadable(pointer, "has a \"${\" without its \"}\""),
            Err(Fault::NoName) => {
                self.unreadable(pointer, "has something in \"${...}\" that is no variable's name");
            }
        }
    }

    fn unreadable(&mut self, pointer: &str, what: &str) {
        let key = segments(pointer).last().unwrap_or_default();
        let hint = "write ${NAME} or ${NAME:-default}, and $${ for a literal ${";
        self.problems.push(ConfigProblem::new(&self.file, pointer, format!("\"{key}\" {what}"), hint));
    }

    fn missing(&mut self, provider: &str, pointer: &str, variable: &str, auto: bool) {
        if auto {
            self.waiting.entry(provider.to_owned()).or_insert_with(|| variable.to_owned());
            return;
        }
        let key = segments(pointer).skip(2).filter(|key| key != "config").collect::<Vec<_>>().join(".");
        let reason = format!("\"{key}\" of \"{provider}\" needs the variable {variable}, which is not set");
        let hint = "set it in the environment or in .env, or switch the provider off with \"enabled\": false";
        let problem = match self.layered.origin(pointer) {
            Origin::File { .. } => ConfigProblem::new(&self.file, pointer, reason, hint),
            _ => ConfigProblem::new(super::problem::ENVIRONMENT, pointer, reason, hint),
        };
        self.problems.push(problem);
    }

    /// The key becomes what the variable holds, and comes from there.
    fn key_from_variable(&mut self, provider: &str, config: &str, auto: bool) {
        let named = join(config, "api_key_env");
        let Some(Value::String(variable)) = self.layered.get(&named).cloned() else { return };
        if self.layered.origin(&named) == Origin::Runtime {
            return;
        }
        let key = join(config, "api_key");
        if self.layered.get(&key).is_some_and(|key| !key.is_null()) {
            let reason = format!("\"{provider}\" has both \"api_key\" and \"api_key_env\"");
            self.problems.push(ConfigProblem::new(&self.file, named, reason, "keep one of them"));
            return;
        }
        match self.environment.get(&variable) {
            Some(set) if set.value.to_str().is_some() => {
                self.layered.set(&key, set.value.to_str().into(), set.origin());
            }
            _ => self.missing(provider, &named, &variable, auto),
        }
    }
}

fn shape_at(pointer: &str) -> &'static Shape {
    static ENTRY_SHAPE: Shape = Shape::Section(&ENTRY);
    segments(pointer).skip(2).fold(&ENTRY_SHAPE, |shape, key| shape_of(shape, &key))
}

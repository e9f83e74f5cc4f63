//! The configuration as a whole.

// What each layer says, and which wins.
mod layering;
// What is wrong, in the words that people get to read.
mod errors;
// Variables in the file's texts, keys, and providers made by variables alone.
mod providers;
// What is told of one that has changed.
mod differences;
// Secrets, wherever values are shown.
mod secrets;
// What is shipped beside the code.
mod shipped;

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Map, Value};
use tempfile::TempDir;

use super::{
    CommandLineLayer, Config, ConfigFiles, ConfigProblems, EffectiveValue, Environment, Layers, RuntimeLayer,
};

/// A folder with a configuration, and everything beside it that has a say.
struct Setup {
    dir: TempDir,
    variables: Vec<(String, OsString)>,
    command_line: CommandLineLayer,
    runtime: RuntimeLayer,
}

impl Setup {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            command_line: CommandLineLayer::default(),
            runtime: RuntimeLayer::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("plugin_config.json")
    }

    fn file(self, text: &str) -> Self {
        std::fs::write(self.path(), text).unwrap();
        self
    }

    fn dotenv(self, text: &str) -> Self {
        std::fs::write(self.dir.path().join(".env"), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    fn runtime(mut self, name: &str, entry: Option<Value>) -> Self {
        let entry: Option<Map<String, Value>> = entry.map(|entry| entry.as_object().unwrap().clone());
        self.runtime.providers.insert(name.to_owned(), entry);
        self
    }

    fn read(&self) -> Result<Config, ConfigProblems> {
        let environment = Environment::from_iter(self.variables.clone());
        let layers = Layers {
            file: &self.path(),
            must_exist: false,
            files: &ConfigFiles::default(),
            environment: &environment,
            command_line: &self.command_line,
            runtime: &self.runtime,
        };
        layers.read()
    }

    #[track_caller]
    fn config(&self) -> Config {
        self.read().unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The problems, without the folder that differs from run to run.
    #[track_caller]
    fn problems(&self) -> Vec<String> {
        let problems = self.read().expect_err("there is a problem").0;
        let folder = format!("{}/", self.dir.path().display());
        problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }

    /// A row of what is in force, as value and origin.
    fn shown(&self, rows: &[EffectiveValue], pointer: &str) -> Option<(Value, String)> {
        let row = rows.iter().find(|row| row.pointer == pointer)?;
        let folder = format!("{}/", self.dir.path().display());
        Some((row.value.clone(), row.origin.to_string().replace(&folder, "")))
    }
}

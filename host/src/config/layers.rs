//! The layers, read and laid over each other: defaults, the file, the environment, the command line, run-time changes.
//! What plugins have for defaults comes below them later, when plugins are loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use super::check::Checker;
use super::describe::{ENTRY, ROOT, Shape};
use super::entry::ProviderEntry;
use super::environment::Environment;
use super::files::ConfigFiles;
use super::fill::Filler;
use super::host::Config;
use super::layered::{Layered, Setting, defaults_of, settings_of};
use super::origin::Origin;
use super::otel;
use super::pointer::join;
use super::problem::{ConfigProblem, ConfigProblems, RUNTIME};
use super::reader::Reader;
use super::syntax;
use super::variables::{in_capitals, with_keys};

/// What the command line says of the configuration's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLineLayer {
    /// `--host`
    pub host: Option<String>,
    /// `--port`
    pub port: Option<u16>,
}

/// Changes made while the host ran: for each provider what its entry says, or that it is gone.
///
/// An entry holds only what was changed; `null` in it means the default. Nothing in it is filled in from variables,
/// nor may it name one: whoever may change a provider may not read the environment.
#[derive(Clone, Default, PartialEq)]
pub struct RuntimeLayer {
    /// By the provider's name. None: the provider was removed.
    pub providers: BTreeMap<String, Option<Map<String, Value>>>,
}

/// Names only: there are keys in the entries.
impl fmt::Debug for RuntimeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.providers.keys()).finish()
    }
}

/// Where the layers come from.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// The configuration file; `.env` is beside it.
    pub file: &'a Path,
    /// Whether the operator named it.
    pub must_exist: bool,
    /// Which files have been there before.
    pub files: &'a ConfigFiles,
    /// The real one.
    pub environment: &'a Environment,
    /// Options.
    pub command_line: &'a CommandLineLayer,
    /// Changes.
    pub runtime: &'a RuntimeLayer,
}

const PROVIDERS: &str = "/plugins";

impl Layers<'_> {
    /// Reads file and `.env` as they are now. Either everything can be used, or every problem is told.
    pub fn read(&self) -> Result<Config, ConfigProblems> {
        let dotenv = self.file.with_file_name(".env");
        let (environment, mut problems) = self.environment.with_dotenv(&dotenv, self.files);
        let dotenv = dotenv.display().to_string();
        let mut layered = Layered::new();
        layered.lay(defaults_of(&ROOT, ""));
        let file = self.file_layer(&mut problems);

        let mut reader = Reader { environment: &environment, dotenv: &dotenv, problems };
        layered.lay(otel::layer(&environment, &mut reader));
        layered.lay(file);
        for real in [false, true] {
            lay_environment(&mut layered, &mut reader, real);
        }
        for name in self.left_to_variables(&environment, &layered) {
            for real in [false, true] {
                let of_provider = reader.of_provider(&in_capitals(name), &join(PROVIDERS, name), real);
                layered.lay(of_provider);
            }
        }
        let mut problems = reader.problems;
        layered.lay(self.command_line_layer());
        let removed = self.lay_runtime(&mut layered, &mut problems);

        let filler = Filler::new(&mut layered, &environment, self.file, &mut problems);
        let waiting = filler.fill();
        let offered = offered(&environment, &dotenv, &layered);
        let config = Config::new(&layered, &environment, &waiting, offered, removed, &mut problems);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(ConfigProblems(problems)),
        }
    }

    fn file_layer(&self, problems: &mut Vec<ConfigProblem>) -> Vec<Setting> {
        let file = self.file.display().to_string();
        let bytes = match self.files.read(self.file, self.must_exist) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Vec::new(),
            Err(problem) => {
                problems.push(problem);
                return Vec::new();
            }
        };
        let (value, mut found) = syntax::parse(&file, &bytes);
        let mut checker = Checker::new(&file);
        if let Some(value) = &value {
            checker.value(&Shape::Section(&ROOT), value, "");
        }
        found.append(&mut checker.problems);
        problems.append(&mut found);
        let origin = Origin::File { path: self.file.to_owned(), pointer: String::new() };
        match value {
            Some(Value::Object(mut members)) => {
                members.remove("$schema");
                settings_of(&ROOT, &members, "", &origin)
            }
            _ => Vec::new(),
        }
    }

    fn command_line_layer(&self) -> Vec<Setting> {
        let CommandLineLayer { host, port } = self.command_line;
        let host = host.clone().map(|host| ("/server/host", Value::from(host), "--host"));
        let port = port.map(|port| ("/server/port", Value::from(port), "--port"));
        let setting = |(pointer, value, option)| Setting {
            pointer: str::to_owned(pointer),
            value: Some(value),
            origin: Origin::CommandLine { option },
        };
        host.into_iter().chain(port).map(setting).collect()
    }

    /// Changed while the host ran, and otherwise made by variables alone: what these say still holds below the change.
    /// Not where that names a plugin or an address, for it must not choose who gets a key out of a variable.
    fn left_to_variables(&self, environment: &Environment, layered: &Layered) -> Vec<&String> {
        let names_somebody = |entry: &Map<String, Value>| {
            let config = entry.get("config").and_then(Value::as_object);
            entry.contains_key("plugin") || config.is_some_and(|config| config.contains_key("base_url"))
        };
        let changed = self.runtime.providers.iter().filter(|(name, entry)| {
            entry.as_ref().is_some_and(|entry| !names_somebody(entry))
                && layered.get(&join(PROVIDERS, name)).is_none()
                && with_keys(environment).any(|capitals| capitals == in_capitals(name))
        });
        changed.map(|(name, _)| name).collect()
    }

    /// Answers with the names of those that were removed.
    fn lay_runtime(&self, layered: &mut Layered, problems: &mut Vec<ConfigProblem>) -> BTreeSet<String> {
        let mut removed = BTreeSet::new();
        for (name, entry) in &self.runtime.providers {
            let pointer = join(PROVIDERS, name);
            let Some(entry) = entry else {
                layered.remove(&pointer);
                removed.insert(name.clone());
                continue;
            };
            problems.extend(runtime_problems(name, entry));
            layered.lay(settings_of(&ENTRY, entry, &pointer, &Origin::Runtime));
        }
        removed
    }
}

/// What is wrong with an entry that somebody wants to set while the host runs.
pub fn runtime_problems(name: &str, entry: &Map<String, Value>) -> Vec<ConfigProblem> {
    let entries = Map::from_iter([(name.to_owned(), Value::Object(entry.clone()))]);
    let mut checker = Checker::literal(RUNTIME);
    checker.value(&Shape::Providers(&ENTRY), &Value::Object(entries), PROVIDERS);
    if entry.get("config").and_then(|config| config.get("api_key_env")).is_some_and(|env| !env.is_null()) {
        let pointer = join(&join(PROVIDERS, name), "config/api_key_env").replace("~1", "/");
        let reason = "\"api_key_env\" cannot be set while the host runs";
        let hint = "give the key itself as \"api_key\": a change must not read the environment";
        checker.problems.push(ConfigProblem::new(RUNTIME, pointer, reason, hint));
    }
    checker.problems
}

/// The short forms first: who writes the long one means it.
fn lay_environment(layered: &mut Layered, reader: &mut Reader<'_>, real: bool) {
    let short = reader.short(real);
    layered.lay(short);
    let long = reader.stepping_in(layered, real);
    // They may bring providers that the file does not have, and these have short forms too.
    let (mut names, mut brought) = (BTreeSet::new(), Layered::new());
    brought.lay(long.clone());
    for known in [&*layered, &brought] {
        names.extend(known.object(PROVIDERS).into_iter().flat_map(|known| known.keys().cloned()));
    }
    for name in names {
        let entry = join(PROVIDERS, &name);
        let of_provider = reader.of_provider(&in_capitals(&name), &entry, real);
        layered.lay(of_provider);
    }
    layered.lay(long);
}

/// Entries that variables alone would make, by the capitals of the provider's name. Whether there is a plugin that
/// could use one shows later; what is wrong with it matters only then.
fn offered(
    environment: &Environment,
    dotenv: &str,
    layered: &Layered,
) -> BTreeMap<String, Result<ProviderEntry, ConfigProblems>> {
    let configured = layered.object(PROVIDERS);
    let configured: BTreeSet<String> =
        configured.into_iter().flat_map(|known| known.keys().map(|name| in_capitals(name))).collect();
    let mut offered = BTreeMap::new();
    for capitals in with_keys(environment).filter(|capitals| !configured.contains(*capitals)) {
        let mut reader = Reader { environment, dotenv, problems: Vec::new() };
        let mut entry = Layered::new();
        for real in [false, true] {
            entry.lay(reader.of_provider(capitals, "", real));
        }
        let problems = reader.problems;
        let made = if problems.is_empty() { ProviderEntry::of(&entry, "") } else { Err(problems) };
        offered.insert(capitals.to_owned(), made.map_err(ConfigProblems));
    }
    offered
}

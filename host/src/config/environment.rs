//! The variables the host was started with, and those of `.env`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::dotenv;
use super::files::ConfigFiles;
use super::origin::Origin;
use super::problem::{ConfigProblem, ENVIRONMENT};

/// Variables by name. A value as data, so that nothing depends on which process asks, or when.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, Variable>,
}

#[derive(Clone, PartialEq, Eq)]
struct Variable {
    value: OsString,
    /// Where in `.env`; none for a real one.
    line: Option<usize>,
}

/// A variable that says something.
#[derive(Clone, Copy)]
pub(super) struct Set<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a OsStr,
    line: Option<usize>,
}

/// Names only: most values that are worth having are secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variable = |(name, value): (N, V)| (name.into(), Variable { value: value.into(), line: None });
        Self { variables: variables.into_iter().map(variable).collect() }
    }
}

impl Environment {
    /// That of this process, as it is now. What has a name that is no text cannot be meant for the host.
    pub fn capture() -> Self {
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
    }

    /// With what the `.env` at `path` says beside it, if there is one. A real variable wins, even an empty one.
    pub fn with_dotenv(&self, path: &Path, files: &ConfigFiles) -> (Self, Vec<ConfigProblem>) {
        let file = path.display().to_string();
        let bytes = match files.read(path, false) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return (self.clone(), Vec::new()),
            Err(problem) => return (self.clone(), vec![problem]),
        };
        let Ok(text) = String::from_utf8(bytes) else {
            let problem = ConfigProblem::new(file, "", "is no text", "write it in UTF-8");
            return (self.clone(), vec![problem]);
        };
        let (assignments, problems) = dotenv::parse(&file, &text);
        let mut variables: BTreeMap<String, Variable> = assignments
            .into_iter()
            .map(|read| (read.name, Variable { value: read.value.into(), line: Some(read.line) }))
            .collect();
        variables.extend(self.variables.clone());
        (Self { variables }, problems)
    }

    /// The text of a variable. An empty one says nothing: it comes from templates that were not filled in.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.value.to_str()
    }

    /// The path in a variable, which need not be text.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(|set| PathBuf::from(set.value))
    }

    pub(super) fn get(&self, name: &str) -> Option<Set<'_>> {
        let (name, variable) = self.variables.get_key_value(name)?;
        Self::set(name, variable)
    }

    /// Those of the process, or those of `.env`.
    pub(super) fn all(&self, real: bool) -> impl Iterator<Item = Set<'_>> {
        let found = self.variables.iter().filter_map(|(name, variable)| Self::set(name, variable));
        found.filter(move |set| set.line.is_none() == real)
    }

    fn set<'a>(name: &'a str, variable: &'a Variable) -> Option<Set<'a>> {
        let Variable { value, line } = variable;
        (!value.is_empty()).then_some(Set { name, value, line: *line })
    }
}

impl Set<'_> {
    pub(super) fn is_real(&self) -> bool {
        self.line.is_none()
    }

    pub(super) fn origin(&self) -> Origin {
        let variable = self.name.to_owned();
        match self.line {
            None => Origin::Environment { variable },
            Some(line) => Origin::DotEnv { variable, line },
        }
    }

    /// A problem with it, told from the place where it can be mended.
    pub(super) fn problem(&self, dotenv: &str, pointer: &str, reason: &str, hint: &str) -> ConfigProblem {
        match self.line {
            None => ConfigProblem::new(ENVIRONMENT, pointer, reason, hint),
            Some(line) => ConfigProblem::new(dotenv, pointer, format!("line {line}: {reason}"), hint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_variables_win_and_empty_ones_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        let real = Environment::from_iter([("A", "real"), ("B", "")]);
        let files = ConfigFiles::default();
        assert_eq!(real.with_dotenv(&path, &files), (real.clone(), vec![]), "there need not be a file");
        std::fs::write(&path, "A=file\nB=file\nC=file\nD=\n").unwrap();
        let (both, problems) = real.with_dotenv(&path, &files);
        assert!(problems.is_empty());
        assert_eq!(
            [both.text("A"), both.text("B"), both.text("C"), both.text("D")],
            [Some("real"), None, Some("file"), None]
        );
        assert!(!format!("{both:?}").contains("real"), "values are not printed");
    }
}

//! One entry of a manifest's `requires`: a name and the versions of it that will do.

use std::fmt;

use semver::{Op, Version, VersionReq};
use thiserror::Error;

use super::manifest::PluginId;

/// The forms that are understood, for whoever wrote another one.
pub const FORMS: &str = "write \"patchbay>=0.1\", \"service:http>=1\" or \"plugin:some-id>=1.2\" (also with =, ^, ~, \
                         several ranges behind commas, or no range for any version)";

/// A requirement that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub on: Dependency,
    pub versions: VersionReq,
}

/// What is required.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    Host,
    Service(String),
    Plugin(PluginId),
}

/// A requirement in no known form.
#[derive(Error, Debug)]
#[error("requires {text:?}, which is in no known form")]
pub struct FormError {
    pub text: String,
    pub source: Option<semver::Error>,
}

impl Requirement {
    pub fn parse(text: &str) -> Result<Self, FormError> {
        let unknown = |source| FormError { text: text.to_owned(), source };
        let trimmed = text.trim();
        let (name, range) =
            trimmed.split_at(trimmed.find(['<', '>', '=', '^', '~']).unwrap_or(trimmed.len()));
        let name = name.trim_end();
        let on = match name.split_once(':') {
            None if name == "patchbay" => Dependency::Host,
            // Services are named as plugins are, so the same shape does.
            Some(("service", name)) => {
                Dependency::Service(PluginId::parse(name).ok_or_else(|| unknown(None))?.to_string())
            }
            Some(("plugin", id)) => Dependency::Plugin(PluginId::parse(id).ok_or_else(|| unknown(None))?),
            _ => return Err(unknown(None)),
        };
        let versions = if range.is_empty() {
            VersionReq::STAR
        } else {
            VersionReq::parse(range).map_err(|error| unknown(Some(error)))?
        };
        Ok(Self { on, versions })
    }

    pub fn accepts(&self, version: &Version) -> bool {
        self.versions.matches(version)
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.on {
            Dependency::Host => formatter.write_str("patchbay")?,
            Dependency::Service(name) => write!(formatter, "service:{name}")?,
            Dependency::Plugin(id) => write!(formatter, "plugin:{id}")?,
        }
        let wildcard = self.versions.comparators.iter().all(|part| part.op == Op::Wildcard);
        if wildcard { Ok(()) } else { write!(formatter, "{}", self.versions) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let parsed = match Requirement::parse(text) {
            Ok(requirement) => requirement.to_string(),
            Err(error) => crate::plugins::problem::chain(&error),
        };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn the_documented_forms_are_read() {
        check("patchbay", "patchbay");
        check("patchbay>=0.1", "patchbay>=0.1");
        check(" patchbay >= 0.1, < 2 ", "patchbay>=0.1, <2");
        check("service:http>=1", "service:http>=1");
        check("service:sleep", "service:sleep");
        check("plugin:some-id=1.2.3", "plugin:some-id=1.2.3");
        check("plugin:some_id^1.2", "plugin:some_id^1.2");
        check("plugin:2~1", "plugin:2~1");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in
            ["", ">=1", "openai>=1", "plugin:>=1", "plugin:Bad", "patchbay 0.1", "service:", "patchbay*"]
        {
            check(text, &format!("requires {text:?}, which is in no known form"));
        }
        check(
            "patchbay>=x",
            "requires \"patchbay>=x\", which is in no known form: \
             unexpected character 'x' while parsing major version number",
        );
        check(
            "service:http>=1 || 2",
            "requires \"service:http>=1 || 2\", which is in no known form: \
             expected comma after major version number, found '|'",
        );
    }

    #[test]
    fn ranges_are_those_of_cargo() {
        let accepts = |text, version: &str| {
            Requirement::parse(text).unwrap().accepts(&Version::parse(version).unwrap())
        };
        assert!(accepts("plugin:a>=1.2", "3.0.0"));
        assert!(accepts("plugin:a^1.2", "1.9.0") && !accepts("plugin:a^1.2", "2.0.0"));
        assert!(accepts("plugin:a~1.2", "1.2.9") && !accepts("plugin:a~1.2", "1.3.0"));
        assert!(accepts("plugin:a>=1, <3", "2.9.9") && !accepts("plugin:a>=1, <3", "3.0.0"));
        assert!(accepts("plugin:a", "0.0.1"));
    }
}

//! What is wrong with a configuration, and how to mend it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `file` of a problem with a variable that no file sets.
pub(super) const ENVIRONMENT: &str = "environment";
/// The `file` of a problem with a change made at run time.
pub(super) const RUNTIME: &str = "runtime";

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigProblem {
    /// The file, or `environment`, or `runtime`.
    pub file: String,
    /// Where in the configuration, as a JSON pointer. Empty where it is the whole.
    pub pointer: String,
    /// What is wrong. Never holds a value that may be a secret.
    pub reason: String,
    /// How to mend it.
    pub hint: String,
}

impl ConfigProblem {
    pub(crate) fn new(
        file: impl Into<String>,
        pointer: impl Into<String>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { file: file.into(), pointer: pointer.into(), reason: reason.into(), hint: hint.into() }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, pointer, reason, hint } = self;
        if pointer.is_empty() {
            write!(f, "{file}: {reason}: {hint}")
        } else {
            write!(f, "{file}: {pointer}: {reason}: {hint}")
        }
    }
}

/// Everything that is wrong, so that it can be mended in one go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblems(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => only.fmt(f),
            all => {
                write!(f, "the configuration has {} problems", all.len())?;
                all.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

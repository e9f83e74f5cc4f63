//! What a failed step turns into: the same words in `/api/plugins`, in the log and in the reload's report.

// What problems are called.
mod codes;

use std::error::Error;

use schemars::JsonSchema;
use serde::Serialize;

pub use self::codes::ProblemCode;
use crate::events::{News, PluginNews};

/// Why a plugin is not in use, for people (`message`, `hint`) and for programs (`phase`, `step`, `code`).
#[derive(Serialize, Clone, Debug, PartialEq, JsonSchema)]
pub struct Problem {
    /// The phase in which it failed.
    pub phase: Phase,
    /// The step of it.
    pub step: Step,
    pub code: ProblemCode,
    /// One sentence: what is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

/// The four phases that every plugin goes through to be used, and the time after.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Discovery,
    Validation,
    Registration,
    Initialisation,
    /// It was in use when it failed.
    Running,
}

/// The steps of the phases, in the order they happen.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    File,
    Copy,
    Read,
    Trust,
    Metadata,
    Requires,
    Probe,
    Load,
    Start,
    Create,
    Configuration,
    Call,
}

impl Step {
    pub fn phase(self) -> Phase {
        match self {
            Self::File | Self::Copy | Self::Read => Phase::Discovery,
            Self::Trust | Self::Metadata | Self::Requires | Self::Probe => Phase::Validation,
            Self::Load | Self::Start => Phase::Registration,
            Self::Create | Self::Configuration => Phase::Initialisation,
            Self::Call => Phase::Running,
        }
    }
}

impl Phase {
    /// As it stands in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Validation => "validation",
            Self::Registration => "registration",
            Self::Initialisation => "initialisation",
            Self::Running => "running",
        }
    }
}

impl Step {
    /// As it stands in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Copy => "copy",
            Self::Read => "read",
            Self::Trust => "trust",
            Self::Metadata => "metadata",
            Self::Requires => "requires",
            Self::Probe => "probe",
            Self::Load => "load",
            Self::Start => "start",
            Self::Create => "create",
            Self::Configuration => "configuration",
            Self::Call => "call",
        }
    }
}

impl Problem {
    /// The message is the error and all its sources: a problem is read far from any backtrace.
    pub fn new(step: Step, code: ProblemCode, error: &dyn Error, hint: impl Into<String>) -> Self {
        Self { phase: step.phase(), step, code, message: chain(error), hint: hint.into() }
    }

    /// What listeners are told of the plugin that is quarantined for it. Not the message: it may have the plugin's own
    /// words in it, and the plugin was given keys.
    pub(super) fn quarantined(self, plugin: &str) -> News {
        let news = PluginNews::Quarantined { code: self.code, hint: self.hint };
        News::Plugin { plugin: Some(plugin.to_owned()), news }
    }
}

/// An error and its sources in one line. No error here repeats its source, so nothing is said twice.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(thiserror::Error, Debug)]
    #[error("the file cannot be read")]
    struct Unreadable(#[source] std::io::Error);

    #[test]
    fn a_problem_reads_the_same_everywhere() {
        let error = Unreadable(std::io::Error::other("disk on fire"));
        let problem = Problem::new(Step::File, ProblemCode::FileUnreadable, &error, "check the disk");
        assert_eq!(
            serde_json::to_value(problem).unwrap(),
            serde_json::json!({
                "phase": "discovery",
                "step": "file",
                "code": "file_unreadable",
                "message": "the file cannot be read: disk on fire",
                "hint": "check the disk",
            })
        );
    }

    #[test]
    fn phases_follow_each_other_as_steps_do() {
        use Step::*;
        let steps =
            [File, Copy, Read, Trust, Metadata, Requires, Probe, Load, Start, Create, Configuration, Call];
        assert!(steps.is_sorted());
        assert!(steps.iter().map(|step| step.phase()).is_sorted());
    }
}

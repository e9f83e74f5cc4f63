//! Why a command ended without doing what it was asked to, and the exit code that says so.

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use super::output;
use crate::app::StartError;
use crate::dev::CargoError;
use crate::telemetry::log::LogError;

/// A reason for people; its kind is for scripts.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    kind: Kind,
    message: String,
}

/// Wrong usage (2) is not among them: clap ends the process itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed = 1,
    BadInput = 64,
    BadConfiguration = 78,
}

impl Failure {
    pub(super) fn failed(message: impl Into<String>) -> Failure {
        Failure { kind: Kind::Failed, message: message.into() }
    }

    pub(super) fn bad_input(message: impl Into<String>) -> Failure {
        Failure { kind: Kind::BadInput, message: message.into() }
    }

    pub(super) fn bad_configuration(message: impl Into<String>) -> Failure {
        Failure { kind: Kind::BadConfiguration, message: message.into() }
    }

    pub fn runtime(error: &io::Error) -> Failure {
        Failure::failed(format!("the threads could not be started: {error}"))
    }

    /// Only the reason, where one of several failed.
    pub(super) fn into_message(self) -> String {
        self.message
    }

    /// Says why on stderr.
    pub fn report(self) -> u8 {
        output::note(&format!("error: {}", self.message));
        self.kind as u8
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> u8 {
        self.kind as u8
    }
}

/// An error with what caused it: no error repeats its source by itself.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string does not fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Failure {
        Failure::bad_configuration(chain(&error))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        match &error {
            StartError::Configuration(_) => Failure::bad_configuration(chain(&error)),
            _ => Failure::failed(chain(&error)),
        }
    }
}

impl From<CargoError> for Failure {
    fn from(error: CargoError) -> Failure {
        Failure::failed(chain(&error))
    }
}

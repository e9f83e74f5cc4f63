//! Why a gateway does not start.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::access::OpenError;
use crate::config::{ChangeFileError, ConfigProblems};
use crate::plugins::ManagerError;
use crate::store::StoreError;
use crate::upgrade::TakeOverError;
use crate::usage::JournalError;

/// Why the gateway did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Something that the operator wrote; every problem of it is in the text.
    #[error("{0}")]
    Configuration(String),
    /// The working directory is gone.
    #[error("the working directory is not there")]
    WorkingDirectory(#[source] io::Error),
    /// The data directory.
    #[error("the data directory {} cannot be used: mend its permissions, or set PATCHBAY_DATA_DIR to another folder", .0.display())]
    DataDirectory(PathBuf, #[source] io::Error),
    /// Somebody else's data directory.
    #[error(
        "the data directory {} is in use by another host: stop that one, or set PATCHBAY_DATA_DIR to another folder; \
         --take-over goes on where it is",
        .0.display()
    )]
    Locked(PathBuf),
    /// What was changed at run time.
    #[error(transparent)]
    Changes(#[from] ChangeFileError),
    /// The loader.
    #[error("the loader could not be started")]
    Manager(#[from] ManagerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The virtual keys.
    #[error(transparent)]
    Keys(#[from] OpenError),
    /// The file in which usage waits.
    #[error(transparent)]
    Usage(#[from] JournalError),
    /// The port.
    #[error("cannot listen on {0}")]
    Bind(String, #[source] io::Error),
    /// The watcher.
    #[error("the plugin directories cannot be watched")]
    Watch(#[source] io::Error),
    /// Another host, which goes on.
    #[error(transparent)]
    TakeOver(#[from] TakeOverError),
}

impl From<ConfigProblems> for StartError {
    fn from(problems: ConfigProblems) -> Self {
        Self::Configuration(problems.to_string())
    }
}

//! Run-time changes to providers, as they are kept: one file in the data directory, replaced as a whole.
//!
//! A change is acknowledged after it is on disk, so a host that is killed at any moment finds one of the states it
//! had acknowledged, or the one it was about to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::RuntimeLayer;
use crate::durable;

/// All of them.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Changes {
    /// What was said of each provider last.
    pub providers: BTreeMap<String, Change>,
    /// Plugins that were switched off.
    pub disabled_plugins: BTreeSet<String>,
}

/// Names only: there are keys in the entries.
impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { providers, disabled_plugins } = self;
        f.debug_struct("Changes")
            .field("providers", &providers.keys())
            .field("disabled_plugins", disabled_plugins)
            .finish()
    }
}

impl Changes {
    /// The layer they make.
    pub fn layer(&self) -> RuntimeLayer {
        let entries = self.providers.iter().map(|(name, change)| (name.clone(), change.entry.clone()));
        RuntimeLayer { providers: entries.collect() }
    }

    /// How often this provider was changed.
    pub fn version(&self, provider: &str) -> u64 {
        self.providers.get(provider).map_or(0, |change| change.version)
    }

    /// What was said of this provider, if it is there.
    pub fn entry(&self, provider: &str) -> Option<&Map<String, Value>> {
        self.providers.get(provider)?.entry.as_ref()
    }

    /// Whether the plugin was switched off.
    pub fn is_disabled(&self, plugin: &str) -> bool {
        self.disabled_plugins.contains(plugin)
    }

    /// Switches a plugin on or off.
    pub fn switch(&mut self, plugin: &str, enable: bool) {
        if enable {
            self.disabled_plugins.remove(plugin);
        } else {
            self.disabled_plugins.insert(plugin.to_owned());
        }
    }
}

/// What was said of one provider at run time.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Counts the changes of this provider, also over its removal: a client that has seen this one has seen the
    /// last.
    pub version: u64,
    /// The members of an entry that were set, which win over the file's; none when the provider was removed.
    pub entry: Option<Map<String, Value>>,
}

/// Where they are kept.
#[derive(Clone, Debug)]
pub struct ChangeFile(PathBuf);

/// Why they could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum ChangeFileError {
    /// The file cannot be read.
    #[error("the run-time changes in {} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// Somebody else has written to it.
    #[error("the run-time changes in {} are damaged: mend the file, or remove it to begin without any", .0.display())]
    Damaged(PathBuf, #[source] serde_json::Error),
    /// The file cannot be written.
    #[error("the run-time changes cannot be kept in {}", .0.display())]
    Unwritable(PathBuf, #[source] io::Error),
}

impl ChangeFile {
    /// The file within a data directory.
    pub fn within(data_dir: &Path) -> Self {
        Self(data_dir.join("providers.json"))
    }

    /// Reads them; without a file there are none.
    pub fn read(&self) -> Result<Changes, ChangeFileError> {
        match fs::read(&self.0) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| ChangeFileError::Damaged(self.0.clone(), error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Changes::default()),
            Err(error) => Err(ChangeFileError::Unreadable(self.0.clone(), error)),
        }
    }

    /// Replaces them, and returns when the disk has them.
    pub fn write(&self, changes: &Changes) -> Result<(), ChangeFileError> {
        let unwritable = |error| ChangeFileError::Unwritable(self.0.clone(), error);
        let bytes = serde_json::to_vec_pretty(changes).map_err(|error| unwritable(error.into()))?;
        // The entries hold keys: nobody but the host's user has a reason to read them.
        durable::replace(&self.0, &bytes).map_err(unwritable)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use serde_json::json;

    use super::*;

    fn changes() -> Changes {
        let entry = json!({"plugin": "mock", "config": {"api_key": "sk-1"}}).as_object().cloned();
        let change = |version, entry| Change { version, entry };
        Changes {
            providers: [("a".to_owned(), change(3, entry)), ("b".to_owned(), change(1, None))].into(),
            disabled_plugins: ["mock".to_owned()].into(),
        }
    }

    #[test]
    fn what_was_kept_is_read_and_belongs_to_the_host_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = ChangeFile::within(dir.path());
        assert_eq!(file.read().unwrap(), Changes::default());
        file.write(&changes()).unwrap();
        assert_eq!(file.read().unwrap(), changes());
        assert_eq!(fs::metadata(dir.path().join("providers.json")).unwrap().mode() & 0o777, 0o600);
        file.write(&Changes::default()).unwrap();
        assert_eq!(file.read().unwrap(), Changes::default());
    }

    #[test]
    fn half_a_file_of_a_killed_host_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let file = ChangeFile::within(dir.path());
        fs::write(dir.path().join("providers.json.tmp"), "{\"provi").unwrap();
        file.write(&changes()).unwrap();
        assert_eq!(file.read().unwrap(), changes());
    }

    #[test]
    fn a_damaged_file_is_said_to_be_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("providers.json"), "{}}").unwrap();
        let error = ChangeFile::within(dir.path()).read().unwrap_err();
        assert!(error.to_string().ends_with("are damaged: mend the file, or remove it to begin without any"));
    }
}

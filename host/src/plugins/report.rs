//! What a reload answers. Field names are contract.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::manifest::PluginId;
use super::problem::Problem;
use crate::config::{ChangedSetting, ConfigProblem, ConfigProblems};
use crate::providers::Snapshot;

/// How a reload went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReloadReport {
    /// The outcome in one word.
    pub status: ReloadStatus,
    /// Whether nothing was changed because nothing was to be.
    pub dry_run: bool,
    /// Counts the published sets of providers.
    pub generation: u64,
    /// How long it took.
    pub duration_ms: f64,
    /// What became of the libraries.
    pub plugins: PluginChanges,
    /// What became of the providers.
    pub providers: ProviderChanges,
    /// What is configured otherwise than before, secrets masked; and what is so since the host was started, where that is
    /// read only then.
    pub settings: Vec<ChangedSetting>,
    /// Sections of the configuration that have changed since the host was started, and are read only then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs_restart: Vec<&'static str>,
    /// What is no mistake, and may not be what was meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ConfigProblem>,
    /// Why the configuration could not be used; then nothing else was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigFailure>,
}

/// The outcome of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReloadStatus {
    /// Everything is as it was asked for.
    Ok,
    /// Some of it failed.
    Partial,
    /// Nothing was changed, because of a failure.
    Failed,
}

/// The libraries of a reload.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct PluginChanges {
    /// Ids that were not loaded before.
    pub loaded: Vec<String>,
    /// Those with a new generation.
    pub reloaded: Vec<Reloaded>,
    /// Ids whose library did not change.
    pub unchanged: Vec<String>,
    /// Ids whose library is gone, or that were switched off.
    pub removed: Vec<String>,
    /// What could not be used.
    pub failed: Vec<FailedPlugin>,
}

/// A new generation for an old one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Reloaded {
    /// The plugin.
    pub id: String,
    /// The generation before.
    pub from: u64,
    /// The generation now.
    pub to: u64,
}

/// A library that could not be used.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FailedPlugin {
    /// Where it lies.
    #[serde(serialize_with = "lossily")]
    pub file: PathBuf,
    /// The plugin, where the manifest could be read.
    pub id: Option<String>,
    /// What is wrong.
    #[serde(flatten)]
    pub problem: Problem,
    /// Whether the generation before goes on serving.
    pub kept_previous: bool,
}

/// The providers of a reload.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ProviderChanges {
    /// Names that are new.
    pub created: Vec<String>,
    /// Those made anew.
    pub updated: Vec<String>,
    /// Those that were not touched.
    pub unchanged: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that could not be made.
    pub failed: Vec<FailedProvider>,
}

/// A provider that could not be made.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FailedProvider {
    /// Its name.
    pub name: String,
    /// What is wrong.
    #[serde(flatten)]
    pub problem: Problem,
    /// Whether the provider before goes on serving.
    pub kept_previous: bool,
}

/// A configuration that could not be used.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConfigFailure {
    /// What is wrong, all of it.
    pub message: String,
    /// How to mend it.
    pub hint: String,
    /// The same one by one.
    pub problems: Vec<ConfigProblem>,
}

impl From<ConfigProblems> for ConfigFailure {
    fn from(problems: ConfigProblems) -> Self {
        Self {
            message: problems.to_string(),
            hint: "mend it; what serves now goes on serving".to_owned(),
            problems: problems.0,
        }
    }
}

impl PluginChanges {
    pub(super) fn note_load(&mut self, id: &PluginId, from: Option<u64>, to: u64) {
        match from {
            Some(from) => self.reloaded.push(Reloaded { id: id.to_string(), from, to }),
            None => self.loaded.push(id.to_string()),
        }
    }
}

impl ProviderChanges {
    /// Everything that was there and is not any more.
    pub(super) fn note_removed(&mut self, before: &Snapshot) {
        let kept = self.failed.iter().filter(|failed| failed.kept_previous).map(|failed| &failed.name);
        let there: BTreeSet<&String> =
            self.created.iter().chain(&self.updated).chain(&self.unchanged).chain(kept).collect();
        let gone = before.by_priority().iter().map(|provider| provider.settings.name.to_string());
        let gone: Vec<String> = gone.filter(|name| !there.contains(name)).collect();
        self.removed = gone;
    }
}

impl ReloadReport {
    /// Whether something is as it was asked for, beside what failed.
    pub(super) fn changed_or_kept(&self) -> bool {
        let (plugins, providers) = (&self.plugins, &self.providers);
        let plugins =
            [plugins.loaded.len(), plugins.reloaded.len(), plugins.unchanged.len(), plugins.removed.len()];
        let providers = [
            providers.created.len(),
            providers.updated.len(),
            providers.unchanged.len(),
            providers.removed.len(),
        ];
        self.config.is_none() && plugins.iter().chain(&providers).sum::<usize>() > 0
    }

    /// When there is nobody left to reload.
    pub(super) fn of_a_dead_loader() -> Self {
        Self::of_a_failure(
            &"the loader has ended unexpectedly; what serves now goes on serving",
            "see the log, and restart the host",
        )
    }

    /// When nothing could be begun.
    pub(super) fn of_a_failure(failure: &dyn std::fmt::Display, hint: &str) -> Self {
        Self {
            status: ReloadStatus::Failed,
            dry_run: false,
            generation: 0,
            duration_ms: 0.0,
            plugins: PluginChanges::default(),
            providers: ProviderChanges::default(),
            settings: Vec::new(),
            needs_restart: Vec::new(),
            warnings: Vec::new(),
            config: Some(ConfigFailure {
                message: failure.to_string(),
                hint: hint.to_owned(),
                problems: Vec::new(),
            }),
        }
    }

    /// Whether anything failed.
    pub fn failures(&self) -> usize {
        self.plugins.failed.len() + self.providers.failed.len() + usize::from(self.config.is_some())
    }
}

/// A file's name may be any bytes; one that is no text must not take the whole answer with it.
pub(super) fn lossily<S: Serializer>(file: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&file.display())
}

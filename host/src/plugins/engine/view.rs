//! One provider's configuration as it is in force, for whoever asks. Asking never waits for a reload.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::config::{Changes, Config, EffectiveValue, Enabled};
use crate::plugins::instances::{Plugins, alike};
use crate::plugins::manifest::Manifest;

/// What providers are made from, at one moment.
#[derive(Debug, Default)]
pub(in crate::plugins) struct Shown {
    config: Option<Arc<Config>>,
    versions: BTreeMap<String, u64>,
    manifests: Vec<Arc<Manifest>>,
}

/// `GET /api/providers/{name}`: secrets are masked.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderView {
    /// Its name.
    pub name: String,
    /// The id of the plugin that makes it.
    pub plugin: String,
    /// `true`, `false` or `"auto"`.
    pub enabled: serde_json::Value,
    /// Counts its changes at run time: for `If-Match`.
    pub version: u64,
    /// Every value in force, and where each comes from.
    pub values: Vec<EffectiveValue>,
}

impl Shown {
    pub(super) fn new(config: &Arc<Config>, changes: &Changes, plugins: &Plugins) -> Self {
        let versions = changes.providers.iter().map(|(name, change)| (name.clone(), change.version));
        let manifests = plugins.values().map(|active| Arc::clone(&active.plugin.manifest));
        Self {
            config: Some(Arc::clone(config)),
            versions: versions.collect(),
            manifests: manifests.collect(),
        }
    }

    /// The provider of this name, also one that is switched off.
    pub(in crate::plugins) fn provider(&self, name: &str) -> Option<ProviderView> {
        let entry = self.config.as_ref()?.plugins.get(name)?;
        let id = entry.plugin.as_deref().unwrap_or(name);
        let manifest = self.manifests.iter().find(|manifest| alike(manifest.id.as_str(), id));
        let defaults = manifest.map(|manifest| (manifest.id.as_str(), &manifest.config_defaults));
        Some(ProviderView {
            name: name.to_owned(),
            plugin: manifest.map_or_else(|| id.to_owned(), |manifest| manifest.id.to_string()),
            enabled: match entry.enabled {
                Enabled::Yes => true.into(),
                Enabled::No => false.into(),
                Enabled::Auto => "auto".into(),
            },
            version: self.versions.get(name).copied().unwrap_or_default(),
            values: entry.effective(name, defaults),
        })
    }
}

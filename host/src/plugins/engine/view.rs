//! One provider's configuration as it is in force, for whoever asks. Asking never waits for a reload.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use serde_json::Value;

use crate::config::{Changes, Config, ConfigProblem, EffectiveValue, Enabled, Origin, ProviderEntry, dotted};
use crate::plugins::instances::{self, Plugins, alike};
use crate::plugins::manifest::Manifest;
use crate::plugins::stray::StrayKeys;

/// What providers are made from, at one moment.
#[derive(Debug, Default)]
pub(in crate::plugins) struct Shown {
    entries: BTreeMap<String, ProviderEntry>,
    versions: BTreeMap<String, u64>,
    manifests: Vec<Arc<Manifest>>,
}

/// `GET /api/providers/{name}`: secrets are masked.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProviderConfiguration")]
pub struct ProviderView {
    /// Its name.
    pub name: String,
    /// The id of the plugin that makes it.
    pub plugin: String,
    /// `true`, `false` or `"auto"`.
    pub enabled: Value,
    /// Lower is tried first.
    pub priority: Value,
    /// Its share under the `weighted` strategy.
    pub weight: Value,
    /// Counts its changes at run time: for `If-Match`.
    pub version: u64,
    /// Where the entry as a whole comes from: `runtime`, `file`, `environment` or `default`.
    #[schemars(extend("enum" = ["runtime", "file", "environment", "default"]))]
    pub origin: &'static str,
    /// Every value in force, and where each comes from.
    pub values: Vec<ShownValue>,
    /// What may not be what was meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ConfigProblem>,
}

/// One value in force.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConfiguredValue")]
pub struct ShownValue {
    /// As `patchbay provider set` wants it: `priority`, `model`, `extra_headers.x-team`, `pricing."gpt-5.1".prompt`.
    pub key: String,
    /// A secret is masked.
    pub value: Value,
    /// In words.
    pub origin: String,
    /// For programs.
    pub source: Origin,
}

impl Shown {
    pub(super) fn new(config: &Config, changes: &Changes, plugins: &Plugins) -> Self {
        let versions = changes.providers.iter().map(|(name, change)| (name.clone(), change.version));
        let manifests = plugins.values().map(|active| Arc::clone(&active.plugin.manifest));
        Self {
            // What is wrong with an entry that variables would make is told by reloads.
            entries: instances::entries(config, plugins, &mut Vec::new()),
            versions: versions.collect(),
            manifests: manifests.collect(),
        }
    }

    /// The provider of this name, also one that is switched off, or that nobody has written down.
    pub(in crate::plugins) fn provider(&self, name: &str) -> Option<ProviderView> {
        let entry = self.entries.get(name)?;
        let id = entry.plugin.as_deref().unwrap_or(name);
        let manifest = self.manifests.iter().find(|manifest| alike(manifest.id.as_str(), id));
        let defaults = manifest.map(|manifest| (manifest.id.as_str(), &manifest.config_defaults));
        let effective = entry.effective(name, defaults);
        let of = |key: &str| {
            let found = effective
                .iter()
                .find(|value| value.pointer.rsplit_once('/').is_some_and(|(_, last)| last == key));
            found.map_or(Value::Null, |value| value.value.clone())
        };
        Some(ProviderView {
            name: name.to_owned(),
            plugin: manifest.map_or_else(|| id.to_owned(), |manifest| manifest.id.to_string()),
            enabled: match entry.enabled {
                Enabled::Yes => true.into(),
                Enabled::No => false.into(),
                Enabled::Auto => "auto".into(),
            },
            version: self.versions.get(name).copied().unwrap_or_default(),
            priority: of("priority"),
            weight: of("weight"),
            origin: origin(&effective),
            warnings: StrayKeys::of(name, entry, manifest.map(|manifest| &**manifest)).doubtful,
            values: effective.into_iter().map(|value| ShownValue::new(name, value)).collect(),
        })
    }
}

impl ShownValue {
    fn new(provider: &str, value: EffectiveValue) -> Self {
        let EffectiveValue { pointer, value, origin } = value;
        let within = pointer
            .strip_prefix("/plugins/")
            .and_then(|rest| rest.strip_prefix(provider))
            .unwrap_or(&pointer);
        let within = within.strip_prefix("/config").filter(|rest| !rest.is_empty()).unwrap_or(within);
        Self { key: dotted::of_pointer(within), value, origin: origin.to_string(), source: origin }
    }
}

/// The strongest layer that says anything of it.
fn origin(values: &[EffectiveValue]) -> &'static str {
    let any = |is: fn(&Origin) -> bool| values.iter().any(|value| is(&value.origin));
    if any(|origin| matches!(origin, Origin::Runtime)) {
        "runtime"
    } else if any(|origin| matches!(origin, Origin::File { .. })) {
        "file"
    } else if any(|origin| matches!(origin, Origin::Environment { .. } | Origin::DotEnv { .. })) {
        "environment"
    } else {
        "default"
    }
}

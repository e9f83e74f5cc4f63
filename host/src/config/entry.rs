//! One entry of `plugins`, as the layers leave it: what its plugin has for defaults is not in it yet.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::describe::{ENTRY, Shape};
use super::layered::{Layered, defaults_of};
use super::origin::{EffectiveValue, Origin};
use super::pointer::join;
use super::prices;
use super::problem::ConfigProblem;

/// See the module.
#[derive(Clone)]
pub struct ProviderEntry {
    /// The plugin's id; the entry's name when left out.
    pub plugin: Option<String>,
    /// Whether it becomes a provider.
    pub enabled: Enabled,
    /// Lower is tried first; the plugin's own default when left out, else 50.
    pub priority: Option<i32>,
    /// Share under the `weighted` strategy.
    pub weight: u32,
    /// Where its code runs; only `in_process` so far.
    pub isolation: Isolation,
    /// The variable that it waits for: it is left out until that is set.
    pub waits_for: Option<String>,
    layered: Layered,
}

/// The same if the same is in force; where it comes from makes no difference to a provider.
impl PartialEq for ProviderEntry {
    fn eq(&self, other: &Self) -> bool {
        self.waits_for == other.waits_for && self.layered.get("") == other.layered.get("")
    }
}

/// There are secrets in the rest of it.
impl fmt::Debug for ProviderEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, enabled, priority, weight, isolation, waits_for, layered: _ } = self;
        f.debug_struct("ProviderEntry")
            .field("plugin", plugin)
            .field("enabled", enabled)
            .field("priority", priority)
            .field("weight", weight)
            .field("isolation", isolation)
            .field("waits_for", waits_for)
            .finish_non_exhaustive()
    }
}

impl Default for ProviderEntry {
    fn default() -> Self {
        Self {
            plugin: None,
            enabled: Enabled::Yes,
            priority: None,
            weight: 1,
            isolation: Isolation::InProcess,
            waits_for: None,
            layered: Layered::new(),
        }
    }
}

/// The keys beside `config`.
#[derive(Deserialize)]
struct Keys {
    plugin: Option<String>,
    enabled: Enabled,
    priority: Option<i32>,
    weight: u32,
    isolation: Isolation,
}

impl ProviderEntry {
    /// The entry at a place. An error is a mistake in the description: everything was checked against it.
    pub(super) fn of(layered: &Layered, pointer: &str) -> Result<Self, Vec<ConfigProblem>> {
        let mut entry = Layered::new();
        entry.lay_moved(layered, pointer);
        let mut whole = Layered::new();
        whole.lay(defaults_of(&ENTRY, ""));
        whole.lay_entry(&entry, "");
        let value = whole.get("").cloned().unwrap_or_default();
        match Keys::deserialize(value) {
            Ok(Keys { plugin, enabled, priority, weight, isolation }) => {
                Ok(Self { plugin, enabled, priority, weight, isolation, waits_for: None, layered: entry })
            }
            Err(error) => {
                let hint = "compare it with the JSON Schema";
                Err(vec![ConfigProblem::new("the configuration", pointer, error.to_string(), hint)])
            }
        }
    }

    /// For tests: an entry that says only this.
    #[cfg(test)]
    pub(crate) fn from_config(config: &Map<String, Value>) -> Self {
        let mut layered = Layered::new();
        for (key, value) in config {
            layered.set(&join("/config", key), value.clone(), Origin::Runtime);
        }
        Self { layered, ..Self::default() }
    }

    /// What it says to host and plugin, secrets among it.
    pub fn config(&self) -> Map<String, Value> {
        self.layered.object("/config").cloned().unwrap_or_default()
    }

    /// Where a key of its `config` is written.
    pub fn origin(&self, key: &str) -> Origin {
        self.layered.origin(&join("/config", key))
    }

    /// Every value in force, with the plugin's defaults if it is known, and where each comes from.
    pub fn effective(&self, name: &str, plugin: Option<(&str, &Map<String, Value>)>) -> Vec<EffectiveValue> {
        let mut layered = Layered::new();
        layered.lay(defaults_of(&ENTRY, ""));
        layered.set("/priority", Value::from(50), Origin::HostDefault);
        if let Some((plugin, defaults)) = plugin {
            let mut defaults = defaults.clone();
            prices::give_way(&mut defaults, &self.config());
            let origin = Origin::PluginDefault { plugin: plugin.to_owned() };
            if let Some(priority) = defaults.remove("priority") {
                layered.set("/priority", priority, origin.clone());
            }
            for (key, value) in defaults {
                layered.set(&join("/config", &key), value, origin.clone());
            }
        }
        layered.lay_entry(&self.layered.without_nulls(), "");
        let mut rows = layered.effective("", &Shape::Section(&ENTRY));
        let prefix = join("/plugins", name);
        for row in &mut rows {
            row.pointer.insert_str(0, &prefix);
            if let Origin::File { pointer, .. } = &mut row.origin {
                pointer.insert_str(0, &prefix);
            }
        }
        rows
    }
}

/// Whether an entry becomes a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Enabled {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It does if its key is there.
    Auto,
}

impl TryFrom<Value> for Enabled {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::Bool(true) => Ok(Self::Yes),
            Value::Bool(false) => Ok(Self::No),
            Value::String(word) if word == "auto" => Ok(Self::Auto),
            _ => Err("\"enabled\" is true, false or \"auto\""),
        }
    }
}

/// Where a plugin's code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// In the host, on a thread of its own.
    InProcess,
}

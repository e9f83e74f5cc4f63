//! What a route changes, as it is at one moment: two of these make an entry of the audit trail. Secrets are masked as
//! everywhere else.

use serde_json::{Map, Value, json};

use super::error::timestamp;
use super::keys;
use super::log;
use super::state::AppState;
use crate::gateway::find_provider;

/// What a route changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Nothing: it asks, and leaves no entry.
    Nothing,
    /// One provider's configuration.
    Provider,
    /// The models that one provider's vendor lists.
    Models,
    /// Which plugins are loaded, and which providers are made from them.
    Set,
    /// One virtual key.
    Key,
    /// How much is logged.
    Log,
}

impl Subject {
    /// How it is now; null where it is not there.
    pub(super) fn picture(self, state: &AppState, target: Option<&str>) -> Value {
        match (self, target) {
            (Self::Provider, Some(name)) => provider(state, name),
            (Self::Models, Some(name)) => models(state, name),
            (Self::Set, _) => set(state),
            (Self::Key, Some(id)) => key(state, id),
            (Self::Log, _) => log::picture(state),
            (Self::Nothing | Self::Provider | Self::Models | Self::Key, _) => Value::Null,
        }
    }
}

fn provider(state: &AppState, name: &str) -> Value {
    let Some(view) = state.manager.provider(name) else { return Value::Null };
    let values: Map<String, Value> = view.values.into_iter().map(|value| (value.key, value.value)).collect();
    json!({ "plugin": view.plugin, "enabled": view.enabled, "version": view.version, "values": values })
}

fn models(state: &AppState, name: &str) -> Value {
    let snapshot = state.registry.snapshot();
    let Some(list) = find_provider(&snapshot, name).ok().and_then(|provider| provider.catalogue.list())
    else {
        return Value::Null;
    };
    json!({ "models": list.models().len(), "last_sync": timestamp(list.cached_at()) })
}

fn set(state: &AppState) -> Value {
    let mut plugins = Map::new();
    for plugin in state.manager.list().plugins {
        // One whose manifest cannot be read has no other name.
        let file = || plugin.file.file_name().unwrap_or_default().display().to_string();
        let name = plugin.id.clone().unwrap_or_else(file);
        // Of several with one id, what is used counts.
        if plugin.generation.is_some() || !plugins.contains_key(&name) {
            let picture = json!({
                "state": plugin.state, "version": plugin.version, "generation": plugin.generation,
            });
            plugins.insert(name, picture);
        }
    }
    let snapshot = state.registry.snapshot();
    let providers = snapshot.by_priority().iter().map(|provider| {
        let (plugin, generation) = (&provider.plugin.id, provider.plugin.generation);
        (provider.name().to_owned(), json!({ "plugin": plugin, "generation": generation }))
    });
    json!({ "plugins": plugins, "providers": providers.collect::<Map<_, _>>() })
}

fn key(state: &AppState, id: &str) -> Value {
    let keys = state.keys.list();
    keys.iter().find(|key| key.id == id).map_or(Value::Null, |key| keys::shown(key))
}

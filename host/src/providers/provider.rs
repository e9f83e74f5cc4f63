//! One provider: a plugin's instance with the settings it was made from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use patchbay_plugin_api::{Plan, ProviderError};

use super::condition::{Condition, LastCondition};
use crate::config::ProviderSettings;
use crate::plugins::{Features, Instance, Lease};

/// Which code a provider runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRef {
    /// The plugin's id.
    pub id: String,
    /// Its version.
    pub version: semver::Version,
    /// Which load of it.
    pub generation: u64,
}

/// A provider that can be called. Held by every request it serves, until the last byte.
#[derive(Debug)]
pub struct Provider {
    /// What it was made from.
    pub settings: Arc<ProviderSettings>,
    /// What made it.
    pub plugin: PluginRef,
    /// What the router may ask of it.
    pub features: Features,
    /// How to serve requests without calling the plugin, where that is possible.
    pub plan: Option<Plan>,
    /// What happened so far.
    pub counters: Arc<Counters>,
    /// The plugin's side. Last: the library must outlive whatever came from it.
    pub instance: Instance,
}

impl Provider {
    /// How requests name it.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// What is known of its health. Nothing that its requests said counts while its plugin takes none.
    pub fn condition(&self) -> Condition {
        if self.instance.quarantined().is_some() { Condition::Unavailable } else { self.counters.condition() }
    }

    /// Counts a request as begun until the guard is dropped.
    pub(super) fn begin(&self) -> InFlight {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        self.counters.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { counters: Arc::clone(&self.counters), _lease: self.instance.lease() }
    }
}

/// Counts that outlive a provider's generation.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests begun.
    pub requests: AtomicU64,
    /// Requests that failed.
    pub errors: AtomicU64,
    /// Requests under way.
    pub in_flight: AtomicU64,
    condition: LastCondition,
}

impl Counters {
    /// Takes note of an outcome: counts failures, and draws the conclusion for the provider's health.
    pub fn record(&self, outcome: Result<(), &ProviderError>) {
        if outcome.is_err() {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(condition) = Condition::after(outcome) {
            self.condition.set(condition);
        }
    }

    /// What the requests so far say of the provider's health.
    fn condition(&self) -> Condition {
        self.condition.get()
    }
}

/// A request under way: counted for the provider, and for the generation it runs on.
#[derive(Debug)]
pub struct InFlight {
    counters: Arc<Counters>,
    _lease: Lease,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

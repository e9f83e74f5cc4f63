//! The snapshot that requests read: built whole, published with one pointer swap, never edited.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Provider;

/// All providers at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Counts the publications.
    pub number: u64,
    by_name: HashMap<String, Arc<Provider>>,
    by_priority: Vec<Arc<Provider>>,
    disabled: Vec<String>,
}

impl Snapshot {
    /// Builds the snapshot that will be published as `number`.
    pub fn new(number: u64, mut providers: Vec<Arc<Provider>>) -> Self {
        providers.sort_by(|a, b| {
            (a.settings.priority, &a.settings.name).cmp(&(b.settings.priority, &b.settings.name))
        });
        let by_name =
            providers.iter().map(|provider| (provider.name().to_owned(), Arc::clone(provider))).collect();
        Self { number, by_name, by_priority: providers, disabled: Vec::new() }
    }

    /// Adds the names of the entries that are switched off, or wait for a key.
    #[must_use]
    pub fn with_disabled(mut self, names: Vec<String>) -> Self {
        self.disabled = names;
        self
    }

    /// The entries that are switched off, or wait for a key.
    pub fn disabled(&self) -> &[String] {
        &self.disabled
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Provider>> {
        self.by_name.get(name)
    }

    /// All of them: lower priority first, then by name.
    pub fn by_priority(&self) -> &[Arc<Provider>] {
        &self.by_priority
    }
}

/// Where requests find the current snapshot. Reading never waits.
#[derive(Debug, Default)]
pub struct Registry(ArcSwap<Snapshot>);

impl Registry {
    /// The set of now; whoever keeps it keeps its providers alive.
    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.0.load()
    }

    /// Puts a new set in place and gives the old one back.
    pub fn publish(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        self.0.swap(Arc::new(snapshot))
    }
}

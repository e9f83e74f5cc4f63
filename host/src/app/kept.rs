//! What the host keeps in its data directory: keys, usage, and who changed what.

use std::path::Path;
use std::sync::Arc;

use super::StartError;
use crate::access::KeyBook;
use crate::audit::Trail;
use crate::config::UsageSettings;
use crate::events::Bus;
use crate::store::SqliteStore;
use crate::usage::UsageBook;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) store: SqliteStore,
    pub(super) keys: Arc<KeyBook>,
    pub(super) usage: UsageBook,
    pub(super) trail: Trail,
    /// Whoever listens hears of changes, too.
    pub(super) events: Bus,
}

impl Kept {
    pub(super) async fn open(data_dir: &Path, settings: &UsageSettings) -> Result<Self, StartError> {
        let store = SqliteStore::open(&data_dir.join("store.sqlite")).await?;
        let keys = Arc::new(KeyBook::open(Arc::new(store.clone()), data_dir).await?);
        let usage = UsageBook::open(Arc::new(store.clone()), data_dir, settings)?;
        usage.catch_up().await;
        let events = Bus::default();
        let trail = Trail::start(Arc::new(store.clone()), events.clone());
        Ok(Self { store, keys, usage, trail, events })
    }

    /// Returns when everything is where it stays.
    pub(super) async fn close(&self) {
        self.trail.finish().await;
        self.usage.close().await;
        self.store.close().await;
    }
}

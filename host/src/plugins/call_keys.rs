//! Which key each call of a plugin is made with: the host chooses it, and the plugin never sees it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;

/// The keys of the calls under way of one instance.
#[derive(Debug, Default)]
pub(super) struct CallKeys(Mutex<HashMap<u64, SecretString>>);

/// For as long as it is held, requests of the call are made with its key.
#[derive(Debug)]
pub(super) struct Assigned {
    calls: Arc<CallKeys>,
    call: u64,
}

impl CallKeys {
    pub(super) fn assign(self: &Arc<Self>, call: u64, key: Option<&SecretString>) -> Option<Assigned> {
        self.lock().insert(call, key?.clone());
        Some(Assigned { calls: Arc::clone(self), call })
    }

    pub(super) fn of_call(&self, call: u64) -> Option<SecretString> {
        self.lock().get(&call).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, SecretString>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.call);
    }
}

//! What each call of a plugin is made with: the host chooses the key, and the plugin never sees it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;

use super::instance::OnBehalf;
use crate::accounts::TraceHeaders;
use crate::services::http::Hops;

/// What the calls under way of one instance are made with.
#[derive(Debug, Default)]
pub(super) struct CallKeys(Mutex<HashMap<u64, OfCall>>);

/// What one call is made with.
#[derive(Clone, Debug, Default)]
pub(super) struct OfCall {
    pub(super) key: Option<SecretString>,
    pub(super) trace: Option<TraceHeaders>,
    pub(super) hops: Hops,
}

/// For as long as it is held, requests of the call are made with what belongs to it.
#[derive(Debug)]
pub(super) struct Assigned {
    calls: Arc<CallKeys>,
    call: u64,
}

impl CallKeys {
    pub(super) fn assign(self: &Arc<Self>, call: u64, behalf: OnBehalf<'_>) -> Option<Assigned> {
        let (key, trace, hops) = (behalf.key.cloned(), behalf.trace.cloned(), behalf.hops);
        if key.is_none() && trace.is_none() && hops == Hops::default() {
            return None;
        }
        self.lock().insert(call, OfCall { key, trace, hops });
        Some(Assigned { calls: Arc::clone(self), call })
    }

    pub(super) fn of_call(&self, call: u64) -> Option<OfCall> {
        self.lock().get(&call).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, OfCall>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.call);
    }
}

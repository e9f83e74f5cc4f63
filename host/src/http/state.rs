//! What handlers share.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::access::Access;
use super::guesses::Guesses;
use super::metrics::Counts;
use crate::access::KeyBook;
use crate::audit::Trail;
use crate::config::{Network, ServerSettings};
use crate::gateway::Gateway;
use crate::plugins::Manager;
use crate::providers::Registry;
use crate::services::http::HttpClient;
use crate::telemetry::log::{self, LogControl};
use crate::usage::UsageBook;

/// Everything a handler may use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Shared>);

/// What [`AppState`] points to.
#[derive(Debug)]
pub struct Shared {
    pub(super) gateway: Gateway,
    pub(super) registry: Arc<Registry>,
    pub(super) manager: Manager,
    pub(super) keys: Arc<KeyBook>,
    pub(super) usage: UsageBook,
    pub(super) cors_origins: Vec<String>,
    pub(super) trusted_proxies: Vec<Network>,
    pub(super) access: Access,
    pub(super) guesses: Guesses,
    pub(super) max_body_bytes: usize,
    pub(super) keep_alive: Duration,
    pub(super) readiness: Readiness,
    pub(super) counts: Counts,
    pub(super) log: LogControl,
    pub(super) trail: Trail,
    pub(super) started: Instant,
}

/// What the handlers are for: all of it is shared with others.
#[derive(Debug)]
pub struct Parts {
    /// The providers of now.
    pub registry: Arc<Registry>,
    /// The way to upstreams.
    pub http: HttpClient,
    /// The loader.
    pub manager: Manager,
    /// The virtual keys.
    pub keys: Arc<KeyBook>,
    /// What requests took.
    pub usage: UsageBook,
    /// Whether the host can serve.
    pub readiness: Readiness,
    /// What is counted of it all.
    pub counts: Counts,
    /// Who changed what.
    pub trail: Trail,
}

impl AppState {
    /// Puts together what the handlers need.
    pub fn new(settings: &ServerSettings, parts: Parts) -> Self {
        let Parts { registry, http, manager, keys, usage, readiness, counts, trail } = parts;
        Self(Arc::new(Shared {
            gateway: Gateway::new(Arc::clone(&registry), http),
            registry,
            manager,
            usage,
            cors_origins: settings.cors_origins.clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
            access: Access::new(settings, Arc::clone(&keys)),
            guesses: Guesses::default(),
            keys,
            max_body_bytes: settings.max_body_bytes,
            keep_alive: settings.keep_alive,
            readiness,
            counts,
            log: log::control(),
            trail,
            started: Instant::now(),
        }))
    }
}

impl std::ops::Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Whether the host can serve, and be changed; set by whoever starts and stops it. Clones share one value.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<State>);

#[derive(Debug)]
struct State {
    word: AtomicU8,
    /// One leave for each change; all of them for whoever sees to it that nothing is changed.
    leaves: Arc<Semaphore>,
    /// When that will end, as far as anybody can tell.
    thaw: Mutex<Instant>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            word: AtomicU8::default(),
            leaves: Arc::new(Semaphore::new(LEAVES as usize)),
            thaw: Mutex::new(Instant::now()),
        }
    }
}

/// More changes than anybody makes at one time.
const LEAVES: u32 = 1 << 16;

/// Nobody is sent away for longer than this: how long an upgrade takes is a guess.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// While it is there nothing is changed.
#[derive(Debug)]
pub struct Frozen {
    /// There are always some: nobody closes where they come from.
    _leaves: Option<OwnedSemaphorePermit>,
}

/// Leave to change something, for as long as it is there.
#[derive(Debug)]
pub(crate) struct Leave {
    _leave: OwnedSemaphorePermit,
}

const READY: u8 = 1;
const DRAINING: u8 = 2;

impl Readiness {
    /// From now on it serves.
    pub fn ready(&self) {
        self.0.word.store(READY, Ordering::Release);
    }

    /// From now on it only ends what it began.
    pub fn draining(&self) {
        self.0.word.store(DRAINING, Ordering::Release);
    }

    /// From now on no change is begun; returns when those that are under way are done. Then none is until that is
    /// dropped: another host has to see what is kept as it will stay. That will be in about as long as that.
    pub async fn freeze(&self, about: Duration) -> Frozen {
        *self.thaw() = Instant::now() + about;
        let leaves = Arc::clone(&self.0.leaves).acquire_many_owned(LEAVES).await;
        Frozen { _leaves: leaves.ok() }
    }

    /// While nothing may be changed, how long whoever wants to should wait.
    pub(crate) fn change(&self) -> Result<Leave, Duration> {
        match Arc::clone(&self.0.leaves).try_acquire_owned() {
            Ok(leave) => Ok(Leave { _leave: leave }),
            Err(_) => Err(wait(*self.thaw(), Instant::now())),
        }
    }

    fn thaw(&self) -> MutexGuard<'_, Instant> {
        self.0.thaw.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.0.word.load(Ordering::Acquire) == READY
    }

    pub(super) fn word(&self) -> &'static str {
        match self.0.word.load(Ordering::Acquire) {
            READY => "ready",
            DRAINING => "draining",
            _ => "starting",
        }
    }
}

/// Until then; and once that is over, as long again as it has been over: then nobody knows.
fn wait(thaw: Instant, now: Instant) -> Duration {
    let left = thaw.saturating_duration_since(now).max(now.saturating_duration_since(thaw));
    left.clamp(Duration::from_secs(1), LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_what_is_left_or_what_it_is_late() {
        let began = Instant::now();
        for (about, passed, expected) in
            [(15, 0, 15), (15, 12, 3), (15, 15, 1), (15, 20, 5), (15, 600, 60), (600, 0, 60), (0, 0, 1)]
        {
            let [about, passed, expected] = [about, passed, expected].map(Duration::from_secs);
            assert_eq!(wait(began + about, began + passed), expected, "{about:?} {passed:?}");
        }
    }
}

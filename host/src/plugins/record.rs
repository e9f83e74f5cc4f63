//! What is known of one generation, before, while and after it exists: `/api/plugins` shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::job::Job;
use super::pulse::Pulse;

/// Where a generation is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Loaded, perhaps not yet published.
    Active,
    /// Replaced; finishes what it had begun.
    Draining {
        /// When it was replaced.
        since: SystemTime,
    },
    /// Nothing uses it any more; it is being closed, and this is the step it is at.
    Closing {
        /// When the last use ended.
        since: SystemTime,
        /// What is being waited for.
        step: &'static str,
    },
    /// Unmapped, and seen to be.
    Unloaded,
    /// Stays mapped, for this reason.
    Resident {
        /// Why it could not or must not be unmapped.
        reason: String,
    },
}

/// One load of one plugin.
#[derive(Debug)]
pub(super) struct Record {
    /// Counts the loads of this plugin, from 1.
    pub generation: u64,
    /// The plugin's version.
    pub version: String,
    /// The content's hash, in hex.
    pub sha256: String,
    /// When it was loaded.
    pub loaded_at: SystemTime,
    in_flight: AtomicUsize,
    jobs: mpsc::WeakSender<Job>,
    life: watch::Sender<Life>,
    /// Cancelled when its requests have had their time to finish after it was replaced.
    overdue: CancellationToken,
    pub(super) pulse: Arc<Pulse>,
}

impl Record {
    pub(super) fn new(
        generation: u64,
        version: String,
        sha256: String,
        pulse: Arc<Pulse>,
        jobs: mpsc::WeakSender<Job>,
    ) -> Self {
        Self {
            generation,
            version,
            sha256,
            loaded_at: SystemTime::now(),
            in_flight: AtomicUsize::new(0),
            jobs,
            life: watch::Sender::new(Life::Active),
            overdue: CancellationToken::new(),
            pulse,
        }
    }

    /// Requests that run on it.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Calls that wait for its thread.
    pub(super) fn queued(&self) -> usize {
        self.jobs.upgrade().map_or(0, |jobs| jobs.max_capacity() - jobs.capacity())
    }

    /// Where it is in its life.
    pub(super) fn life(&self) -> Life {
        self.life.borrow().clone()
    }

    pub(super) fn set_life(&self, life: Life) {
        self.life.send_replace(life);
    }

    /// Marks it as replaced; does nothing once it is further. What still runs on it after `grace` is cut.
    pub(super) fn replaced(&self, grace: Option<Duration>) {
        let replaced = self.life.send_if_modified(|life| {
            let active = *life == Life::Active;
            if active {
                *life = Life::Draining { since: SystemTime::now() };
            }
            active
        });
        if let (true, Some(grace)) = (replaced, grace) {
            let overdue = self.overdue.clone();
            tokio::spawn(async move {
                tokio::time::sleep(grace).await;
                overdue.cancel();
            });
        }
    }

    /// Waits until nothing of it is left, or as much as ever will be; answers with how it ended.
    pub(super) async fn ended(&self) -> Life {
        let mut life = self.life.subscribe();
        let ended = life.wait_for(|life| matches!(life, Life::Unloaded | Life::Resident { .. })).await;
        // The sender is `self`, so waiting cannot fail.
        ended.map_or(Life::Unloaded, |life| life.clone())
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Lease {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Lease(Arc::clone(self))
    }
}

/// Done when a request has had all the time that a replaced generation is given.
pub type Overdue = WaitForCancellationFutureOwned;

/// A request that runs on a generation.
#[derive(Debug)]
pub struct Lease(Arc<Record>);

impl Lease {
    /// Done when the request has had all the time that a replaced generation is given.
    pub fn overdue(&self) -> Overdue {
        self.0.overdue.clone().cancelled_owned()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

//! How a generation's thread is doing, seen from outside: whether it is stuck in plugin code, and how often that
//! code panicked.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::cpu::CpuTime;
use super::problem::Problem;

/// Told of each panic that the SDK contained, with the fields of its log line.
pub(super) type OnPanic = Arc<dyn Fn(&Pulse, &str) + Send + Sync>;

/// Shared by a generation, its thread, the watchdog and the services it calls.
#[derive(Debug)]
pub(super) struct Pulse {
    /// Odd while the thread is inside plugin code. A watchdog that sees the same odd number for long knows that
    /// the thread is stuck, and no clock is read on the way in or out.
    entries: AtomicU64,
    panics: Mutex<VecDeque<Instant>>,
    panics_total: AtomicU64,
    /// What the thread has spent.
    pub(super) cpu: CpuTime,
    /// Objects that hold the plugin's code alive in the host: instances, and operations with their wakers.
    pub(super) live_instances: AtomicUsize,
    pub(super) live_operations: AtomicUsize,
    /// Set once: new calls are refused with this.
    quarantine: OnceLock<Problem>,
    /// Cancelled when the thread is stuck: calls under way fail over instead of waiting for it.
    stalled: CancellationToken,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            entries: AtomicU64::new(0),
            panics: Mutex::default(),
            panics_total: AtomicU64::new(0),
            cpu: CpuTime::default(),
            live_instances: AtomicUsize::new(0),
            live_operations: AtomicUsize::new(0),
            quarantine: OnceLock::new(),
            stalled: CancellationToken::new(),
        }
    }
}

impl Pulse {
    /// Marks the thread as inside plugin code until the guard is dropped. Only the generation's own thread calls
    /// it; inside another guard it does nothing.
    pub(super) fn enter(&self) -> Inside<'_> {
        let entries = self.entries.load(Ordering::Relaxed);
        let outermost = entries.is_multiple_of(2);
        if outermost {
            self.entries.store(entries + 1, Ordering::Relaxed);
        }
        Inside { pulse: outermost.then_some(self) }
    }

    /// The number to compare with a later look; `None` when the thread is not inside plugin code.
    pub(super) fn inside(&self) -> Option<u64> {
        let entries = self.entries.load(Ordering::Relaxed);
        (!entries.is_multiple_of(2)).then_some(entries)
    }

    /// Counts a panic; true when there were `limit` of them within `window`.
    pub(super) fn note_panic(&self, limit: usize, window: Duration) -> bool {
        self.panics_total.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut panics = self.panics.lock().unwrap_or_else(PoisonError::into_inner);
        panics.push_back(now);
        while panics.front().is_some_and(|first| now.duration_since(*first) > window) || panics.len() > limit
        {
            panics.pop_front();
        }
        panics.len() >= limit
    }

    /// How many panics there were at all.
    pub(super) fn panics(&self) -> u64 {
        self.panics_total.load(Ordering::Relaxed)
    }

    /// Refuses calls from now on. Only the first reason counts; true when this was it.
    pub(super) fn quarantine(&self, reason: Problem) -> bool {
        self.quarantine.set(reason).is_ok()
    }

    /// Why calls are refused, if they are.
    pub(super) fn quarantined(&self) -> Option<&Problem> {
        self.quarantine.get()
    }

    /// Lets every call under way fail: the thread will not answer.
    pub(super) fn give_up(&self) {
        self.stalled.cancel();
    }

    /// Done when the thread was given up.
    pub(super) async fn given_up(&self) {
        self.stalled.cancelled().await;
    }

    /// How many instances and operations of the plugin's are alive in the host.
    pub(super) fn alive(&self) -> (usize, usize) {
        (self.live_instances.load(Ordering::Relaxed), self.live_operations.load(Ordering::Relaxed))
    }
}

/// See [`Pulse::enter`].
pub(super) struct Inside<'a> {
    pulse: Option<&'a Pulse>,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if let Some(pulse) = self.pulse {
            pulse.entries.store(pulse.entries.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_inside_is_seen_and_nests() {
        let pulse = Pulse::default();
        assert_eq!(pulse.inside(), None);
        let outer = pulse.enter();
        let first = pulse.inside();
        drop(pulse.enter());
        assert_eq!(pulse.inside(), first, "an inner entry changes nothing");
        drop(outer);
        assert_eq!(pulse.inside(), None);
        let _again = pulse.enter();
        assert_ne!(pulse.inside(), first, "each entry has its own number");
    }

    #[test]
    fn panics_count_within_the_window_only() {
        let pulse = Pulse::default();
        assert!(!pulse.note_panic(3, Duration::from_secs(60)));
        assert!(!pulse.note_panic(3, Duration::from_secs(60)));
        assert!(pulse.note_panic(3, Duration::from_secs(60)));
        let late = Pulse::default();
        for _ in 0..10 {
            // Each is out of the window by the time the next one comes.
            assert!(!late.note_panic(2, Duration::ZERO));
            std::thread::yield_now();
        }
        assert_eq!(late.panics(), 10);
    }
}

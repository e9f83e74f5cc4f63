//! The watching thread: look when something hinted at a change, when one is about to settle, and now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tracing::debug;

use super::hints::Hints;
use super::scope::{Scope, Sight};
use super::settle::Settling;
use super::{Outbox, WatchOptions, fingerprint};

pub(super) struct Rounds {
    scope: Arc<Scope>,
    hints: Hints,
    settling: Settling,
    rescan_every: Duration,
    /// A library that is being linked sends an event per write; looking at each would only cost time.
    pause: Duration,
    last_look: Instant,
}

impl Rounds {
    /// Takes the state that later changes are measured against.
    pub(super) fn begin(scope: Arc<Scope>, mut hints: Hints, options: &WatchOptions) -> Rounds {
        let last_look = Instant::now();
        let sight = look(&scope, &mut hints);
        let settling = Settling::begin(options.settle, last_look, sight, fingerprint::read);
        let pause = options.settle / 4;
        Rounds { scope, hints, settling, rescan_every: options.rescan_every, pause, last_look }
    }

    pub(super) fn walk(&mut self, woken: &Receiver<()>, stop: &AtomicBool, outbox: &Outbox) {
        let mut next_look = self.next_look();
        loop {
            let wait = next_look.saturating_duration_since(Instant::now());
            let hinted = match woken.recv_timeout(wait) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if stop.load(Ordering::Acquire) {
                return;
            }
            if hinted {
                next_look = next_look.min(self.last_look + self.pause);
                if Instant::now() < next_look {
                    continue;
                }
            }
            self.look(outbox);
            next_look = self.next_look();
        }
    }

    fn look(&mut self, outbox: &Outbox) {
        // Taken before looking: a file is never thought to have looked the same for longer than it did.
        self.last_look = Instant::now();
        let sight = look(&self.scope, &mut self.hints);
        self.settling.compare(self.last_look, &sight);
        let changed = self.settling.settled(self.last_look, fingerprint::read);
        if !changed.is_empty() {
            debug!(files = ?changed, "files changed and settled");
            outbox.put(changed);
        }
    }

    fn next_look(&self) -> Instant {
        let rescan = self.last_look + self.rescan_every;
        self.settling.next_due().map_or(rescan, |due| rescan.min(due.max(self.last_look + self.pause)))
    }
}

/// A directory that turned up is armed and looked at again: what happened in it before it was armed sent no
/// event.
fn look(scope: &Scope, hints: &mut Hints) -> Sight {
    let sight = scope.look();
    if hints.arm(&sight.directories) { scope.look() } else { sight }
}

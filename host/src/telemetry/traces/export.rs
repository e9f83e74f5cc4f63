//! The way to the receiver: in batches, away from whoever serves, and without end if it is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::span::Span;
use super::spans;
use super::target::{NotTaken, Target};
use crate::accounts::Record;

/// So many requests go together.
const BATCH: usize = 256;

/// Or what came within this time.
const GATHER: Duration = Duration::from_secs(1);

/// What is not taken is sent again after the first of these, doubled each time, and then let go.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const TRIES: u32 = 4;

/// See the module.
pub(super) struct Exporter {
    target: Target,
    waiting: mpsc::Receiver<Record>,
    end: CancellationToken,
    /// Requests that there was no room for, or that were let go.
    lost: Arc<AtomicU64>,
    /// Whether somebody was told that nothing arrives.
    told: bool,
}

impl Exporter {
    pub(super) fn new(
        target: Target,
        waiting: mpsc::Receiver<Record>,
        end: CancellationToken,
        lost: Arc<AtomicU64>,
    ) -> Self {
        Self { target, waiting, end, lost, told: false }
    }

    /// Sends what comes, until nothing more can.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.gather(&mut batch).await {
            let mut made: Vec<Span> = Vec::new();
            for record in batch.drain(..) {
                spans::add(&record, &mut made);
            }
            self.send(&made).await;
        }
    }

    /// Waits for a batch. False when there will be none.
    async fn gather(&mut self, batch: &mut Vec<Record>) -> bool {
        let first = tokio::select! {
            first = self.waiting.recv_many(batch, BATCH) => first,
            () = self.end.cancelled(), if !self.waiting.is_closed() => {
                // What waits is still sent; nothing is added.
                self.waiting.close();
                self.waiting.recv_many(batch, BATCH).await
            }
        };
        if first == 0 {
            return false;
        }
        let until = Instant::now() + GATHER;
        while batch.len() < BATCH && !self.end.is_cancelled() {
            let more = self.waiting.recv_many(batch, BATCH - batch.len());
            tokio::select! {
                more = timeout_at(until, more) => if !more.is_ok_and(|more| more > 0) { break },
                () = self.end.cancelled() => break,
            }
        }
        true
    }

    async fn send(&mut self, spans: &[Span]) {
        let mut pause = FIRST_PAUSE;
        for tried in 1..=TRIES {
            let NotTaken { why, again } = match self.target.send(spans).await {
                Ok(()) => return self.taken(),
                Err(not_taken) => not_taken,
            };
            self.not_taken(&why);
            if !again || tried == TRIES || self.end.is_cancelled() {
                break;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.end.cancelled() => {}
            }
            pause *= 2;
        }
        let roots = spans.iter().filter(|span| span.kind == super::span::Kind::Server).count();
        self.lost.fetch_add(roots as u64, Ordering::Relaxed);
    }

    fn taken(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if self.told || lost > 0 {
            info!(lost, "traces arrive again; those of some requests may have been lost");
        }
        self.told = false;
    }

    /// Told once, as nobody mends it sooner for hearing it every second.
    fn not_taken(&mut self, why: &str) {
        if std::mem::replace(&mut self.told, true) {
            debug!(why, "traces do not arrive");
        } else {
            warn!(
                why,
                "traces do not arrive: look at telemetry.traces, and whether the receiver runs; told once until they do"
            );
        }
    }
}

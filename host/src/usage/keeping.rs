//! From the queue into the store; where that takes too long, through the file.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use tracing::{error, info, warn};

use super::book::Shared;
use super::journal::Portion;
use super::queue::Queue;
use super::reckoning::Reckoning;
use super::record::millis;
use super::{Step, UsageRecord};
use crate::config::UsageSettings;
use crate::plugins::problem::chain;
use crate::store::{Store, StoreError, UsageHorizon};

/// So long a record is in memory alone, at most, while the disk does what it should: what a killed host loses.
const WINDOW: Duration = Duration::from_millis(200);

/// What the store is given in one transaction.
const PORTION: usize = 4000;

/// What it has not taken by then waits in the file: a killed host loses no more for a store that is slow.
const STORED_WITHIN: Duration = Duration::from_millis(250);

/// Between two tries of a store that fails: the first, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];

/// Between two looks for what is too old.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);

/// What was spent in a month is summed up from its days.
const A_MONTH: u32 = 32;

/// Between two small steps of that, for whoever else writes.
const BREATH: Duration = Duration::from_millis(20);

/// What is kept for so many days is there since this millisecond.
pub(super) fn kept_since(now: SystemTime, days: u32) -> i64 {
    millis(now - Duration::from_secs(86_400) * days)
}

/// What takes records out of the queue.
pub(super) struct Collector {
    pub(super) store: Arc<dyn Store>,
    pub(super) queue: Arc<Queue>,
    pub(super) shared: Arc<Shared>,
    /// Where so many could not be written, the others stay in the queue.
    pub(super) most: usize,
}

impl Collector {
    pub(super) async fn run(self) {
        let (mut records, mut dropped) = (Vec::new(), 0);
        while !self.shared.closing.is_cancelled() {
            // One that is left could not be written: nothing new has to come for the next try.
            if records.is_empty() {
                tokio::select! {
                    biased;
                    () = self.queue.arrived() => {}
                    () = self.shared.hurry.notified() => {}
                    () = self.shared.closing.cancelled() => {}
                }
            }
            tokio::select! {
                () = tokio::time::sleep(WINDOW) => {}
                () = self.shared.hurry.notified() => {}
                () = self.shared.closing.cancelled() => {}
            }
            if records.is_empty() {
                records = self.queue.take(records);
            } else if records.len() < self.most {
                records.append(&mut self.queue.take(Vec::new()));
            }
            let left = self.store(records).await;
            records = self.put(left).await;
            dropped = self.tell_of_dropped(dropped);
        }
        self.queue.close();
        records.append(&mut self.queue.take(Vec::new()));
        let left = self.store(records).await;
        let lost = self.put(left).await.len();
        if lost > 0 {
            error!(lost, "there was no room for the last records of usage");
        }
        self.shared.collected.cancel();
        self.shared.more.notify_one();
    }

    /// Gives records to the store, as long as it takes them at once and nothing else waits for it; gives back those
    /// that it may not have. If it has them after all, it knows them by their ids.
    async fn store(&self, mut records: Vec<UsageRecord>) -> Vec<UsageRecord> {
        while !records.is_empty() && self.shared.journal().waiting() == 0 && !self.shared.has_error() {
            let portion = &records[..records.len().min(PORTION)];
            let stored = tokio::time::timeout(STORED_WITHIN, self.store.write_usage(portion)).await;
            // Whoever tries again from the file says why.
            let Ok(Ok(())) = stored else { break };
            let count = portion.len();
            self.shared.counters.written.fetch_add(count as u64, Ordering::Relaxed);
            self.shared.settle(count as u64);
            records.drain(..count);
        }
        records
    }

    /// Puts records into the file; gives back those that it did not take.
    async fn put(&self, mut records: Vec<UsageRecord>) -> Vec<UsageRecord> {
        if records.is_empty() {
            return records;
        }
        let shared = Arc::clone(&self.shared);
        // A disk may take its time; the threads that serve requests do not wait for it.
        let put = tokio::task::spawn_blocking(move || {
            let taken = shared.journal().append(&records);
            records.drain(..*taken.as_ref().unwrap_or(&0));
            if let Err(error) = taken
                && shared.set_error(Some(error.to_string()))
            {
                error!(%error, "usage cannot be written into the data directory: look at its disk; it stays in memory");
            }
            records
        });
        let left = put.await.unwrap_or_default();
        self.shared.more.notify_one();
        left
    }

    /// Says it once, not for each record.
    fn tell_of_dropped(&self, before: u64) -> u64 {
        let dropped = self.shared.dropped();
        if dropped > 0 && before == 0 {
            let hint = "look at the data directory's disk, or raise usage.queue_records and usage.spill_mib";
            error!(dropped, hint, "there is no room for more usage: records are let go, requests are served");
        }
        dropped
    }
}

/// What puts records into the store, and takes out what is too old.
pub(super) struct Keeper {
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    kept: [u32; 3],
    upkeep_at: Instant,
    /// What an earlier host left is in the store.
    caught_up: bool,
}

impl Keeper {
    pub(super) fn new(store: Arc<dyn Store>, shared: Arc<Shared>, settings: &UsageSettings) -> Self {
        // A request is in a group, which there is while there are sums of it.
        let hours = settings.hours_days.max(settings.requests_days).max(A_MONTH);
        let kept = [settings.requests_days, settings.minutes_days, hours];
        Self { store, shared, kept, upkeep_at: Instant::now(), caught_up: false }
    }

    pub(super) async fn run(mut self) {
        let mut pause = PAUSES[0];
        // Read before anything of now is written. From a store that is away nothing is taken out for a while.
        let newest = tokio::time::timeout(STORED_WITHIN, self.store.recent_usage(None, 1)).await;
        let newest = newest.ok().and_then(Result::ok).and_then(|newest| Some(newest.first()?.at));
        let mut reckoning = Reckoning::from(newest, Instant::now());
        loop {
            self.keep_house(&mut reckoning).await;
            let portion = match self.next().await {
                Ok(portion) => portion,
                Err(error) => {
                    self.failed("the file with usage cannot be read", &error.to_string());
                    if self.shared.collected.is_cancelled() {
                        return;
                    }
                    pause = self.rest(pause).await;
                    continue;
                }
            };
            if portion.is_empty() {
                self.caught_up = true;
                if self.shared.collected.is_cancelled() {
                    return;
                }
                // Or for the time to keep house.
                let wait = self.upkeep_at.saturating_duration_since(Instant::now()).max(BREATH);
                let _ = tokio::time::timeout(wait, self.shared.more.notified()).await;
                continue;
            }
            match self.pass_on(portion).await {
                Ok(()) => pause = PAUSES[0],
                Err(error) => {
                    self.failed("the store does not take usage, which waits in a file", &chain(&error));
                    if self.shared.collected.is_cancelled() {
                        return;
                    }
                    pause = self.rest(pause).await;
                }
            }
        }
    }

    async fn next(&self) -> std::io::Result<Portion> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || {
            let mut journal = shared.journal();
            match journal.next(PORTION) {
                // What is not there any more does not come back.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    let lost = journal.start_anew()?;
                    drop(journal);
                    error!(lost, "somebody has cut the file with usage");
                    shared.counters.lost.fetch_add(lost, Ordering::Relaxed);
                    shared.settle(lost);
                    Ok(Portion::default())
                }
                read => read,
            }
        });
        read.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
    }

    async fn pass_on(&self, portion: Portion) -> Result<(), StoreError> {
        let _moving = self.shared.moving.lock().await;
        self.store.write_usage(&portion.records).await?;
        self.written(portion).await;
        Ok(())
    }

    async fn written(&self, portion: Portion) {
        let counters = &self.shared.counters;
        if portion.damaged() > 0 {
            warn!(lines = portion.damaged(), "lines of the file with usage were damaged and are left out");
            counters.lost.fetch_add(portion.damaged(), Ordering::Relaxed);
        }
        counters.written.fetch_add(portion.records.len() as u64, Ordering::Relaxed);
        let shared = Arc::clone(&self.shared);
        let (lines, mut advanced) = (portion.lines, Ok(()));
        let advance = tokio::task::spawn_blocking(move || shared.journal().advance(&portion));
        if let Ok(result) = advance.await {
            advanced = result;
        }
        // The lines are written again at the next start, and known by their ids.
        if let Err(error) = advanced {
            warn!(%error, "the file with usage cannot be emptied");
        }
        if self.shared.set_error(None) {
            info!("the store takes usage again");
        }
        self.shared.settle(lines);
    }

    /// Once, until it works again.
    fn failed(&self, what: &str, problem: &str) {
        if self.shared.set_error(Some(problem.to_owned())) {
            error!(problem, "{what}");
        }
    }

    /// Waits before the next try, unless it is the last; says how long the one after that is.
    async fn rest(&self, pause: Duration) -> Duration {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.shared.collected.cancelled() => {}
        }
        (pause * 2).min(PAUSES[1])
    }

    /// One small step at a time, between two portions, so that nothing waits for it.
    async fn keep_house(&mut self, reckoning: &mut Reckoning) {
        // What is in the file twice is known by what is in the store.
        if !self.caught_up || Instant::now() < self.upkeep_at {
            return;
        }
        // Somebody may have been killed while it drained.
        if self.shared.collect().await > 0 {
            self.caught_up = false;
            return;
        }
        let Some(now) = reckoning.time(SystemTime::now(), Instant::now()) else {
            self.upkeep_at = Instant::now() + UPKEEP_EVERY;
            return;
        };
        let [requests, minutes, hours] = self.kept.map(|days| kept_since(now, days));
        // What is finer ends where something coarser does.
        let (minutes, hours) = (Step::Hour.floor(minutes / 1000), Step::Day.floor(hours / 1000));
        let horizon = UsageHorizon { requests, minutes, hours };
        let is_done = match self.store.prune_usage(&horizon).await {
            Ok(is_done) => is_done,
            Err(error) => {
                warn!(problem = chain(&error), "old usage could not be taken out of the store");
                true
            }
        };
        if is_done {
            self.upkeep_at = Instant::now() + UPKEEP_EVERY;
        }
    }
}

//! Where a request leaves its record, without waiting for anything.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::journal::{Journal, JournalError};
use super::journals;
use super::keeping::{Collector, Keeper, kept_since};
use super::queue::Queue;
use super::{Place, Step, UsageAnswer, UsageQuery, UsageRecord};
use crate::accounts::{Bookkeeper, Record};
use crate::config::UsageSettings;
use crate::store::{Store, StoreError};

/// What an earlier host left is in the store before this one counts on that, unless it takes longer.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(2);

/// What is in the queue when the host ends has this long to get into the store. What does not is there at the next
/// start.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct UsageBook(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) store: Arc<dyn Store>,
    minutes_days: u32,
    queue: Arc<Queue>,
    pub(super) shared: Arc<Shared>,
    tasks: Mutex<Option<[AbortOnDropHandle<()>; 2]>>,
}

/// What the queue's two ends, and whoever asks, have in common.
#[derive(Debug)]
pub(super) struct Shared {
    /// With the files of other hosts.
    data_dir: PathBuf,
    pub(super) journal: Mutex<Journal>,
    pub(super) counters: Counters,
    /// Somebody waits for what is in the queue.
    pub(super) hurry: Notify,
    /// There is more in the file.
    pub(super) more: Notify,
    /// Nothing more comes.
    pub(super) closing: CancellationToken,
    /// Nothing more comes into the file.
    pub(super) collected: CancellationToken,
    /// Held while records go from the file into the store: whoever adds the two up would find them in both, or in
    /// neither.
    pub(super) moving: tokio::sync::Mutex<()>,
    /// Counts up whenever records have come to where they stay.
    pub(super) settled: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    noted: AtomicU64,
    dropped: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) last_error: Mutex<Option<String>>,
}

/// How it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records in memory.
    pub queued: u64,
    /// Records in the file that the store may not have yet.
    pub spilled: u64,
    /// Records that the store has been given since the start.
    pub written: u64,
    /// Records for which there was no room anywhere, or that were damaged in the file.
    pub dropped: u64,
    /// Why the store, or the file, did not take any, until it does again.
    pub last_error: Option<String>,
}

impl fmt::Debug for UsageBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UsageBook").field(&self.counts()).finish()
    }
}

impl UsageBook {
    /// Begins to keep records, with those that an earlier host left in the data directory.
    pub fn open(
        store: Arc<dyn Store>,
        data_dir: &Path,
        settings: &UsageSettings,
    ) -> Result<Self, JournalError> {
        let mut journal = journals::open(data_dir, settings.spill_mib << 20)?;
        collected(journals::collect(data_dir, &mut journal));
        let left = journal.waiting();
        let counters = Counters { noted: AtomicU64::new(left), ..Counters::default() };
        let shared = Arc::new(Shared {
            data_dir: data_dir.to_owned(),
            journal: Mutex::new(journal),
            counters,
            hurry: Notify::new(),
            more: Notify::new(),
            closing: CancellationToken::new(),
            collected: CancellationToken::new(),
            moving: tokio::sync::Mutex::default(),
            settled: watch::Sender::new(0),
        });
        let queue = Arc::new(Queue::new(settings.queue_records));
        let collector = Collector {
            store: Arc::clone(&store),
            queue: Arc::clone(&queue),
            shared: Arc::clone(&shared),
            most: settings.queue_records,
        };
        let keeper = Keeper::new(Arc::clone(&store), Arc::clone(&shared), settings);
        let tasks = [tokio::spawn(collector.run()), tokio::spawn(keeper.run())].map(AbortOnDropHandle::new);
        let (minutes_days, tasks) = (settings.minutes_days, Mutex::new(Some(tasks)));
        Ok(Self(Arc::new(Inner { store, minutes_days, queue, shared, tasks })))
    }

    /// Waits until the store has what an earlier host left, unless that takes long.
    pub async fn catch_up(&self) {
        let left = self.counts().spilled;
        if left == 0 {
            return;
        }
        match tokio::time::timeout(CATCH_UP_WITHIN, self.flush()).await {
            Ok(()) => tracing::info!(records = left, "usage that an earlier host left is in the store"),
            Err(_) => tracing::warn!(
                records = self.counts().spilled,
                "usage that an earlier host left is not in the store yet: budgets count it all the same"
            ),
        }
    }

    /// Takes what hosts have left that have ended since this one began.
    pub async fn collect(&self) {
        self.0.shared.collect().await;
    }

    /// Takes a record. Never waits: where there is no room it is counted and let go.
    pub fn put(&self, record: UsageRecord) {
        let counters = &self.0.shared.counters;
        let is_in = self.0.queue.put(record);
        let counter = if is_in { &counters.noted } else { &counters.dropped };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until the store has all that was put here before.
    pub async fn flush(&self) {
        let wanted = self.0.shared.counters.noted.load(Ordering::Relaxed);
        let mut settled = self.0.shared.settled.subscribe();
        self.0.shared.hurry.notify_one();
        // The sender lives as long as the book.
        let _ = settled.wait_for(|settled| *settled >= wanted).await;
    }

    /// Takes no more records, and waits for those that there are, but not for long: the next host finds them.
    pub async fn close(&self) {
        self.0.shared.closing.cancel();
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        for task in tasks.into_iter().flatten() {
            // What takes longer is ended: what is in the file by then stays there.
            let _ = tokio::time::timeout(CLOSE_WITHIN, task).await;
        }
        let Counts { queued, spilled, .. } = self.counts();
        if let Err(error) = self.0.shared.journal().release() {
            // It is free when this process has ended.
            tracing::debug!(%error, "the file with usage cannot be let go of");
        }
        if queued + spilled > 0 {
            tracing::warn!(
                queued,
                spilled,
                "the store did not take all of the usage; the next start tries again"
            );
        }
    }

    /// What was used.
    pub async fn sums(&self, query: &UsageQuery) -> Result<UsageAnswer, StoreError> {
        self.0.store.usage(query).await
    }

    /// Single requests, the last that arrived first, from before this one on.
    pub async fn recent(&self, before: Option<Place>, limit: usize) -> Result<Vec<UsageRecord>, StoreError> {
        self.0.store.recent_usage(before, limit).await
    }

    /// The second since which there are sums of single minutes.
    pub fn minutes_since(&self) -> i64 {
        Step::Hour.floor(kept_since(SystemTime::now(), self.0.minutes_days) / 1000)
    }

    /// How it goes.
    pub fn counts(&self) -> Counts {
        let counters = &self.0.shared.counters;
        let lock =
            |error: &Mutex<Option<String>>| error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (spilled, settled) = (self.0.shared.journal().waiting(), *self.0.shared.settled.borrow());
        Counts {
            queued: load(&counters.noted).saturating_sub(settled).saturating_sub(spilled),
            spilled,
            written: load(&counters.written),
            dropped: load(&counters.dropped) + load(&counters.lost),
            last_error: lock(&counters.last_error),
        }
    }
}

impl Bookkeeper for UsageBook {
    fn note(&self, record: &Record) {
        if let Some(record) = UsageRecord::of(record) {
            self.put(record);
        }
    }
}

impl Shared {
    pub(super) fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`UsageBook::collect`].
    pub(super) async fn collect(self: &Arc<Self>) -> u64 {
        let shared = Arc::clone(self);
        let collect = move || {
            let mut journal = shared.journal();
            let taken = collected(journals::collect(&shared.data_dir, &mut journal));
            // While nobody else can count what is in the file.
            shared.counters.noted.fetch_add(taken, Ordering::Relaxed);
            drop(journal);
            shared.more.notify_one();
            taken
        };
        tokio::task::spawn_blocking(collect).await.unwrap_or_default()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.counters.dropped.load(Ordering::Relaxed)
    }

    /// So many records are where they stay.
    pub(super) fn settle(&self, records: u64) {
        self.settled.send_modify(|settled| *settled += records);
    }

    /// Whether something goes wrong.
    pub(super) fn has_error(&self) -> bool {
        self.counters.last_error.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What goes wrong, or that nothing does; says whether that is new.
    pub(super) fn set_error(&self, error: Option<String>) -> bool {
        let mut last = self.counters.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = last.is_some() != error.is_some();
        *last = error;
        is_new
    }
}

/// How many records were, and that they were.
fn collected(taken: io::Result<u64>) -> u64 {
    match taken {
        Ok(0) => 0,
        Ok(records) => {
            tracing::info!(records, "usage that another host has left is taken over");
            records
        }
        Err(error) => {
            tracing::warn!(%error, "usage that another host has left cannot be read: look at the data directory's disk");
            0
        }
    }
}

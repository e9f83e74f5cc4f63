//! Entries on their way: into the log and to listeners at once, and into the store behind everybody's back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::entry::{Entry, Outcome};
use super::refusals::Refusals;
use crate::events::{Bus, News};
use crate::plugins::problem::chain;
use crate::store::Store;
use crate::telemetry::log::AUDIT;

/// So many entries may wait to be kept. More than that come only when the store has failed for long.
const WAITING: usize = 1024;

/// So many are kept with one write.
const AT_ONCE: usize = 64;

/// The store is tried again after this long.
const PAUSE: Duration = Duration::from_secs(1);

/// Whoever reads the trail waits so long for what is on its way there.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);

/// Changes that are under way when the host ends may take so long, and so may writing them down.
const END_WITHIN: Duration = Duration::from_secs(10);

/// An entry, and when it was made.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub at: SystemTime,
    /// What.
    pub entry: Entry,
}

/// See the module. Clones are one.
#[derive(Clone, Debug)]
pub struct Trail(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: mpsc::Sender<Box<Seen>>,
    /// How many have come into the queue.
    noted: AtomicU64,
    /// How many of them are kept: whoever reads waits for that, and takes no place in the queue.
    kept: watch::Receiver<u64>,
    events: Bus,
    refusals: Refusals,
    store: Arc<dyn Store>,
    under_way: TaskTracker,
    ending: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Trail {
    /// Keeps entries in this store from now on.
    pub fn start(store: Arc<dyn Store>, events: Bus) -> Self {
        let (queue, entries) = mpsc::channel(WAITING);
        let (keeping, kept) = watch::channel(0);
        let ending = CancellationToken::new();
        let writer = tokio::spawn(write(Arc::clone(&store), entries, keeping, ending.clone()));
        Self(Arc::new(Shared {
            queue,
            noted: AtomicU64::new(0),
            kept,
            events,
            refusals: Refusals::default(),
            store,
            under_way: TaskTracker::new(),
            ending,
            writer: Mutex::new(Some(writer)),
        }))
    }

    /// Does a change to its end, whoever wanted it and has left meanwhile: disk, memory and trail say the same.
    pub async fn see_through<T: Send + 'static>(
        &self,
        change: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        self.0.under_way.spawn(change).await
    }

    /// Notes what came of a change. Waits for nothing.
    pub fn note(&self, entry: Entry) {
        self.put(entry);
    }

    /// Notes that somebody was refused, unless too many were.
    pub fn note_refusal(&self, entry: Entry) {
        if let Some(not_noted) = self.0.refusals.admit(Instant::now()) {
            self.put(Entry { not_noted, ..entry });
        }
    }

    fn put(&self, entry: Entry) {
        log(&entry);
        self.0.events.tell(News::Audit(Box::new(entry.clone())));
        let seen = Box::new(Seen { at: SystemTime::now(), entry });
        if self.0.queue.try_send(seen).is_err() {
            error!(
                "an audit entry could not be kept: the store has failed for too long; the log has the entry"
            );
            return;
        }
        self.0.noted.fetch_add(1, Ordering::Relaxed);
    }

    /// The latest entries, newest first, and the number of each: those before a number, if there is one.
    pub async fn latest(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, Seen)>, crate::store::StoreError> {
        let noted = self.0.noted.load(Ordering::Relaxed);
        let mut kept = self.0.kept.clone();
        // If that takes too long, what is there is better than nothing.
        let _ = timeout(SETTLED_WITHIN, kept.wait_for(|kept| *kept >= noted)).await;
        self.0.store.audit(before, limit).await
    }

    /// Waits until everything that was begun is done and kept.
    pub async fn finish(&self) {
        self.0.under_way.close();
        if timeout(END_WITHIN, self.0.under_way.wait()).await.is_err() {
            warn!("changes that were under way are not in the audit trail");
        }
        self.0.ending.cancel();
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && timeout(END_WITHIN, writer).await.is_err()
        {
            error!("the last audit entries could not be kept: the store takes too long; the log has them");
        }
    }
}

/// One line, with its own target so that it can be sent elsewhere, and is not kept back with others.
fn log(entry: &Entry) {
    let Entry { who, address, request_id, route, target, outcome, status, code, change, not_noted } = entry;
    // In JSON a line has a target of its own.
    let (key, about, code) = (who.key_id(), target.as_deref(), code.as_deref());
    let (address, request_id) = (address.map(tracing::field::display), request_id.as_deref());
    let (who, before, after) = (who.word(), change.before.to_string(), change.after.to_string());
    match outcome {
        Outcome::Refused => warn!(
            target: AUDIT,
            who, key, address, request_id, route, about, status, code, not_noted, "admin request refused"
        ),
        _ => info!(
            target: AUDIT,
            who, key, address, request_id, route, about, status, code, before, after, "admin change {}",
            if *outcome == Outcome::Done { "done" } else { "failed" }
        ),
    }
}

async fn write(
    store: Arc<dyn Store>,
    mut queue: mpsc::Receiver<Box<Seen>>,
    kept: watch::Sender<u64>,
    ending: CancellationToken,
) {
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            count = queue.recv_many(&mut waiting, AT_ONCE) => if count == 0 { return },
            // What was begun before is there by now.
            () = ending.cancelled() => {
                queue.close();
                if queue.recv_many(&mut waiting, AT_ONCE).await == 0 {
                    return;
                }
            }
        }
        let entries: Vec<Seen> = waiting.drain(..).map(|seen| *seen).collect();
        keep(&*store, &entries, &ending).await;
        kept.send_modify(|kept| *kept += entries.len() as u64);
    }
}

/// Tries until it is done; once more when the host ends.
async fn keep(store: &dyn Store, entries: &[Seen], ending: &CancellationToken) {
    let mut told = false;
    while let Err(problem) = store.add_audit(entries).await {
        if !told {
            error!(problem = chain(&problem), "audit entries not kept; tried again until it succeeds");
            told = true;
        }
        if ending.is_cancelled() {
            error!(entries = entries.len(), "the host ends with audit entries that are only in the log");
            return;
        }
        let _ = timeout(PAUSE, ending.cancelled()).await;
    }
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
    use tokio::sync::oneshot;

    use super::*;
    use crate::store::SqliteStore;

    fn entry(number: u16) -> Entry {
        let json = serde_json::json!({"who": "local", "address": "127.0.0.1", "request_id": "r", "route": "POST /x",
            "target": null, "outcome": "done", "status": number, "code": null, "before": null, "after": null});
        serde_json::from_value(json).unwrap()
    }

    #[tokio::test]
    async fn a_store_that_fails_holds_up_nobody_and_has_it_all_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("store.sqlite");
        let store = SqliteStore::open(&file).await.unwrap();
        let trail = Trail::start(Arc::new(store.clone()), Bus::default());
        trail.note(entry(200));
        assert_eq!(
            trail.latest(None, 10).await.unwrap().len(),
            1,
            "what was noted is there for whoever asks"
        );

        let elsewhere = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&file)).await.unwrap();
        sqlx::raw_sql("ALTER TABLE audit RENAME TO aside").execute(&elsewhere).await.unwrap();
        for number in 201..300 {
            trail.note(entry(number));
        }
        assert!(trail.latest(None, 10).await.is_err(), "it fails");
        sqlx::raw_sql("ALTER TABLE aside RENAME TO audit").execute(&elsewhere).await.unwrap();
        elsewhere.close().await;
        trail.finish().await;

        let kept = store.audit(None, 500).await.unwrap();
        let statuses: Vec<u16> = kept.iter().rev().map(|(_, seen)| seen.entry.status).collect();
        assert_eq!(statuses, (200..300).collect::<Vec<u16>>());
    }

    #[tokio::test]
    async fn whoever_reads_takes_no_place_of_what_is_to_be_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("store.sqlite");
        let store = SqliteStore::open(&file).await.unwrap();
        let trail = Trail::start(Arc::new(store.clone()), Bus::default());
        let elsewhere = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&file)).await.unwrap();
        sqlx::raw_sql("ALTER TABLE audit RENAME TO aside").execute(&elsewhere).await.unwrap();
        trail.note(entry(200));
        // More readers than there are places, each of whom has begun to wait.
        let mut readers: Vec<_> = (0..=WAITING).map(|_| Box::pin(trail.latest(None, 1))).collect();
        for reader in &mut readers {
            assert!(futures_util::poll!(reader).is_pending());
        }
        trail.note(entry(201));
        sqlx::raw_sql("ALTER TABLE aside RENAME TO audit").execute(&elsewhere).await.unwrap();
        elsewhere.close().await;
        drop(readers);
        trail.finish().await;
        assert_eq!(store.audit(None, 10).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn the_end_waits_for_changes_that_are_under_way() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap();
        let trail = Trail::start(Arc::new(store.clone()), Bus::default());
        let (going_on, goes_on) = oneshot::channel::<()>();
        let noting = trail.clone();
        let mut change = Box::pin(trail.see_through(async move {
            goes_on.await.unwrap();
            noting.note(entry(204));
        }));
        assert!(futures_util::poll!(&mut change).is_pending());
        // Whoever wanted it has left.
        drop(change);
        let mut finishing = Box::pin(trail.finish());
        assert!(futures_util::poll!(&mut finishing).is_pending());
        going_on.send(()).unwrap();
        finishing.await;
        assert_eq!(store.audit(None, 10).await.unwrap().len(), 1);
    }
}

//! From the queue to the store, whatever becomes of that.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::testing::record;
use super::*;
use crate::access::VirtualKey;
use crate::audit::Seen;
use crate::config::UsageSettings;
use crate::store::{SqliteStore, Store, StoreError, UsageHorizon};
use crate::testing;

/// A real one that fails on command, before it has written or only afterwards.
#[derive(Debug)]
struct Moody {
    real: SqliteStore,
    refuses: AtomicBool,
    denies: AtomicBool,
    tries: AtomicUsize,
    /// Up to when single requests were to be taken out, in the end.
    pruned: Mutex<Option<i64>>,
}

fn failed() -> StoreError {
    StoreError::Failed(sqlx::Error::PoolTimedOut)
}

impl Store for Moody {
    fn keys(&self) -> BoxFuture<'_, Result<Vec<VirtualKey>, StoreError>> {
        self.real.keys()
    }

    fn had_keys(&self) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.real.had_keys()
    }

    fn key_names<'a>(
        &'a self,
        ids: &'a [&'a str],
    ) -> BoxFuture<'a, Result<HashMap<String, String>, StoreError>> {
        self.real.key_names(ids)
    }

    fn add_audit<'a>(&'a self, entries: &'a [Seen]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.real.add_audit(entries)
    }

    fn audit(&self, before: Option<i64>, limit: u32) -> BoxFuture<'_, Result<Vec<(i64, Seen)>, StoreError>> {
        self.real.audit(before, limit)
    }

    fn add_key<'a>(&'a self, key: &'a VirtualKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.real.add_key(key)
    }

    fn change_key<'a>(&'a self, key: &'a VirtualKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.real.change_key(key)
    }

    fn revoke_key<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        self.real.revoke_key(id)
    }

    fn write_usage<'a>(&'a self, records: &'a [UsageRecord]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            self.tries.fetch_add(1, Ordering::SeqCst);
            if self.refuses.load(Ordering::SeqCst) {
                return Err(failed());
            }
            self.real.write_usage(records).await?;
            if self.denies.swap(false, Ordering::SeqCst) { Err(failed()) } else { Ok(()) }
        })
    }

    fn prune_usage<'a>(&'a self, horizon: &'a UsageHorizon) -> BoxFuture<'a, Result<bool, StoreError>> {
        *self.pruned.lock().unwrap() = Some(horizon.requests);
        self.real.prune_usage(horizon)
    }

    fn usage<'a>(&'a self, query: &'a UsageQuery) -> BoxFuture<'a, Result<UsageAnswer, StoreError>> {
        self.real.usage(query)
    }

    fn recent_usage(
        &self,
        before: Option<Place>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<UsageRecord>, StoreError>> {
        self.real.recent_usage(before, limit)
    }

    fn spent(&self, since: SystemTime) -> BoxFuture<'_, Result<Vec<Spent>, StoreError>> {
        self.real.spent(since)
    }
}

async fn moody(dir: &Path) -> Arc<Moody> {
    let real = SqliteStore::open(&dir.join("store.sqlite")).await.unwrap();
    let (refuses, denies) = (AtomicBool::new(false), AtomicBool::new(false));
    Arc::new(Moody { real, refuses, denies, tries: AtomicUsize::new(0), pruned: Mutex::default() })
}

async fn open(store: &Arc<Moody>, dir: &Path, settings: &UsageSettings) -> UsageBook {
    let book = UsageBook::open(Arc::clone(store) as Arc<dyn Store>, dir, settings).unwrap();
    book.catch_up().await;
    book
}

/// So many that arrived just now: what is old does not stay.
fn some(count: i64) -> Vec<UsageRecord> {
    let now = millis(SystemTime::now());
    (0..count).map(|number| record(now + number)).collect()
}

fn put(book: &UsageBook, records: &[UsageRecord]) {
    records.iter().for_each(|record| book.put(record.clone()));
}

/// What the store has, the sums of which must say the same.
async fn kept(store: &dyn Store) -> Vec<UsageRecord> {
    let mut kept = store.recent_usage(None, 100_000).await.unwrap();
    kept.reverse();
    let everything = UsageQuery {
        span: Span { from: 0, to: Step::Day.ceil(millis(SystemTime::now()) / 1000 + 60) },
        by: Vec::new(),
        step: None,
        filter: Filter::default(),
        limit: 1,
    };
    assert_eq!(store.usage(&everything).await.unwrap().totals.requests, kept.len() as u64);
    kept
}

async fn eventually(what: &str, look: impl Fn() -> bool) {
    assert!(testing::eventually(look).await, "waited in vain for {what}");
}

#[tokio::test]
async fn what_is_put_in_is_in_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, records) = (moody(dir.path()).await, some(2500));
    let book = open(&store, dir.path(), &UsageSettings::default()).await;
    put(&book, &records);
    book.flush().await;
    assert_eq!(kept(&*store).await, records);
    assert_eq!(book.counts(), Counts { written: 2500, ..Counts::default() });
    let late = some(1);
    put(&book, &late);
    book.close().await;
    assert_eq!(kept(&*store).await.len(), 2501);
    put(&book, &late);
    assert_eq!(book.counts().dropped, 1, "it is closed");
}

#[tokio::test]
async fn a_store_that_is_away_gets_everything_once_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, records) = (moody(dir.path()).await, some(3000));
    let book = open(&store, dir.path(), &UsageSettings::default()).await;
    store.refuses.store(true, Ordering::SeqCst);
    put(&book, &records[..1500]);
    eventually("the file", || book.counts().spilled == 1500 && book.counts().last_error.is_some()).await;
    put(&book, &records[1500..]);
    // It has written, and does not know it: these come again.
    store.denies.store(true, Ordering::SeqCst);
    store.refuses.store(false, Ordering::SeqCst);
    book.flush().await;
    assert_eq!(kept(&*store).await, records);
    assert_eq!(book.counts(), Counts { written: 3000, ..Counts::default() });
}

#[tokio::test]
async fn what_waits_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, records) = (moody(dir.path()).await, some(1700));
    {
        let book = open(&store, dir.path(), &UsageSettings::default()).await;
        store.refuses.store(true, Ordering::SeqCst);
        put(&book, &records);
        eventually("the file", || book.counts().spilled == 1700).await;
        // As if it were killed: nobody closes it.
    }
    store.refuses.store(false, Ordering::SeqCst);
    let journal = std::fs::File::open(dir.path().join("usage.journal")).unwrap();
    // What was under way when it was killed has the file for a moment.
    eventually("the file", || journal.try_lock().is_ok()).await;
    drop(journal);
    let book = open(&store, dir.path(), &UsageSettings::default()).await;
    assert_eq!(kept(&*store).await, records, "before anything else begins");
    book.close().await;
    assert_eq!(std::fs::metadata(dir.path().join("usage.journal")).unwrap().len(), 0);
}

#[tokio::test]
async fn what_another_host_leaves_is_written_by_the_one_that_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (store, records) = (moody(dir.path()).await, some(1700));
    let elder = open(&store, dir.path(), &UsageSettings::default()).await;
    store.refuses.store(true, Ordering::SeqCst);
    put(&elder, &records[..900]);
    eventually("the file", || elder.counts().spilled == 900).await;
    let younger = open(&store, dir.path(), &UsageSettings::default()).await;
    assert_eq!(younger.counts(), Counts::default(), "it is the elder's");
    // It has written some of what is in its file, and does not know it.
    put(&elder, &records[900..]);
    store.real.write_usage(&records[500..1000]).await.unwrap();
    elder.close().await;
    younger.collect().await;
    assert_eq!(younger.counts().spilled, 1700);
    store.refuses.store(false, Ordering::SeqCst);
    younger.flush().await;
    assert_eq!(younger.counts(), Counts { written: 1700, ..Counts::default() });
    let mut kept = kept(&*store).await;
    kept.sort_by_key(|record| record.at);
    assert_eq!(kept, records);
}

#[tokio::test]
async fn where_there_is_no_room_it_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = moody(dir.path()).await;
    store.refuses.store(true, Ordering::SeqCst);
    let settings = UsageSettings { queue_records: 1000, spill_mib: 1, ..UsageSettings::default() };
    let book = open(&store, dir.path(), &settings).await;
    let size = || std::fs::metadata(dir.path().join("usage.journal")).unwrap().len();
    let mut sent = 0;
    while size() < (1 << 20) - 1000 {
        put(&book, &some(500));
        sent += 500;
        eventually("the file", || book.counts().queued == 0 || size() > (1 << 20) - 1000).await;
    }
    assert_eq!(book.counts().dropped, 0);
    // What is taken out of the queue, then the queue.
    put(&book, &some(3000));
    sent += 3000;
    assert!(book.counts().dropped >= 1000 && size() <= 1 << 20, "{:?}", book.counts());
    store.refuses.store(false, Ordering::SeqCst);
    book.flush().await;
    let counts = book.counts();
    assert_eq!((counts.written + counts.dropped, counts.queued, counts.spilled), (sent, 0, 0));
    assert_eq!(kept(&*store).await.len() as u64, counts.written);
}

#[tokio::test]
async fn a_locked_file_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (store, records) = (moody(dir.path()).await, some(50));
    let book = open(&store, dir.path(), &UsageSettings::default()).await;
    let options = SqliteConnectOptions::new().filename(dir.path().join("store.sqlite"));
    let mut somebody = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut somebody).await.unwrap();
    put(&book, &records);
    eventually("the store to be tried", || book.counts().last_error.is_some()).await;
    let error = book.counts().last_error.unwrap();
    assert!(error.contains("the store failed") && error.contains("locked"), "{error}");
    // The straight way, and then from the file.
    assert_eq!((book.counts().spilled, store.tries.load(Ordering::SeqCst)), (50, 2));
    sqlx::raw_sql("COMMIT").execute(&mut somebody).await.unwrap();
    book.flush().await;
    assert_eq!(kept(&*store).await, records);
}

#[tokio::test]
async fn a_file_that_somebody_has_cut_does_not_stop_what_comes_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, records) = (moody(dir.path()).await, some(20));
    let book = open(&store, dir.path(), &UsageSettings::default()).await;
    store.refuses.store(true, Ordering::SeqCst);
    put(&book, &records[..10]);
    eventually("the file", || book.counts().spilled == 10).await;
    std::fs::write(dir.path().join("usage.journal"), "").unwrap();
    store.refuses.store(false, Ordering::SeqCst);
    book.flush().await;
    put(&book, &records[10..]);
    book.flush().await;
    // What was read before it was cut may have been written.
    let counts = book.counts();
    assert_eq!(counts.written + counts.dropped, 20);
    assert_eq!(kept(&*store).await.len() as u64, counts.written);
    assert!(counts.written >= 10);
}

#[tokio::test]
async fn old_requests_go_while_new_ones_come() {
    let dir = tempfile::tempdir().unwrap();
    let store = moody(dir.path()).await;
    let old = millis(SystemTime::now() - Duration::from_secs(86_400 * 31));
    let records: Vec<_> = (0..6000).map(|number| record(old + number)).collect();
    store.write_usage(&records).await.unwrap();
    // What there was up to now shows that the clock is right.
    let new = some(20);
    store.write_usage(&new[10..]).await.unwrap();
    let book = open(&store, dir.path(), &UsageSettings::default()).await;
    put(&book, &new[..10]);
    book.flush().await;
    let (mut left, begun) =
        (store.recent_usage(None, 10_000).await.unwrap().len(), std::time::Instant::now());
    while left > new.len() && begun.elapsed() < Duration::from_secs(60) {
        tokio::task::yield_now().await;
        left = store.recent_usage(None, 10_000).await.unwrap().len();
    }
    assert_eq!(left, new.len());
}

#[tokio::test]
async fn a_clock_far_ahead_of_all_that_is_known_makes_nothing_old() {
    let dir = tempfile::tempdir().unwrap();
    let store = moody(dir.path()).await;
    // As if it were a year later at once.
    let then = millis(SystemTime::now() - Duration::from_secs(86_400 * 365));
    store.write_usage(&[record(then)]).await.unwrap();
    let book = open(&store, dir.path(), &UsageSettings::default()).await;
    assert!(testing::eventually(|| store.pruned.lock().unwrap().is_some()).await);
    // Longer ago than what is kept, from then on.
    assert!(store.pruned.lock().unwrap().unwrap() < then);
    book.close().await;
    assert_eq!(store.recent_usage(None, 10).await.unwrap().len(), 1);
}

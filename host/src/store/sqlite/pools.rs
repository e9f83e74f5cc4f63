//! The connections to the file, and what is done when it is not the same file any more.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

use super::SqliteStore;
use super::file::{self, Identity, companions};
use crate::store::StoreError;

/// Whoever waits longer for a connection hears that the store is busy.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Usage waits in its own file when the store is locked; this is how long it tries before it says so.
const WRITER_BUSY_WITHIN: Duration = Duration::from_secs(1);

/// What is asked about usage takes no longer than this.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Between two looks at the clock, in steps of SQLite's machine.
const STEPS: i32 = 20_000;

/// Connections by what they are for, so that none waits for another kind.
#[derive(Debug)]
pub(super) struct Pools {
    pub(super) keys: SqlitePool,
    /// One, which stays open: it has the file even when that is deleted.
    writer: SqlitePool,
    readers: SqlitePool,
    identity: Identity,
}

impl Pools {
    pub(super) async fn open(path: &Path, options: &SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let pool = |count| SqlitePoolOptions::new().max_connections(count).acquire_timeout(CONNECT_WITHIN);
        let keys = pool(2).connect_with(options.clone()).await?;
        let writer = pool(1).min_connections(1).idle_timeout(None).max_lifetime(None);
        let writer = writer.connect_with(options.clone().busy_timeout(WRITER_BUSY_WITHIN)).await?;
        // What is kept beside the file is made by the first who reads it.
        sqlx::query("SELECT COUNT(*) FROM sqlite_schema").execute(&writer).await?;
        // Sorted in memory: what is sorted are sums, of which there are not many.
        let reading = options.clone().pragma("temp_store", "memory").pragma("cache_size", "-8000");
        let readers = pool(2).connect_lazy_with(reading);
        Ok(Self { keys, writer, readers, identity: Identity::of(path)? })
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.keys.close().await;
        self.writer.close().await;
    }
}

impl SqliteStore {
    /// A connection for a question, which is not answered for ever.
    pub(super) async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        let mut reader = match self.0.pools.load_full().readers.acquire().await {
            // The file is being put back, for which there is time.
            Err(sqlx::Error::PoolClosed | sqlx::Error::Database(_)) => {
                drop(self.0.mending.lock().await);
                self.0.pools.load_full().readers.acquire().await?
            }
            reader => reader?,
        };
        let end = Instant::now() + READ_WITHIN;
        reader.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < end);
        Ok(reader)
    }

    /// The connection that writes usage, to the file that is in its place: a deleted one is put back.
    pub(super) async fn writer(&self) -> Result<SqlitePool, StoreError> {
        let _mending = self.0.mending.lock().await;
        let (path, pools) = (&self.0.path, self.0.pools.load_full());
        let failed = |error: io::Error| StoreError::from(sqlx::Error::from(error));
        match Identity::of(path) {
            // An earlier try has come so far, and no further.
            _ if pools.writer.is_closed() => put_in_place(path).map_err(failed)?,
            Ok(found) if found == pools.identity => return Ok(pools.writer.clone()),
            Ok(found) if found.file == pools.identity.file => self.put_back(&pools).await?,
            Ok(_) => return Err(StoreError::Replaced { place: path.display().to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.put_back(&pools).await?,
            Err(error) => return Err(failed(error)),
        }
        let pools = Pools::open(path, &self.0.options).await?;
        let writer = pools.writer.clone();
        self.0.pools.store(pools.into());
        Ok(writer)
    }

    /// Writes everything into a new file, through the connection that still has the old one.
    async fn put_back(&self, pools: &Pools) -> Result<(), StoreError> {
        let path = &self.0.path;
        let file = path.display();
        tracing::error!(%file, "somebody has deleted the store, or a part of it, while it was in use: it is put back");
        // Whoever changes something from here on is told that it did not work.
        pools.readers.close().await;
        pools.keys.close().await;
        let copy = rescued(path);
        let failed = |error: io::Error| StoreError::from(sqlx::Error::from(error));
        remove(&copy).and_then(|()| file::private(&copy)).map_err(failed)?;
        let (name, _folder) = file::as_text(&copy).map_err(failed)?;
        let copied = sqlx::query("VACUUM INTO ?").bind(name.to_str()).execute(&pools.writer).await;
        if let Err(error) = copied {
            // Half of it would only take the room that was missing.
            let _ = remove(&copy);
            return Err(error.into());
        }
        pools.writer.close().await;
        put_in_place(path).map_err(failed)?;
        tracing::info!(%file, "the store is back, with all that was in it");
        Ok(())
    }
}

/// Where the copy is until it is whole and nobody has the deleted file any more.
fn rescued(path: &Path) -> PathBuf {
    path.with_extension("rescued")
}

fn put_in_place(path: &Path) -> io::Result<()> {
    let copy = rescued(path);
    if !copy.try_exists()? {
        return Ok(());
    }
    // They belong to the file that was deleted.
    companions(path).iter().try_for_each(|companion| remove(companion))?;
    std::fs::rename(&copy, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

//! The store in one file of the data directory.

// The file itself: that it is there, and still the same.
mod file;
mod pools;
// What is kept in it, besides keys.
mod answers;
mod audit;
mod document;
mod groups;
mod prune;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};
use tokio::sync::Mutex;

use self::pools::Pools;
use super::{Store, StoreError, UsageHorizon};
use crate::access::VirtualKey;
use crate::audit::Seen;
use crate::usage::{Place, Spent, UsageAnswer, UsageQuery, UsageRecord};

/// Somebody else, such as a backup, may hold the file for so long.
const BUSY_WITHIN: Duration = Duration::from_secs(5);

/// What brings a file from each version to the next. What was released here is never changed again. Each only adds: a
/// host that is being taken over from goes on with a file that its successor has brought further, and goes on for good
/// where that one does not come up. So no table or column goes, is renamed, or means anything else from then on, and
/// what is new has a default for whoever does not know it.
const MIGRATIONS: [&str; 6] = [
    // 1: virtual keys. What they may do is one JSON document, for it is only ever read whole.
    "CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,
        document TEXT NOT NULL,
        revoked_at INTEGER
    ) STRICT;",
    // 2: usage.
    usage::TABLES,
    // 3: the audit trail.
    audit::MIGRATION,
    // 4: what single requests are summed up with.
    usage::GROUPED,
    // 5: estimates in usage.
    usage::ESTIMATED,
    // 6: nothing is moved, but single requests are written shorter from here on, which older hosts cannot read.
    "",
];

/// See the module.
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    options: SqliteConnectOptions,
    pools: ArcSwap<Pools>,
    /// Whoever looks whether the file is still the same puts it back where it is not: one at a time.
    mending: Mutex<()>,
    /// The folder that the file is in, where its name is no text.
    _folder: Option<std::fs::File>,
}

impl SqliteStore {
    /// Opens the file, makes it where there is none, and brings it up to this version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::Unusable {
            place: path.display().to_string(),
            hint: "look at its permissions and the space on its disk; a damaged one has to be put back from a backup, \
                   or moved away to begin anew, in either case with its -wal and -shm: what another file had beside \
                   it must not stay there",
            source,
        };
        // There are hashes of keys in it: nobody but the host's user has a reason to read them.
        file::private(path).map_err(|error| unusable(error.into()))?;
        let (name, folder) = file::as_text(path).map_err(|error| unusable(error.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(name)
            .journal_mode(SqliteJournalMode::Wal)
            // What was acknowledged is there when the power fails, too.
            .synchronous(SqliteSynchronous::Full)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .busy_timeout(BUSY_WITHIN)
            // A statement may be as long as what it writes.
            .disable_statement_logging();
        let pools = Pools::open(path, &options).await.map_err(unusable)?;
        migrate(&pools.keys, path).await.map_err(|error| match error {
            StoreError::Failed(source) | StoreError::Damaged(source) => unusable(source),
            other => other,
        })?;
        let (path, pools) = (path.to_owned(), ArcSwap::from_pointee(pools));
        Ok(Self(Arc::new(Inner { path, options, pools, mending: Mutex::default(), _folder: folder })))
    }

    fn pool(&self) -> SqlitePool {
        self.0.pools.load().keys.clone()
    }

    /// Closes the file, so that nothing is left beside it.
    pub async fn close(&self) {
        // Somebody may have deleted it since usage was written last.
        let place = self.writer().await;
        if let Err(error) = place {
            tracing::error!(
                problem = crate::plugins::problem::chain(&error),
                "the store was closed as it is"
            );
        }
        self.0.pools.load_full().close().await;
    }
}

async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    let found: i64 = sqlx::query("PRAGMA user_version").fetch_one(pool).await?.get(0);
    let done = usize::try_from(found).ok().filter(|done| *done <= MIGRATIONS.len());
    let Some(done) = done else {
        return Err(StoreError::TooNew { place: path.display().to_string(), found, known });
    };
    for (version, step) in MIGRATIONS.iter().enumerate().skip(done) {
        let mut change = pool.begin().await?;
        sqlx::raw_sql(*step).execute(&mut *change).await?;
        // The version is a number of this file: there is nothing in it that could be anything else.
        let mark = format!("PRAGMA user_version = {}", version + 1);
        sqlx::raw_sql(AssertSqlSafe(mark)).execute(&mut *change).await?;
        change.commit().await?;
    }
    Ok(())
}

fn document(key: &VirtualKey) -> Result<String, StoreError> {
    serde_json::to_string(key)
        .map_err(|error| StoreError::Unreadable { what: "a key", problem: error.to_string() })
}

impl Store for SqliteStore {
    fn keys(&self) -> BoxFuture<'_, Result<Vec<VirtualKey>, StoreError>> {
        Box::pin(async {
            let rows = sqlx::query("SELECT document FROM keys WHERE revoked_at IS NULL ORDER BY rowid")
                .fetch_all(&self.pool())
                .await?;
            let read = |document: String| {
                serde_json::from_str(&document)
                    .map_err(|error| StoreError::Unreadable { what: "a key", problem: error.to_string() })
            };
            rows.into_iter().map(|row| read(row.get(0))).collect()
        })
    }

    fn add_key<'a>(&'a self, key: &'a VirtualKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            sqlx::query("INSERT INTO keys (id, hash, document) VALUES (?, ?, ?)")
                .bind(&key.id)
                .bind(key.hash.as_slice())
                .bind(document(key)?)
                .execute(&self.pool())
                .await?;
            Ok(())
        })
    }

    fn change_key<'a>(&'a self, key: &'a VirtualKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            sqlx::query("UPDATE keys SET hash = ?, document = ? WHERE id = ? AND revoked_at IS NULL")
                .bind(key.hash.as_slice())
                .bind(document(key)?)
                .bind(&key.id)
                .execute(&self.pool())
                .await?;
            Ok(())
        })
    }

    fn had_keys(&self) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async {
            let row = sqlx::query("SELECT EXISTS (SELECT 1 FROM keys)").fetch_one(&self.pool()).await?;
            Ok(row.get(0))
        })
    }

    fn revoke_key<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            sqlx::query("UPDATE keys SET revoked_at = unixepoch() WHERE id = ? AND revoked_at IS NULL")
                .bind(id)
                .execute(&self.pool())
                .await?;
            Ok(())
        })
    }

    fn key_names<'a>(
        &'a self,
        ids: &'a [&'a str],
    ) -> BoxFuture<'a, Result<HashMap<String, String>, StoreError>> {
        Box::pin(async {
            let sql = "SELECT id, document ->> 'name' FROM keys WHERE id IN (SELECT value FROM json_each(?))";
            // Texts can always be written.
            let ids = serde_json::to_string(ids).unwrap_or_default();
            let rows = sqlx::query(sql).bind(ids).fetch_all(&mut *self.reader().await?).await?;
            Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
        })
    }

    fn add_audit<'a>(&'a self, entries: &'a [Seen]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { audit::write(&self.writer().await?, entries).await })
    }

    fn audit(&self, before: Option<i64>, limit: u32) -> BoxFuture<'_, Result<Vec<(i64, Seen)>, StoreError>> {
        Box::pin(async move { audit::read(&mut *self.reader().await?, before, limit).await })
    }

    fn write_usage<'a>(&'a self, records: &'a [UsageRecord]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { usage::write(&self.writer().await?, records).await })
    }

    fn prune_usage<'a>(&'a self, horizon: &'a UsageHorizon) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async { prune::step(&self.writer().await?, horizon).await })
    }

    fn usage<'a>(&'a self, query: &'a UsageQuery) -> BoxFuture<'a, Result<UsageAnswer, StoreError>> {
        Box::pin(async { answers::usage(&mut *self.reader().await?, query).await })
    }

    fn recent_usage(
        &self,
        before: Option<Place>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<UsageRecord>, StoreError>> {
        Box::pin(async move { usage::recent(&mut *self.reader().await?, before, limit).await })
    }

    fn spent(&self, since: SystemTime) -> BoxFuture<'_, Result<Vec<Spent>, StoreError>> {
        Box::pin(async move { answers::spent(&mut *self.reader().await?, since).await })
    }
}

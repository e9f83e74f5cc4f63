//! The store in one file of the data directory.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Row as _};

use super::{Store, StoreError};
use crate::access::VirtualKey;
use crate::audit::{Outcome, Seen};

/// Somebody else, such as a backup, may hold the file for so long.
const BUSY_WITHIN: Duration = Duration::from_secs(5);

/// What brings a file from each version to the next. What was released here is never changed again.
const MIGRATIONS: [&str; 2] = [
    // 1: virtual keys. What they may do is one JSON document, for it is only ever read whole.
    "CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,
        document TEXT NOT NULL,
        revoked_at INTEGER
    ) STRICT;",
    // 2: the audit trail. Refusals are apart, so that they do not push changes out of it.
    "CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        document TEXT NOT NULL
    ) STRICT;
    CREATE INDEX audit_of_kind ON audit (refused, id);",
];

/// So many changes are kept, and so many refusals.
const MOST_AUDITED: [(bool, i64); 2] = [(false, 10_000), (true, 1_000)];

/// See the module.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    /// The folder that the file is in, where its name is no text.
    _folder: Option<Arc<File>>,
}

impl SqliteStore {
    /// Opens the file, makes it where there is none, and brings it up to this version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::Unusable {
            place: path.display().to_string(),
            hint: "look at its permissions and the space on its disk; a damaged one has to be put back from a backup, \
                   or moved away to begin anew",
            source,
        };
        // There are hashes of keys in it: nobody but the host's user has a reason to read them.
        private(path).map_err(|error| unusable(error.into()))?;
        let (name, folder) = as_text(path).map_err(|error| unusable(error.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(name)
            .journal_mode(SqliteJournalMode::Wal)
            // What was acknowledged is there when the power fails, too; it is written seldom.
            .synchronous(SqliteSynchronous::Full)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .busy_timeout(BUSY_WITHIN);
        let pool =
            SqlitePoolOptions::new().max_connections(4).connect_with(options).await.map_err(unusable)?;
        let store = Self { pool, _folder: folder };
        store.migrate(path).await.map_err(|error| match error {
            StoreError::Failed(source) => unusable(source),
            other => other,
        })?;
        Ok(store)
    }

    async fn migrate(&self, path: &Path) -> Result<(), StoreError> {
        let known = MIGRATIONS.len() as i64;
        let found: i64 = sqlx::query("PRAGMA user_version").fetch_one(&self.pool).await?.get(0);
        let done = usize::try_from(found).ok().filter(|done| *done <= MIGRATIONS.len());
        let Some(done) = done else {
            return Err(StoreError::TooNew { place: path.display().to_string(), found, known });
        };
        for (version, step) in MIGRATIONS.iter().enumerate().skip(done) {
            let mut change = self.pool.begin().await?;
            sqlx::raw_sql(*step).execute(&mut *change).await?;
            // The version is a number of this file: there is nothing in it that could be anything else.
            let mark = format!("PRAGMA user_version = {}", version + 1);
            sqlx::raw_sql(AssertSqlSafe(mark)).execute(&mut *change).await?;
            change.commit().await?;
        }
        Ok(())
    }

    /// Closes the file, so that nothing is left beside it.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Store for SqliteStore {
    fn keys(&self) -> BoxFuture<'_, Result<Vec<VirtualKey>, StoreError>> {
        Box::pin(async {
            let rows = sqlx::query("SELECT document FROM keys WHERE revoked_at IS NULL ORDER BY rowid")
                .fetch_all(&self.pool)
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
            let document = serde_json::to_string(key)
                .map_err(|error| StoreError::Unreadable { what: "a key", problem: error.to_string() })?;
            sqlx::query("INSERT INTO keys (id, hash, document) VALUES (?, ?, ?)")
                .bind(&key.id)
                .bind(key.hash.as_slice())
                .bind(document)
                .execute(&self.pool)
                .await?;
            Ok(())
        })
    }

    fn had_keys(&self) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async {
            let row = sqlx::query("SELECT EXISTS (SELECT 1 FROM keys)").fetch_one(&self.pool).await?;
            Ok(row.get(0))
        })
    }

    fn revoke_key<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            sqlx::query("UPDATE keys SET revoked_at = unixepoch() WHERE id = ? AND revoked_at IS NULL")
                .bind(id)
                .execute(&self.pool)
                .await?;
            Ok(())
        })
    }

    fn add_audit<'a>(&'a self, entries: &'a [Seen]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut change = self.pool.begin().await?;
            for Seen { at, entry } in entries {
                let document = serde_json::to_string(entry).map_err(|error| unreadable_entry(&error))?;
                let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
                sqlx::query("INSERT INTO audit (at, refused, document) VALUES (?, ?, ?)")
                    .bind(i64::try_from(at).unwrap_or(i64::MAX))
                    .bind(entry.outcome == Outcome::Refused)
                    .bind(document)
                    .execute(&mut *change)
                    .await?;
            }
            for (refused, most) in MOST_AUDITED {
                sqlx::query(
                    "DELETE FROM audit WHERE refused = ?1 AND id <= \
                     (SELECT id FROM audit WHERE refused = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                )
                .bind(refused)
                .bind(most)
                .execute(&mut *change)
                .await?;
            }
            change.commit().await?;
            Ok(())
        })
    }

    fn audit(&self, before: Option<i64>, limit: u32) -> BoxFuture<'_, Result<Vec<(i64, Seen)>, StoreError>> {
        Box::pin(async move {
            let query = "SELECT id, at, document FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?";
            let rows =
                sqlx::query(query).bind(before.unwrap_or(i64::MAX)).bind(limit).fetch_all(&self.pool).await?;
            let read = |row: SqliteRow| {
                let (id, at, document): (i64, i64, String) = (row.get(0), row.get(1), row.get(2));
                let entry = serde_json::from_str(&document).map_err(|error| unreadable_entry(&error))?;
                let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or_default());
                Ok((id, Seen { at, entry }))
            };
            rows.into_iter().map(read).collect()
        })
    }
}

fn unreadable_entry(error: &serde_json::Error) -> StoreError {
    StoreError::Unreadable { what: "an entry of the audit trail", problem: error.to_string() }
}

/// A name for the file that is text, as the library wants it: where its folder's is none, that of the open folder.
fn as_text(path: &Path) -> io::Result<(PathBuf, Option<Arc<File>>)> {
    if path.to_str().is_some() {
        return Ok((path.to_owned(), None));
    }
    let folder = File::open(path.parent().unwrap_or(Path::new(".")))?;
    let name = path.file_name().unwrap_or_default();
    let open = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    Ok((open, Some(Arc::new(folder))))
}

/// Makes the file where there is none; in any case it is for the host's user alone, wherever it was put back from.
fn private(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::testing::key;

    async fn store(dir: &tempfile::TempDir) -> SqliteStore {
        SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap()
    }

    #[tokio::test]
    async fn keys_are_there_after_a_restart_until_they_are_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (key("one", b"1"), key("two", b"2"));
        {
            let store = store(&dir).await;
            store.add_key(&one).await.unwrap();
            store.add_key(&two).await.unwrap();
            assert!(store.add_key(&one).await.is_err(), "one of a kind");
            store.close().await;
        }
        let store = store(&dir).await;
        assert_eq!(store.keys().await.unwrap(), [one.clone(), two.clone()]);
        store.revoke_key(&one.id).await.unwrap();
        assert_eq!(store.keys().await.unwrap(), std::slice::from_ref(&two));
        store.revoke_key(&two.id).await.unwrap();
        assert!(store.keys().await.unwrap().is_empty() && store.had_keys().await.unwrap());
    }

    #[tokio::test]
    async fn nobody_else_reads_it_and_a_later_version_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("store.sqlite");
        // As it may come out of a backup.
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let store = store(&dir).await;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        sqlx::raw_sql("PRAGMA user_version = 99").execute(&store.pool).await.unwrap();
        store.close().await;
        let error = SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap_err().to_string();
        assert!(error.contains("is of version 99, and this host knows up to"), "{error}");
    }

    #[tokio::test]
    async fn the_audit_trail_is_bounded_and_refusals_push_nothing_out() {
        let entry = |status: u16, outcome: &str| {
            let json = serde_json::json!({"who": "local", "address": "127.0.0.1", "request_id": "r", "route": "x",
                "target": null, "outcome": outcome, "status": status, "code": null, "before": null, "after": null});
            Seen { at: UNIX_EPOCH + Duration::from_millis(7), entry: serde_json::from_value(json).unwrap() }
        };
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        store.add_audit(&[entry(201, "done"), entry(204, "done")]).await.unwrap();
        let refusals = vec![entry(401, "refused"); 1_200];
        store.add_audit(&refusals).await.unwrap();
        store.add_audit(&[entry(200, "failed")]).await.unwrap();
        let all = store.audit(None, 5_000).await.unwrap();
        let statuses: Vec<u16> = all.iter().map(|(_, seen)| seen.entry.status).collect();
        assert_eq!(statuses.len(), 1_003);
        assert_eq!((statuses[0], &statuses[1_001..]), (200, &[204, 201][..]));
        assert!(all.iter().all(|(_, seen)| seen.at == UNIX_EPOCH + Duration::from_millis(7)));
        let (last, _) = all[1];
        let next = store.audit(Some(last), 2).await.unwrap();
        assert_eq!(next.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [last - 1, last - 2]);
    }

    #[tokio::test]
    async fn what_is_no_store_is_refused_with_a_way_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("store.sqlite"),
            "this is not a database, and long enough to be read as one",
        )
        .unwrap();
        let error = SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap_err();
        assert!(error.to_string().contains("moved away to begin anew"), "{error}");
    }
}

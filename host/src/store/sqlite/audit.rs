//! The audit trail.

use std::time::{Duration, UNIX_EPOCH};

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{Connection as _, Row as _};

use crate::audit::{Outcome, Seen};
use crate::store::StoreError;

/// Refusals are apart, so that they do not push changes out of it.
pub(super) const MIGRATION: &str = "CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        document TEXT NOT NULL
    ) STRICT;
    CREATE INDEX audit_of_kind ON audit (refused, id);";

/// So many changes are kept, and so many refusals.
const MOST: [(bool, i64); 2] = [(false, 10_000), (true, 1_000)];

/// Keeps entries; the oldest make room.
pub(super) async fn write(writer: &SqlitePool, entries: &[Seen]) -> Result<(), StoreError> {
    let mut connection = writer.acquire().await?;
    let written = write_on(&mut connection, entries).await;
    if written.is_err() {
        // A full disk ends a transaction, of which the connection does not know and begins no other.
        let _ = connection.close().await;
    }
    written
}

async fn write_on(connection: &mut SqliteConnection, entries: &[Seen]) -> Result<(), StoreError> {
    let mut change = connection.begin().await?;
    for Seen { at, entry } in entries {
        let document = serde_json::to_string(entry).map_err(|error| unreadable(&error))?;
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        sqlx::query("INSERT INTO audit (at, refused, document) VALUES (?, ?, ?)")
            .bind(i64::try_from(at).unwrap_or(i64::MAX))
            .bind(entry.outcome == Outcome::Refused)
            .bind(document)
            .execute(&mut *change)
            .await?;
    }
    for (refused, most) in MOST {
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
}

/// The latest and their numbers, newest first; those before a number, if there is one.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<(i64, Seen)>, StoreError> {
    let query = "SELECT id, at, document FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?";
    let rows = sqlx::query(query).bind(before.unwrap_or(i64::MAX)).bind(limit).fetch_all(connection).await?;
    let read = |row: SqliteRow| {
        let (id, at, document): (i64, i64, String) = (row.get(0), row.get(1), row.get(2));
        let entry = serde_json::from_str(&document).map_err(|error| unreadable(&error))?;
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or_default());
        Ok((id, Seen { at, entry }))
    };
    rows.into_iter().map(read).collect()
}

fn unreadable(error: &serde_json::Error) -> StoreError {
    StoreError::Unreadable { what: "an entry of the audit trail", problem: error.to_string() }
}

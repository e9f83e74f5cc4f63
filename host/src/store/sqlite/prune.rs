//! What is too old, taken out a little at a time: nothing waits for it.

use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Row as _};

use super::StoreError;
use crate::store::UsageHorizon;
use crate::usage::Step;

/// So many rows, and not many more, go in one step.
const ROWS: i64 = 4000;

/// Pages that are free and are left to what comes next; the others are given back to the disk, so many in one step.
const SLACK_PAGES: i64 = 1000;
const PAGES: i64 = 1000;

/// One step; says whether there is nothing left to do.
pub(super) async fn step(writer: &SqlitePool, horizon: &UsageHorizon) -> Result<bool, StoreError> {
    let mut gone = requests(writer, horizon.requests).await?;
    for (step, before) in [
        (Step::Minute, horizon.minutes),
        (Step::Hour, horizon.hours),
        (Step::Day, horizon.hours),
        // The days that are left are asked for by the fortnights that they are in.
        (Step::Fortnight, Step::Fortnight.floor(horizon.hours)),
    ] {
        gone += sums(writer, step, before).await?;
    }
    let free: i64 = sqlx::query("PRAGMA freelist_count").fetch_one(writer).await?.get(0);
    if free > SLACK_PAGES {
        let pages = (free - SLACK_PAGES).min(PAGES);
        let sql = format!("PRAGMA incremental_vacuum({pages})");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(writer).await?;
    }
    let is_done = gone == 0 && free <= SLACK_PAGES;
    if is_done {
        // What is written stands beside the file until there is much of it. Whoever has nothing but the file has what
        // there was at the last upkeep; nobody waits for this, and it waits for nobody.
        sqlx::raw_sql("PRAGMA wal_checkpoint(PASSIVE)").execute(writer).await?;
    }
    Ok(is_done)
}

async fn requests(writer: &SqlitePool, before: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM usage_requests WHERE at < ?1 AND at <= coalesce(
        (SELECT at FROM usage_requests WHERE at < ?1 ORDER BY at LIMIT 1 OFFSET ?2), ?1)";
    Ok(sqlx::query(sql).bind(before).bind(ROWS).execute(writer).await?.rows_affected())
}

async fn sums(writer: &SqlitePool, step: Step, before: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM usage_sums WHERE step = ?3 AND at < ?1 AND at <= coalesce(
        (SELECT at FROM usage_sums WHERE step = ?3 AND at < ?1 ORDER BY at LIMIT 1 OFFSET ?2), ?1)";
    let query = sqlx::query(sql).bind(before).bind(ROWS).bind(step.seconds());
    let gone = query.execute(writer).await?.rows_affected();
    // Every group has the sum of some fortnight, while it has any.
    if step == Step::Fortnight && gone > 0 {
        let sql = "DELETE FROM usage_groups WHERE id NOT IN (SELECT group_id FROM usage_sums WHERE step = ?)";
        sqlx::query(sql).bind(step.seconds()).execute(writer).await?;
    }
    Ok(gone)
}

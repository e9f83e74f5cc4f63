//! Usage as SQLite keeps it: single requests, and sums of them by time and by what they have in common.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, QueryBuilder, Row as _, Sqlite};

use super::StoreError;
use super::document::{Document, Documents};
use super::groups::{Groups, names};
use crate::usage::{BUCKETS, COLUMNS, NUMBERS, Place, RecordId, Step, Sums, UsageRecord};

/// Requests lie in the order of their arrival, which is how they are listed and how they go; their ids tell apart those
/// of one millisecond. Each is one document, for it is only ever read whole. Sums lie by time, so that what is written at
/// one time is written in one place.
pub(super) const TABLES: &str = "CREATE TABLE usage_requests (
        at INTEGER NOT NULL, id BLOB NOT NULL, document TEXT NOT NULL,
        PRIMARY KEY (at, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE usage_groups (
        id INTEGER PRIMARY KEY,
        provider TEXT NOT NULL, model TEXT NOT NULL, key TEXT NOT NULL, route TEXT NOT NULL,
        UNIQUE (provider, model, key, route)
    ) STRICT;
    CREATE TABLE usage_sums (
        step INTEGER NOT NULL, at INTEGER NOT NULL, group_id INTEGER NOT NULL,
        requests INTEGER NOT NULL, errors INTEGER NOT NULL, abandoned INTEGER NOT NULL, unpriced INTEGER NOT NULL,
        prompt INTEGER NOT NULL, cached INTEGER NOT NULL, cache_write INTEGER NOT NULL,
        completion INTEGER NOT NULL, reasoning INTEGER NOT NULL, total INTEGER NOT NULL,
        cost_nano INTEGER NOT NULL, cost_rest INTEGER NOT NULL,
        latency_us INTEGER NOT NULL, first_count INTEGER NOT NULL, first_us INTEGER NOT NULL,
        latency_0 INTEGER NOT NULL, latency_1 INTEGER NOT NULL, latency_2 INTEGER NOT NULL,
        latency_3 INTEGER NOT NULL, latency_4 INTEGER NOT NULL, latency_5 INTEGER NOT NULL,
        latency_6 INTEGER NOT NULL, latency_7 INTEGER NOT NULL, latency_8 INTEGER NOT NULL,
        latency_9 INTEGER NOT NULL, latency_10 INTEGER NOT NULL, latency_11 INTEGER NOT NULL,
        latency_12 INTEGER NOT NULL, latency_13 INTEGER NOT NULL, latency_14 INTEGER NOT NULL,
        latency_15 INTEGER NOT NULL, latency_16 INTEGER NOT NULL, latency_17 INTEGER NOT NULL,
        latency_18 INTEGER NOT NULL,
        first_0 INTEGER NOT NULL, first_1 INTEGER NOT NULL, first_2 INTEGER NOT NULL,
        first_3 INTEGER NOT NULL, first_4 INTEGER NOT NULL, first_5 INTEGER NOT NULL,
        first_6 INTEGER NOT NULL, first_7 INTEGER NOT NULL, first_8 INTEGER NOT NULL,
        first_9 INTEGER NOT NULL, first_10 INTEGER NOT NULL, first_11 INTEGER NOT NULL,
        first_12 INTEGER NOT NULL, first_13 INTEGER NOT NULL, first_14 INTEGER NOT NULL,
        first_15 INTEGER NOT NULL, first_16 INTEGER NOT NULL, first_17 INTEGER NOT NULL,
        first_18 INTEGER NOT NULL,
        PRIMARY KEY (step, at, group_id)
    ) STRICT, WITHOUT ROWID;";

/// What is kept with each request from here on: what it is summed up with is written once, and not with each.
pub(super) const GROUPED: &str = "ALTER TABLE usage_requests ADD COLUMN group_id INTEGER;";

/// Sums know how many of their requests were estimated.
pub(super) const ESTIMATED: &str = "ALTER TABLE usage_sums ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;";

/// What one statement writes: of requests, and of sums, each of which is as long as many of those.
const ROWS: usize = 250;
const MANY_SUMS: usize = 32;

/// Between two such statements, for requests: where there is one processor, they wait for as long as it takes.
const BREATH: Duration = Duration::from_millis(2);

/// Keeps what is new of these, and adds it to the sums: both or neither.
pub(super) async fn write(writer: &SqlitePool, records: &[UsageRecord]) -> Result<(), StoreError> {
    let mut records: Vec<_> = records.iter().collect();
    // That one has come before, or is here twice, is rare, and to look for each beforehand costs as much as keeping it.
    while !write_new(writer, &records).await? {
        let mut known = known(writer, &records).await?;
        records.retain(|record| known.insert(record.id));
    }
    Ok(())
}

/// Keeps these, and adds them to the sums, unless one of them is there already: then nothing is written, and that said.
async fn write_new(writer: &SqlitePool, records: &[&UsageRecord]) -> Result<bool, StoreError> {
    let mut connection = writer.acquire().await?;
    let written = write_on(&mut connection, records).await;
    if written.is_err() {
        // A full disk ends a transaction, of which the connection does not know and begins no other.
        let _ = connection.close().await;
    }
    written
}

async fn write_on(connection: &mut SqliteConnection, records: &[&UsageRecord]) -> Result<bool, StoreError> {
    let mut change = connection.begin_with("BEGIN IMMEDIATE").await?;
    let (mut groups, mut documents) = (Groups::default(), Documents::default());
    for (place, records) in records.chunks(ROWS).enumerate() {
        if place > 0 {
            tokio::time::sleep(BREATH).await;
        }
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let group = groups.count_in(&mut change, record).await?;
            let document = documents.of(record, &group.names);
            let document = serde_json::to_string(&document).map_err(|error| unreadable(&error))?;
            let id = record.id.bytes().to_vec();
            rows.push(Row { at: record.millis(), id, group: group.id, document });
        }
        if insert(&mut change, rows).await? < records.len() as u64 {
            change.rollback().await?;
            return Ok(false);
        }
    }
    add(&mut change, &groups.sums()).await?;
    change.commit().await?;
    Ok(true)
}

/// What is written of a request.
struct Row {
    at: i64,
    id: Vec<u8>,
    group: i64,
    document: String,
}

/// Keeps those that are not there yet, and says how many they were.
async fn insert(change: &mut SqliteConnection, rows: Vec<Row>) -> Result<u64, StoreError> {
    // A busy host writes as many as go, again and again: that statement is worth keeping.
    let is_full = rows.len() == ROWS;
    let sql = insertion(rows.len());
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(is_full);
    for Row { at, id, group, document } in rows {
        query = query.bind(at).bind(id).bind(group).bind(document);
    }
    Ok(query.execute(change).await?.rows_affected())
}

fn insertion(rows: usize) -> String {
    let mut sql = String::from("INSERT OR IGNORE INTO usage_requests (at, id, group_id, document) VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(?,?,?,?)" } else { ",(?,?,?,?)" });
    }
    sql
}

/// Those of them that are there.
async fn known(writer: &SqlitePool, records: &[&UsageRecord]) -> Result<HashSet<RecordId>, StoreError> {
    let mut known = HashSet::new();
    for rows in records.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT id FROM usage_requests WHERE (at, id) IN ");
        query.push_tuples(rows, |mut place, record| {
            place.push_bind(record.millis()).push_bind(record.id.bytes().as_slice());
        });
        let found = query.build().persistent(false).fetch_all(writer).await?;
        known.extend(found.iter().filter_map(|row| RecordId::of_bytes(row.get(0))));
    }
    Ok(known)
}

/// The columns of sums, each with a beginning and an end.
pub(super) fn columns(count: usize, before: &str, after: &str) -> String {
    let buckets = |of: &'static str| (0..BUCKETS).map(move |place| format!("{of}_{place}"));
    let names = NUMBERS.iter().map(|&name| name.to_owned()).chain(buckets("latency")).chain(buckets("first"));
    let columns: Vec<_> = names.take(count).map(|name| format!("{before}{name}{after}")).collect();
    columns.join(", ")
}

/// Adds these to what there is.
async fn add(change: &mut SqliteConnection, sums: &[((Step, i64, i64), Sums)]) -> Result<(), StoreError> {
    // Statements of few lengths, which are all kept; most often there are as many rows as steps, or twice that.
    let many = sums.chunks_exact(MANY_SUMS);
    let few = many.remainder().chunks(Step::ALL.len());
    for rows in many.chain(few) {
        let mut query = sqlx::query(AssertSqlSafe(addition(rows.len())));
        for ((step, at, group), sums) in rows {
            query = query.bind(step.seconds()).bind(*at).bind(*group);
            query = sums.columns().into_iter().fold(query, Query::bind);
        }
        query.execute(&mut *change).await?;
    }
    Ok(())
}

/// There is nothing in it but names of columns.
fn addition(rows: usize) -> String {
    let row = format!("({}?)", "?,".repeat(COLUMNS + 2));
    let columns = columns(COLUMNS, "", "");
    let added: Vec<_> =
        columns.split(", ").map(|name| format!("{name} = {name} + excluded.{name}")).collect();
    format!(
        "INSERT INTO usage_sums (step, at, group_id, {columns}) VALUES {} ON CONFLICT (step, at, group_id) DO UPDATE SET {}",
        vec![row; rows].join(","),
        added.join(", ")
    )
}

/// Single requests, the last that arrived first.
pub(super) async fn recent(
    reader: &mut SqliteConnection,
    before: Option<Place>,
    limit: usize,
) -> Result<Vec<UsageRecord>, StoreError> {
    let (millis, id) = before.map_or((i64::MAX, vec![]), |place| (place.millis, place.id.bytes().to_vec()));
    let sql = "SELECT document, at, r.id, provider, model, key, route
        FROM usage_requests r LEFT JOIN usage_groups g ON g.id = group_id
        WHERE (at, r.id) < (?, ?) ORDER BY at DESC, r.id DESC LIMIT ?";
    let rows = sqlx::query(sql).bind(millis).bind(id).bind(limit as i64).fetch_all(reader).await?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<UsageRecord, StoreError> {
    let document: Document<'_> = serde_json::from_str(row.get(0)).map_err(|error| unreadable(&error))?;
    let id = RecordId::of_bytes(row.get(2)).ok_or_else(|| unreadable(&"its id is not 16 bytes"))?;
    Ok(document.record(row.get(1), id, names(row, 3)))
}

fn unreadable(problem: &dyn ToString) -> StoreError {
    StoreError::Unreadable { what: "a request", problem: problem.to_string() }
}

//! Usage as SQLite keeps it: single requests, and sums of them by time and by what they have in common.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{AssertSqlSafe, Connection as _, QueryBuilder, Row as _, Sqlite};

use super::StoreError;
use crate::usage::{BUCKETS, NUMBERS, Names, Place, RecordId, Step, Sums, UsageRecord};

/// Requests lie in the order of their arrival, which is how they are listed and how they go; their ids tell apart those
/// of one millisecond. Each is one document, for it is only ever read whole. Sums lie by time, so that what is written at
/// one time is written in one place.
pub(super) const MIGRATION: &str = "CREATE TABLE usage_requests (
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

/// Sums know how many of their requests were estimated.
pub(super) const ESTIMATED: &str = "ALTER TABLE usage_sums ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;";

/// The group that everything is in.
pub(super) const EVERYTHING: i64 = 0;

/// More groups than this are told apart by everything but the model: an upstream that answers to any name would make
/// one for each.
const MOST_GROUPS: i64 = 10_000;

/// What one statement writes.
const ROWS: usize = 500;

/// Keeps what is new of these, and adds it to the sums: both or neither.
pub(super) async fn write(writer: &SqlitePool, records: &[UsageRecord]) -> Result<(), StoreError> {
    let mut ids = HashSet::new();
    // Each only once, also where it is here twice.
    let mut records: Vec<_> = records.iter().filter(|record| ids.insert(record.id)).collect();
    // That one has come before is rare, and to look for each beforehand costs as much as keeping it.
    while !write_new(writer, &records).await? {
        let known = known(writer, &records).await?;
        records.retain(|record| !known.contains(&record.id));
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
    for rows in records.chunks(ROWS) {
        if insert(&mut change, rows).await? < rows.len() as u64 {
            change.rollback().await?;
            return Ok(false);
        }
    }
    // By minute first: most of them are of the same one.
    let mut minutes: HashMap<(i64, Names), Sums> = HashMap::new();
    for record in records {
        let minute = Step::Minute.floor(record.millis() / 1000);
        minutes.entry((minute, names_of(record))).or_default().add(&Sums::of(record));
    }
    let mut sums: HashMap<(Step, i64, i64), Sums> = HashMap::new();
    for ((minute, names), more) in minutes {
        let group = group(&mut change, names).await?;
        for step in Step::ALL {
            for group in [EVERYTHING, group] {
                sums.entry((step, step.floor(minute), group)).or_default().add(&more);
            }
        }
    }
    let sums: Vec<_> = sums.into_iter().collect();
    for rows in sums.chunks(ROWS) {
        sqlx::query(AssertSqlSafe(add(rows))).persistent(false).execute(&mut *change).await?;
    }
    change.commit().await?;
    Ok(true)
}

/// Keeps those that are not there yet, and says how many they were.
async fn insert(change: &mut SqliteConnection, records: &[&UsageRecord]) -> Result<u64, StoreError> {
    let mut documents = Vec::with_capacity(records.len());
    for record in records {
        documents.push((record, serde_json::to_string(record).map_err(|error| unreadable(&error))?));
    }
    let mut query = QueryBuilder::<Sqlite>::new("INSERT OR IGNORE INTO usage_requests (at, id, document) ");
    query.push_values(&documents, |mut row, (record, document)| {
        row.push_bind(record.millis()).push_bind(record.id.bytes().as_slice()).push_bind(document);
    });
    Ok(query.build().persistent(false).execute(change).await?.rows_affected())
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

/// What a request is summed up with. A model is one that has answered: anybody can make up others.
fn names_of(record: &UsageRecord) -> Names {
    let has_answered = record.status.is_some_and(|status| status < 400) && record.provider.is_some();
    Names {
        provider: record.provider.clone(),
        model: record.model.clone().filter(|_| has_answered),
        key: record.key.clone(),
        route: Some(Arc::from(&*record.route)),
    }
}

async fn group(change: &mut SqliteConnection, mut names: Names) -> Result<i64, StoreError> {
    if let Some(known) = find_group(change, &names).await? {
        return Ok(known);
    }
    let count = sqlx::query("SELECT COUNT(*) FROM usage_groups").fetch_one(&mut *change).await?;
    if count.get::<i64, _>(0) >= MOST_GROUPS {
        names.model = None;
        if let Some(known) = find_group(change, &names).await? {
            return Ok(known);
        }
    }
    let sql = "INSERT INTO usage_groups (provider, model, key, route) VALUES (?, ?, ?, ?)";
    let query = texts(&names).into_iter().fold(sqlx::query(sql), Query::bind);
    Ok(query.execute(change).await?.last_insert_rowid())
}

async fn find_group(change: &mut SqliteConnection, names: &Names) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM usage_groups WHERE provider = ? AND model = ? AND key = ? AND route = ?";
    let query = texts(names).into_iter().fold(sqlx::query(sql), Query::bind);
    Ok(query.fetch_optional(change).await?.map(|row| row.get(0)))
}

/// In the order of their columns; nothing is the empty text, for two nothings would not be the same.
fn texts(names: &Names) -> [String; 4] {
    [&names.provider, &names.model, &names.key, &names.route]
        .map(|name| name.as_deref().unwrap_or("").to_owned())
}

/// The columns of sums, each with a beginning and an end.
pub(super) fn columns(count: usize, before: &str, after: &str) -> String {
    let buckets = |of: &'static str| (0..BUCKETS).map(move |place| format!("{of}_{place}"));
    let names = NUMBERS.iter().map(|&name| name.to_owned()).chain(buckets("latency")).chain(buckets("first"));
    let columns: Vec<_> = names.take(count).map(|name| format!("{before}{name}{after}")).collect();
    columns.join(", ")
}

/// There is nothing in it but numbers and names of columns.
fn add(rows: &[((Step, i64, i64), Sums)]) -> String {
    let names = columns(usize::MAX, "", "");
    let mut sql = format!("INSERT INTO usage_sums (step, at, group_id, {names}) VALUES ");
    for (place, ((step, at, group), sums)) in rows.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = write!(sql, "{}({}, {at}, {group}", if place == 0 { "" } else { ", " }, step.seconds());
        sums.columns().iter().for_each(|number| {
            let _ = write!(sql, ", {number}");
        });
        sql.push(')');
    }
    sql.push_str(" ON CONFLICT (step, at, group_id) DO UPDATE SET ");
    let added: Vec<_> = names.split(", ").map(|name| format!("{name} = {name} + excluded.{name}")).collect();
    sql.push_str(&added.join(", "));
    sql
}

/// Single requests, the last that arrived first.
pub(super) async fn recent(
    reader: &mut SqliteConnection,
    before: Option<Place>,
    limit: usize,
) -> Result<Vec<UsageRecord>, StoreError> {
    let (millis, id) = before.map_or((i64::MAX, vec![]), |place| (place.millis, place.id.bytes().to_vec()));
    let sql = "SELECT document FROM usage_requests WHERE (at, id) < (?, ?) ORDER BY at DESC, id DESC LIMIT ?";
    let rows = sqlx::query(sql).bind(millis).bind(id).bind(limit as i64).fetch_all(reader).await?;
    rows.iter().map(|row| serde_json::from_str(row.get(0)).map_err(|error| unreadable(&error))).collect()
}

fn unreadable(error: &serde_json::Error) -> StoreError {
    StoreError::Unreadable { what: "a request", problem: error.to_string() }
}

//! What a dashboard asks of ten million requests: how long each answer takes, of the 200 ms that it may.
//!
//! It makes its own data, as they are after a year: 400 days of hours and days, 14 of minutes, 30 of single requests.
//! The exit status is other than 0 when an answer took longer.
//!
//! `cargo bench -p patchbay --bench usage`, or with USAGE_BENCH_REQUESTS=100000 in front for a look.

#![allow(clippy::unwrap_used)]
// Tables are what this program is for.
#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use patchbay::config::UsageSettings;
use patchbay::providers::Cost;
use patchbay::store::{SqliteStore, Store as _};
use patchbay::usage::{
    BUCKETS, Dimension, Filter, NUMBERS, RecordId, Span, Step, Sums, UsageBook, UsageQuery, UsageRecord,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, Connection as _};

const MOST: Duration = Duration::from_millis(200);

/// Of each answer; the slowest counts.
const ROUNDS: usize = 7;

const DAY: i64 = 86_400;

/// As many as are used at one time: 8 providers, 24 models, 50 keys, 3 routes.
const GROUPS: i64 = 300;

#[tokio::main]
async fn main() -> ExitCode {
    let requests = std::env::var("USAGE_BENCH_REQUESTS").ok().and_then(|text| text.parse().ok());
    let requests: i64 = requests.unwrap_or(10_000_000);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let begun = Instant::now();
    fill(&file, requests, now).await;
    let size = std::fs::metadata(&file).unwrap().len() >> 20;
    println!("{requests} requests, made in {:.0} s, {size} MiB", begun.elapsed().as_secs_f64());
    let written = write_speed(&store).await;
    println!("one portion of 1000 requests is written in {:.1} ms", written.as_secs_f64() * 1000.0);
    println!("leaving a record takes a request {:.0} ns", put_time(&store, dir.path()).await);
    println!("\n{:<52} {:>9} {:>9} {:>9}", "question", "median ms", "worst ms", "at most");
    let mut is_good = true;
    for (name, query) in questions(now) {
        is_good &= measure(name, async || drop(store.usage(&query).await.unwrap())).await;
    }
    is_good &=
        measure("the last 100 requests", async || drop(store.recent_usage(None, 100).await.unwrap())).await;
    let month = UNIX_EPOCH + Duration::from_secs((now - 30 * DAY).cast_unsigned());
    is_good &= measure("spent in 30 days, by key", async || drop(store.spent(month).await.unwrap())).await;
    store.close().await;
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(name: &str, mut ask: impl AsyncFnMut()) -> bool {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        ask().await;
        times.push(begun.elapsed());
    }
    times.sort();
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let (median, worst) = (millis(times[ROUNDS / 2]), times[ROUNDS - 1]);
    println!("{name:<52} {median:>9.1} {:>9.1} {:>9.1}", millis(worst), millis(MOST));
    worst <= MOST
}

fn questions(now: i64) -> Vec<(&'static str, UsageQuery)> {
    use Dimension::{Key, Model, Provider, Route};
    let ask = |ago: i64, by: &[Dimension], step: Option<Step>| {
        let span = Span { from: now - ago, to: now }.widened(step.unwrap_or(Step::Minute));
        UsageQuery { span, by: by.to_vec(), step, filter: Filter::default(), limit: 10 }
    };
    let of_key = |query: UsageQuery| {
        let filter = Filter { key: Some("key_7".into()), ..Filter::default() };
        UsageQuery { filter, ..query }
    };
    vec![
        ("1 hour, by minute", ask(3600, &[], Some(Step::Minute))),
        ("1 hour, models by minute", ask(3600, &[Model], Some(Step::Minute))),
        ("24 hours", ask(DAY, &[], None)),
        ("24 hours, by hour", ask(DAY, &[], Some(Step::Hour))),
        ("24 hours, by minute", ask(DAY, &[], Some(Step::Minute))),
        ("24 hours, providers", ask(DAY, &[Provider], None)),
        ("24 hours, providers and models", ask(DAY, &[Provider, Model], None)),
        ("24 hours, keys", ask(DAY, &[Key], None)),
        ("24 hours, providers by hour", ask(DAY, &[Provider], Some(Step::Hour))),
        ("24 hours of one key, models by hour", of_key(ask(DAY, &[Model], Some(Step::Hour)))),
        ("7 days, by hour", ask(7 * DAY, &[], Some(Step::Hour))),
        ("7 days, models by hour", ask(7 * DAY, &[Model], Some(Step::Hour))),
        ("7 days of one key, by hour", of_key(ask(7 * DAY, &[], Some(Step::Hour)))),
        ("30 days, by hour", ask(30 * DAY, &[], Some(Step::Hour))),
        ("30 days, everything apart, by day", ask(30 * DAY, &[Provider, Model, Key, Route], Some(Step::Day))),
        ("30 days of one key, models by day", of_key(ask(30 * DAY, &[Model], Some(Step::Day)))),
        ("365 days, by day", ask(365 * DAY, &[], Some(Step::Day))),
        ("365 days, models", ask(365 * DAY, &[Model], None)),
    ]
}

/// In nanoseconds, each.
async fn put_time(store: &SqliteStore, dir: &Path) -> f64 {
    let book = UsageBook::open(Arc::new(store.clone()), dir, &UsageSettings::default()).unwrap();
    let records: Vec<_> = (0..10_000).map(|number| record(number, SystemTime::now())).collect();
    let (count, begun) = (records.len() as f64, Instant::now());
    records.into_iter().for_each(|record| book.put(record));
    let time = begun.elapsed();
    book.close().await;
    time.as_nanos() as f64 / count
}

/// The time to write what a busy second brings.
async fn write_speed(store: &SqliteStore) -> Duration {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let records: Vec<_> = (0..1000).map(|number| record(number, SystemTime::now())).collect();
        let begun = Instant::now();
        store.write_usage(&records).await.unwrap();
        times.push(begun.elapsed());
    }
    times.sort();
    times[ROUNDS / 2]
}

/// One of a group: some are used often, most seldom.
fn group_of(number: i64) -> i64 {
    // Always the same, and in no order.
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()).cast_unsigned() >> 33;
    let share = (mixed % 10_000) as f64 / 10_000.0;
    (share * share * GROUPS as f64) as i64
}

/// No two groups have the same model and key.
fn names_of(group: i64) -> [String; 4] {
    let routes = ["/v1/chat/completions", "/api/chat", "/v1/embeddings"];
    let (model, key) = (group % 24, group % 50);
    let route = routes[(group % 7 % 3) as usize];
    [format!("provider-{}", model % 8), format!("model-{model}"), format!("key_{key}"), route.to_owned()]
}

fn record(number: i64, at: SystemTime) -> UsageRecord {
    let [provider, model, key, route] = names_of(group_of(number));
    let fails = number % 50 == 0;
    UsageRecord {
        id: RecordId::next(),
        at,
        request_id: format!("request-{number}").into(),
        key: Some(key.into()),
        route: route.into(),
        provider: Some(provider.into()),
        model: Some(model.into()),
        streamed: true,
        status: Some(200),
        error: fails.then(|| "timeout".into()),
        attempts: 1,
        latency: Duration::from_micros((200_000 + number % 977 * 9_000).cast_unsigned()),
        first_token: Some(Duration::from_micros((80_000 + number % 331 * 3_000).cast_unsigned())),
        usage: None,
        cost: Some(Cost::of_units(i128::from(1_000_000 + number % 1000) * 1_000_000_000)),
        estimated: false,
    }
}

async fn fill(file: &Path, requests: i64, now: i64) {
    let options = SqliteConnectOptions::new().filename(file).journal_mode(SqliteJournalMode::Wal);
    let mut connection = SqliteConnection::connect_with(&options.pragma("synchronous", "off")).await.unwrap();
    let mut groups = String::from("INSERT INTO usage_groups (id, provider, model, key, route) VALUES ");
    for group in 0..GROUPS {
        let [provider, model, key, route] = names_of(group);
        let comma = if group == 0 { "" } else { ", " };
        write!(groups, "{comma}({}, '{provider}', '{model}', '{key}', '{route}')", group + 1).unwrap();
    }
    sqlx::raw_sql(AssertSqlSafe(groups)).execute(&mut connection).await.unwrap();
    fill_requests(&mut connection, requests, now).await;
    fill_sums(&mut connection, requests, now).await;
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Evenly over thirty days.
async fn fill_requests(connection: &mut SqliteConnection, requests: i64, now: i64) {
    let begin = (now - 30 * DAY) * 1000;
    // What is in them is only looked at when they are listed.
    let document = serde_json::to_string(&record(0, UNIX_EPOCH)).unwrap();
    let sql = format!(
        "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {requests})
         INSERT INTO usage_requests (at, id, group_id, document) SELECT
            {begin} + n * {span} / {requests}, CAST(printf('%016d', n) AS BLOB), 1, ? FROM numbers",
        span = 30 * DAY * 1000
    );
    sqlx::query(AssertSqlSafe(sql)).bind(document).execute(connection).await.unwrap();
}

/// As many of every day as single requests of the last thirty, a day at a time: what comes of them by the code that
/// the host itself uses.
async fn fill_sums(connection: &mut SqliteConnection, requests: i64, now: i64) {
    let (a_day, today) = (requests / 30, Step::Day.floor(now));
    let mut fortnights: HashMap<Place, Sums> = HashMap::new();
    for ago in (0..400).rev() {
        let day = today - ago * DAY;
        let mut sums: HashMap<Place, Sums> = HashMap::new();
        // Of days without minutes one in ten is enough: their sums are as many.
        let every = if ago < 14 { 1 } else { 10 };
        for number in (0..a_day).step_by(every) {
            let second = day + number * DAY / a_day;
            if second >= now {
                break;
            }
            let one = Sums::of(&record(number, UNIX_EPOCH));
            let steps = if ago < 14 { &Step::ALL[..] } else { &Step::ALL[1..] };
            for step in steps {
                let sums = if *step == Step::Fortnight { &mut fortnights } else { &mut sums };
                for group in [0, group_of(number) + 1] {
                    sums.entry((step.seconds(), step.floor(second), group)).or_default().add(&one);
                }
            }
        }
        write_sums(connection, sums).await;
    }
    write_sums(connection, fortnights).await;
}

/// Step, beginning and group.
type Place = (i64, i64, i64);

/// The columns of sums, in the order in which they are told.
fn columns() -> String {
    let buckets = |of: &'static str| (0..BUCKETS).map(move |place| format!("{of}_{place}"));
    let numbers = NUMBERS.iter().map(ToString::to_string);
    numbers.chain(buckets("latency")).chain(buckets("first")).collect::<Vec<_>>().join(", ")
}

async fn write_sums(connection: &mut SqliteConnection, sums: HashMap<Place, Sums>) {
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(place, _)| *place);
    let mut change = connection.begin().await.unwrap();
    for rows in sums.chunks(500) {
        let row = |((step, at, group), sums): &(Place, Sums)| {
            let columns: Vec<_> = sums.columns().iter().map(ToString::to_string).collect();
            format!("({step}, {at}, {group}, {})", columns.join(", "))
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        let sql =
            format!("INSERT INTO usage_sums (step, at, group_id, {}) VALUES {}", columns(), rows.join(", "));
        sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&mut *change).await.unwrap();
    }
    change.commit().await.unwrap();
}

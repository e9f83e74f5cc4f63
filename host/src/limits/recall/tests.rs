//! What was spent, as the store has it.

use std::time::{Duration, SystemTime};

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::*;
use crate::access::NewKey;
use crate::config::UsageSettings;
use crate::limits::Clock;
use crate::store::{SqliteStore, Store as _};
use crate::testing;
use crate::usage::{UsageRecord, millis};

fn usd(text: &str) -> Cost {
    text.parse::<rust_decimal::Decimal>().unwrap().into()
}

#[tokio::test]
async fn what_was_written_down_is_spent() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap();
    let keys = KeyBook::open(Arc::new(store.clone()), dir.path()).await.unwrap();
    let wanted: NewKey = serde_json::from_str(r#"{"name":"k"}"#).unwrap();
    let (key, _) = keys.create(wanted, SystemTime::now()).await.unwrap();
    // Noon of the second of a month, and a second before that day began, and before that month did.
    let now = humantime::parse_rfc3339("2024-10-02T12:00:00Z").unwrap();
    let yesterday = now - Duration::from_secs(12 * 3600 + 1);
    let before = now - Duration::from_secs(36 * 3600 + 1);
    let record = |at, key: Option<&str>, provider: &str, cost: &str| UsageRecord {
        at,
        key: key.map(Into::into),
        provider: Some(provider.into()),
        cost: Some(usd(cost)),
        ..crate::usage::testing::record(0)
    };
    let records = [
        record(now, Some(&key.id), "a", "1"),
        record(now, None, "a", "10"),
        record(yesterday, Some(&key.id), "b", "100"),
        record(yesterday, Some("gone"), "b", "1000"),
        record(before, Some(&key.id), "a", "10000"),
    ];
    store.write_usage(&records).await.unwrap();
    let limiter = Limiter::with_clock(Clock::of(move || now));
    let usage = UsageBook::open(Arc::new(store), dir.path(), &UsageSettings::default()).unwrap();
    // However often it is read.
    for _ in 0..2 {
        recall(&limiter, &keys, &usage).await.unwrap();
        for (spent, day, month) in [
            (limiter.spent_with(key.hash), "1", "101"),
            (limiter.provider("a").spent(), "11", "11"),
            (limiter.provider("b").spent(), "0", "1100"),
            (limiter.host.spent(), "11", "1111"),
        ] {
            assert_eq!(spent, Spent { day: usd(day), month: usd(month) });
        }
    }
}

/// A store of which somebody has put away the sums, and then something else.
async fn change(dir: &tempfile::TempDir, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(dir.path().join("store.sqlite"));
    let mut somebody = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut somebody).await.unwrap();
    somebody.close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_away_holds_up_no_start_and_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap());
    let keys = Arc::new(KeyBook::open(Arc::clone(&store) as _, dir.path()).await.unwrap());
    let usage = UsageBook::open(Arc::clone(&store) as _, dir.path(), &UsageSettings::default()).unwrap();
    let spent =
        UsageRecord { cost: Some(usd("7")), ..crate::usage::testing::record(millis(SystemTime::now())) };
    store.write_usage(&[spent]).await.unwrap();
    change(&dir, "ALTER TABLE usage_sums RENAME TO aside").await;
    let registry = Arc::new(Registry::default());
    let is_recalled = recall_first(&registry.limiter, &keys, &usage).await.unwrap();
    assert!(!is_recalled);
    let keeping = tokio::spawn(keep_recalled(Arc::clone(&registry), keys, usage, is_recalled));
    assert_eq!(registry.limiter.host.spent(), Spent::default());
    change(&dir, "ALTER TABLE aside RENAME TO usage_sums").await;
    assert!(testing::eventually(|| registry.limiter.host.spent().month == usd("7")).await);
    keeping.abort();
}

#[tokio::test]
async fn what_waits_in_the_file_is_spent_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap());
    let keys = KeyBook::open(Arc::clone(&store) as _, dir.path()).await.unwrap();
    let spent = |cost| UsageRecord {
        cost: Some(usd(cost)),
        provider: Some("a".into()),
        ..crate::usage::testing::record(millis(SystemTime::now()))
    };
    store.write_usage(&[spent("1")]).await.unwrap();
    // From now on it can be read, and takes nothing.
    change(&dir, "CREATE TRIGGER no BEFORE INSERT ON usage_requests BEGIN SELECT RAISE(FAIL, 'no'); END")
        .await;
    let usage = UsageBook::open(store, dir.path(), &UsageSettings::default()).unwrap();
    usage.put(spent("20"));
    usage.put(spent("300"));
    assert!(testing::eventually(|| usage.counts().spilled == 2).await);
    let limiter = Limiter::default();
    recall(&limiter, &keys, &usage).await.unwrap();
    assert_eq!(limiter.provider("a").spent(), Spent { day: usd("321"), month: usd("321") });
}

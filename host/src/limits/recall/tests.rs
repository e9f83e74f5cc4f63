//! What was spent, as the store has it.

use std::time::{Duration, SystemTime};

use super::*;
use crate::access::NewKey;
use crate::limits::Clock;
use crate::store::SqliteStore;
use crate::usage::UsageRecord;

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
    // However often it is read.
    for _ in 0..2 {
        recall(&limiter, &keys, &store).await.unwrap();
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

//! Records for tests.

use std::sync::Arc;
use std::time::Duration;

use super::record::of_millis;
use super::{RecordId, UsageBook, UsageRecord};
use crate::access::testing::Forgetful;
use crate::accounts::Usage;
use crate::config::UsageSettings;
use crate::providers::Cost;

/// A request that was answered, which arrived at this time.
pub(crate) fn record(millis: i64) -> UsageRecord {
    let usage = Usage {
        prompt_tokens: 10,
        completion_tokens: 5,
        total_tokens: 15,
        cached_tokens: 4,
        cache_write_tokens: 2,
        reasoning_tokens: 1,
    };
    UsageRecord {
        id: RecordId::next(),
        at: of_millis(millis),
        request_id: "r-1".into(),
        key: Some("key_1".into()),
        route: "/v1/chat/completions".into(),
        provider: Some("up".into()),
        model: Some("m".into()),
        streamed: true,
        status: Some(200),
        error: None,
        attempts: 1,
        latency: Duration::from_millis(40),
        first_token: Some(Duration::from_millis(8)),
        usage: Some(usage),
        // A tenth of a cent and a bit.
        cost: Some(Cost::of_units(1_000_000_000_000_001)),
        estimated: false,
    }
}

/// A book that keeps nothing.
pub(crate) fn book() -> UsageBook {
    // The file goes with its folder, and stays open.
    let dir = tempfile::tempdir().unwrap();
    UsageBook::open(Arc::new(Forgetful), dir.path(), &UsageSettings::default()).unwrap()
}

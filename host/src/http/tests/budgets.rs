//! Budgets, by a clock that the test turns.

use std::sync::Mutex;
use std::time::SystemTime;

use rust_decimal::Decimal;
use serde_json::json;

use super::*;
use crate::config::LimitSettings;
use crate::limits::{Clock, Limiter};
use crate::providers::{Rules, Snapshot};

#[tokio::test]
async fn whoever_comes_back_when_they_are_told_to_is_served() {
    let clock = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH));
    let told = Arc::clone(&clock);
    let limiter = Limiter::with_clock(Clock::of(move || *told.lock().unwrap()));
    let registry = Arc::new(Registry::with_limiter(Arc::new(limiter)));
    let upstream = Upstream::answering(200, "application/json", testing::whole_answer("hi")).await;
    let mut settings = testing::settings("p");
    // Three tokens read and two written, as many as are expected of it.
    const SMALL: &str = r#"{"messages":[{"role":"user","content":""}],"max_tokens":1}"#;
    settings.pricing = testing::pricing(&json!({ "m-1": { "prompt": 1, "completion": 1, "per": 1 } }));
    let provider = testing::provider(settings, Some(testing::plan(&upstream.url)));
    let limits = LimitSettings {
        budget_usd_per_day: Some(Decimal::from(5)),
        budget_usd_per_month: Some(Decimal::from(15)),
        ..LimitSettings::default()
    };
    let rules = Rules { limits, ..Rules::default() };
    registry.publish(|| Snapshot::new(1, vec![provider], rules));
    let host = Host::serving(registry).await;

    for (time, status, wait, remaining) in [
        ("2026-11-28T23:59:50Z", 200, None, "0"),
        ("2026-11-28T23:59:50Z", 429, Some("10"), "0"),
        ("2026-11-28T23:59:59.999Z", 429, Some("1"), "0"),
        ("2026-11-29T00:00:00Z", 200, None, "0"),
        // Set back over midnight: what was spent yesterday was not lent to today.
        ("2026-11-28T23:59:59Z", 429, Some("1"), "0"),
        ("2026-11-30T00:00:00Z", 200, None, "0"),
        ("2026-11-30T23:59:00Z", 429, Some("60"), "0"),
        ("2026-12-01T00:00:00Z", 200, None, "0"),
        ("2026-12-02T00:00:00Z", 200, None, "0"),
        ("2026-12-03T00:00:00Z", 200, None, "0"),
        // The month is spent, though the day is new.
        ("2026-12-04T00:00:00Z", 429, Some("2419200"), "0"),
        ("2027-01-01T00:00:00Z", 200, None, "0"),
    ] {
        *clock.lock().unwrap() = humantime::parse_rfc3339(time).unwrap();
        let got = host.post("/v1/chat/completions", SMALL).await;
        assert_eq!((got.status, got.header("retry-after")), (status, wait), "{time}: {got:?}");
        assert_eq!(got.header("x-patchbay-budget-remaining-usd"), Some(remaining), "{time}");
    }
}

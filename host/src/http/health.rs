//! Whether the process lives, whether it can serve, and what is known of its providers.

use std::collections::BTreeMap;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::error::timestamp;
use super::state::AppState;
use crate::providers::Condition;

/// The process is up.
pub(super) async fn live() -> Response {
    Json(Status { status: "alive" }).into_response()
}

/// The host can serve: it takes requests, and there is somebody to ask. How those do is another question, which comes
/// and goes, and a host that nobody reaches any more could not say.
pub(super) async fn ready(State(state): State<AppState>) -> Response {
    let has_providers = !state.registry.snapshot().by_priority().is_empty();
    let (status, word) = match (state.readiness.is_ready(), has_providers) {
        (true, true) => (StatusCode::OK, state.readiness.word()),
        (true, false) => (StatusCode::SERVICE_UNAVAILABLE, "no_providers"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, state.readiness.word()),
    };
    (status, Json(Status { status: word })).into_response()
}

/// What is known of every provider. Asks nobody, so it never waits.
pub(super) async fn overview(State(state): State<AppState>) -> Response {
    let snapshot = state.registry.snapshot();
    let enabled = snapshot.by_priority().iter().map(|it| (it.name(), it.condition()));
    let disabled = snapshot.disabled().iter().map(|name| (name.as_str(), Condition::Disabled));
    let providers: BTreeMap<&str, Condition> = enabled.chain(disabled).collect();
    let summary = Summary::of(providers.values().copied());
    let (status, word) = summary.verdict();
    let body = Health {
        status: word,
        timestamp: timestamp(SystemTime::now()),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: state.started.elapsed().as_secs(),
        providers: &providers,
        summary,
    };
    (status, Json(body)).into_response()
}

/// One word about the process.
#[derive(Serialize, JsonSchema)]
pub(super) struct Status {
    /// How it is, in one word.
    status: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Health<'a> {
    /// `healthy` where all that count can serve, `degraded` where some can, `unhealthy` where none can, and `no_providers` where there are none.
    #[schemars(extend("enum" = ["healthy", "degraded", "unhealthy", "no_providers"]))]
    status: &'static str,
    /// When it was so.
    timestamp: String,
    /// The version of the host.
    version: &'static str,
    /// For how long the host has been up.
    uptime_seconds: u64,
    /// How each provider is, by its name.
    providers: &'a BTreeMap<&'a str, Condition>,
    /// How many are how.
    summary: Summary,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "HealthSummary")]
struct Summary {
    /// All of them.
    total: usize,
    /// Those that answered last time.
    available: usize,
    /// Those that answer, and ask for fewer requests.
    busy: usize,
    /// Those that were reached, and failed.
    degraded: usize,
    /// Those that cannot serve.
    unavailable: usize,
    /// Those that are switched off, or wait for a key. They do not count.
    disabled: usize,
    /// Those that nobody has asked yet.
    unknown: usize,
}

impl Summary {
    fn of(conditions: impl Iterator<Item = Condition>) -> Self {
        let mut summary = Self::default();
        for condition in conditions {
            summary.total += 1;
            *match condition {
                Condition::Available => &mut summary.available,
                Condition::Busy => &mut summary.busy,
                Condition::Degraded => &mut summary.degraded,
                Condition::Unavailable => &mut summary.unavailable,
                Condition::Unknown => &mut summary.unknown,
                Condition::Disabled => &mut summary.disabled,
            } += 1;
        }
        summary
    }

    /// All that count can serve, some can, none can, or there are none.
    fn verdict(&self) -> (StatusCode, &'static str) {
        let counting = self.total - self.disabled;
        let well = self.available + self.busy + self.unknown;
        if counting == 0 {
            (StatusCode::SERVICE_UNAVAILABLE, "no_providers")
        } else if well == counting {
            (StatusCode::OK, "healthy")
        } else if well + self.degraded > 0 {
            (StatusCode::OK, "degraded")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_follows_from_the_counts() {
        use Condition::{Available, Busy, Degraded, Disabled, Unavailable, Unknown};
        for (conditions, expected) in [
            (&[][..], (503, "no_providers")),
            (&[Unknown], (200, "healthy")),
            (&[Available, Busy, Unknown], (200, "healthy")),
            (&[Available, Unavailable], (200, "degraded")),
            (&[Available, Disabled], (200, "healthy")),
            (&[Disabled], (503, "no_providers")),
            (&[Degraded], (200, "degraded")),
            (&[Unavailable, Unavailable], (503, "unhealthy")),
        ] {
            let (status, word) = Summary::of(conditions.iter().copied()).verdict();
            assert_eq!((status.as_u16(), word), expected, "{conditions:?}");
        }
    }
}

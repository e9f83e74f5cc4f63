//! What is known of a provider's health from the requests it served.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use patchbay_plugin_api::{ErrorKind, ProviderError};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::breaker;

/// What is known of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Nobody has asked it yet.
    #[default]
    Unknown,
    /// It answered.
    Available,
    /// It answers, and asks for fewer requests.
    Busy,
    /// It was reached, and failed.
    Degraded,
    /// It cannot be reached, does not accept the key, or its plugin is quarantined.
    Unavailable,
    /// It is switched off, or waits for a key.
    Disabled,
}

impl Condition {
    /// All there are.
    pub const ALL: [Self; 6] =
        [Self::Unknown, Self::Available, Self::Busy, Self::Degraded, Self::Unavailable, Self::Disabled];

    /// What a failure says; nothing when the fault was the request's, or a matter of the key that was used.
    pub(super) fn after(error: &ProviderError) -> Option<Self> {
        if !breaker::counts(error) {
            return None;
        }
        Some(if error.kind == ErrorKind::Connection { Self::Unavailable } else { Self::Degraded })
    }

    /// What a check that failed says.
    pub(super) fn after_check(error: &ProviderError) -> Self {
        match error.kind {
            // It answers, and has no such page.
            _ if matches!(error.status, Some(404 | 405 | 501)) => Self::Available,
            ErrorKind::RateLimited => Self::Busy,
            ErrorKind::Connection | ErrorKind::Authentication => Self::Unavailable,
            _ => Self::Degraded,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Available => "available",
            Self::Busy => "busy",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
            Self::Disabled => "disabled",
        }
    }

    /// Whether a request may succeed.
    pub fn can_serve(self) -> bool {
        !matches!(self, Self::Unavailable | Self::Disabled)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The last condition seen, when, and why.
#[derive(Debug)]
pub(super) struct LastCondition(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    condition: Condition,
    at: Instant,
    reason: Option<String>,
}

impl Default for LastCondition {
    fn default() -> Self {
        Self(Mutex::new(Seen { condition: Condition::Unknown, at: Instant::now(), reason: None }))
    }
}

impl LastCondition {
    /// What was seen last.
    pub(super) fn get(&self) -> Condition {
        self.lock().condition
    }

    /// Why it is so, where that was said.
    pub(super) fn reason(&self) -> Option<String> {
        self.lock().reason.clone()
    }

    /// How long ago.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.lock().at)
    }

    /// Replaces it.
    pub(super) fn set(&self, condition: Condition, reason: Option<String>, now: Instant) {
        *self.lock() = Seen { condition, at: now, reason };
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_got() {
        let last = LastCondition::default();
        assert_eq!(last.get(), Condition::Unknown);
        let now = Instant::now();
        for condition in [Condition::Available, Condition::Busy, Condition::Degraded, Condition::Unavailable]
        {
            last.set(condition, Some(condition.to_string()), now);
            assert_eq!((last.get(), last.reason().as_deref()), (condition, Some(condition.word())));
        }
        assert_eq!(last.age(now + Duration::from_secs(3)), Duration::from_secs(3));
    }

    #[test]
    fn what_a_check_that_failed_says() {
        for (kind, status, expected) in [
            (ErrorKind::Connection, None, Condition::Unavailable),
            (ErrorKind::Authentication, Some(401), Condition::Unavailable),
            (ErrorKind::RateLimited, Some(429), Condition::Busy),
            (ErrorKind::Provider, Some(500), Condition::Degraded),
            (ErrorKind::TimedOut, None, Condition::Degraded),
            // Whoever has no list of models may serve chat all the same.
            (ErrorKind::Provider, Some(404), Condition::Available),
        ] {
            let error = ProviderError { status, ..ProviderError::new(kind, "x") };
            assert_eq!(Condition::after_check(&error), expected, "{kind} {status:?}");
        }
    }
}

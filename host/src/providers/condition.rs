//! What is known of a provider's health from the requests it served.

use std::sync::atomic::{AtomicU8, Ordering};

use patchbay_plugin_api::{ErrorKind, ProviderError};
use serde::Serialize;

/// What is known of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
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
    /// What an outcome says; nothing when the fault was not the provider's.
    pub(super) fn after(outcome: Result<(), &ProviderError>) -> Option<Self> {
        let Err(error) = outcome else { return Some(Self::Available) };
        match error.kind {
            ErrorKind::InvalidInput | ErrorKind::Cancelled | ErrorKind::Unsupported => None,
            ErrorKind::RateLimited => Some(Self::Busy),
            ErrorKind::Connection | ErrorKind::Authentication => Some(Self::Unavailable),
            ErrorKind::Provider
            | ErrorKind::UnreadableAnswer
            | ErrorKind::BrokenStream
            | ErrorKind::TimedOut
            | ErrorKind::Panicked => Some(Self::Degraded),
        }
    }

    /// Whether a request may succeed.
    pub fn can_serve(self) -> bool {
        !matches!(self, Self::Unavailable | Self::Disabled)
    }
}

/// The last condition seen.
#[derive(Debug, Default)]
pub(super) struct LastCondition(AtomicU8);

impl LastCondition {
    /// What was seen last.
    pub(super) fn get(&self) -> Condition {
        match self.0.load(Ordering::Relaxed) {
            1 => Condition::Available,
            2 => Condition::Busy,
            3 => Condition::Degraded,
            4 => Condition::Unavailable,
            _ => Condition::Unknown,
        }
    }

    /// Replaces it.
    pub(super) fn set(&self, condition: Condition) {
        self.0.store(condition as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_got() {
        let last = LastCondition::default();
        assert_eq!(last.get(), Condition::Unknown);
        for condition in [Condition::Available, Condition::Busy, Condition::Degraded, Condition::Unavailable]
        {
            last.set(condition);
            assert_eq!(last.get(), condition);
        }
    }
}

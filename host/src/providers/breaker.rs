//! The circuit breaker of one provider: who fails again and again is left alone for a while, then tried once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use patchbay_plugin_api::{ErrorKind, ProviderError};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::config::BreakerSettings;

/// What the breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Every request goes through.
    Closed,
    /// None goes through.
    Open,
    /// One goes through, and decides.
    HalfOpen,
}

impl BreakerState {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Breaker {
    /// Whether `inner` is anything but closed and without failures: a request of a healthy provider takes no lock.
    alarmed: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    failures_to_open: u32,
    window: Duration,
    open_for: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many failures since the last success, the last of them then.
    Closed {
        failures: u32,
        last: Instant,
    },
    Open {
        until: Instant,
    },
    /// A request is under way that decides.
    Trial,
}

/// How a request was let through. What becomes of it must be told to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// As always.
    Usual,
    /// It is the one that decides.
    Trial,
}

impl Breaker {
    pub(super) fn new(settings: &BreakerSettings) -> Self {
        let state = State::Closed { failures: 0, last: Instant::now() };
        let inner = Inner { failures_to_open: 0, window: Duration::ZERO, open_for: Duration::ZERO, state };
        let breaker = Self { alarmed: AtomicBool::new(false), inner: Mutex::new(inner) };
        breaker.configure(settings);
        breaker
    }

    /// Other limits from now on; what is known stays.
    pub(crate) fn configure(&self, settings: &BreakerSettings) {
        let mut inner = self.lock();
        inner.failures_to_open = settings.failures;
        inner.window = settings.window;
        inner.open_for = settings.open_for;
        if let State::Open { until } = inner.state {
            inner.state = State::Open { until: until.min(Instant::now() + settings.open_for) };
        }
    }

    /// How long it would refuse a request that comes now; none if it would not.
    pub(super) fn refuses(&self, now: Instant) -> Option<Duration> {
        if !self.alarmed.load(Ordering::Acquire) {
            return None;
        }
        let inner = self.lock();
        match inner.state {
            State::Closed { .. } => None,
            State::Open { until } => until.checked_duration_since(now).filter(|wait| !wait.is_zero()),
            // How long the trial takes nobody knows.
            State::Trial => Some(Duration::from_secs(1)),
        }
    }

    /// Lets a request through, or says for how long not.
    pub(super) fn enter(&self, now: Instant) -> Result<Passage, Duration> {
        if let Some(wait) = self.refuses(now) {
            return Err(wait);
        }
        if !self.alarmed.load(Ordering::Acquire) {
            return Ok(Passage::Usual);
        }
        let mut inner = self.lock();
        match inner.state {
            State::Closed { .. } => Ok(Passage::Usual),
            State::Open { until } if until <= now => {
                inner.state = State::Trial;
                Ok(Passage::Trial)
            }
            // Somebody else was quicker.
            State::Open { .. } | State::Trial => Err(Duration::from_secs(1)),
        }
    }

    /// A request succeeded. Answers with whether that closed it.
    pub(super) fn succeeded(&self, passage: Passage, now: Instant) -> bool {
        if !self.alarmed.load(Ordering::Acquire) {
            return false;
        }
        let mut inner = self.lock();
        let decides = match inner.state {
            State::Closed { .. } => true,
            // Whoever was let through before it opened says nothing about now.
            State::Open { .. } => false,
            State::Trial => passage == Passage::Trial,
        };
        if !decides {
            return false;
        }
        let closed = inner.state == State::Trial;
        inner.state = State::Closed { failures: 0, last: now };
        self.alarmed.store(false, Ordering::Release);
        closed
    }

    /// A request that began then failed. Answers with whether that opened it.
    pub(super) fn failed(&self, passage: Passage, began: Instant, now: Instant) -> bool {
        let mut inner = self.lock();
        let opens = match inner.state {
            State::Closed { failures, last } => {
                // From its beginning: one that takes long to fail is no less of a failure in a row.
                let in_a_row = began.saturating_duration_since(last) <= inner.window;
                let failures = if in_a_row { failures.saturating_add(1) } else { 1 };
                inner.state = State::Closed { failures, last: now };
                failures >= inner.failures_to_open
            }
            State::Open { .. } => false,
            State::Trial => passage == Passage::Trial,
        };
        if opens {
            inner.state = State::Open { until: now + inner.open_for };
        }
        self.alarmed.store(true, Ordering::Release);
        opens
    }

    /// A request ended without saying anything about the provider.
    pub(super) fn undecided(&self, passage: Passage, now: Instant) {
        if passage == Passage::Trial {
            let mut inner = self.lock();
            if inner.state == State::Trial {
                // The next one may try.
                inner.state = State::Open { until: now };
            }
        }
    }

    /// What it does with a request that comes now.
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.lock().state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if until > now => BreakerState::Open,
            State::Open { .. } | State::Trial => BreakerState::HalfOpen,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error means that the provider itself is in trouble, rather than this one request, or a key.
pub(super) fn counts(error: &ProviderError) -> bool {
    match error.kind {
        ErrorKind::Connection
        | ErrorKind::TimedOut
        | ErrorKind::UnreadableAnswer
        | ErrorKind::BrokenStream
        | ErrorKind::Panicked => true,
        // A model that it does not have (404) is a matter of who asks for it: nobody else must suffer.
        ErrorKind::Provider => !error.status.is_some_and(|status| (400..500).contains(&status)),
        ErrorKind::InvalidInput
        | ErrorKind::Authentication
        | ErrorKind::RateLimited
        | ErrorKind::Cancelled
        | ErrorKind::Unsupported => false,
    }
}

#[cfg(test)]
mod tests;

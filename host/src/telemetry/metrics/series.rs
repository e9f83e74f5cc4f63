//! The series that requests add to: of a provider, of its routes and models, and of a key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use patchbay_plugin_api::ErrorKind;

use super::labelled::{Labelled, Room};
use super::numbers::{Counter, Histogram};
use crate::accounts::{Attempt, Outcome, Record, Usage};

/// How requests end, in the order of [`Outcome`].
pub(super) const OUTCOMES: [&str; 4] = ["answered", "failed", "cut", "abandoned"];

/// Money is counted in billionths of a dollar: a token costs more.
pub(super) const NANODOLLARS: f64 = 1e9;

/// What requests on one route came to, at one provider.
#[derive(Debug)]
pub(super) struct OfRoute {
    /// By how they ended.
    pub(super) outcomes: [Counter; OUTCOMES.len()],
    /// By the code of what went wrong. Codes are words of the host's own: there are only so many.
    errors: Mutex<BTreeMap<&'static str, u64>>,
    /// From arrival to the last byte.
    pub(super) duration: Histogram,
    /// From arrival to the first words.
    pub(super) first_token: Histogram,
}

impl OfRoute {
    fn new() -> Self {
        Self {
            outcomes: Default::default(),
            errors: Mutex::default(),
            duration: Histogram::of_answers(),
            first_token: Histogram::of_answers(),
        }
    }

    pub(super) fn note(&self, record: &Record) {
        let (place, error) = match record.outcome {
            Outcome::Answered => (0, None),
            Outcome::Failed(code) => (1, Some(code)),
            Outcome::Cut(code) => (2, Some(code)),
            Outcome::Abandoned => (3, None),
        };
        self.outcomes[place].increment();
        if let Some(code) = error {
            *self.errors().entry(code).or_default() += 1;
        }
        self.duration.observe(record.latency);
        if let Some(first_token) = record.first_token {
            self.first_token.observe(first_token);
        }
    }

    pub(super) fn errors(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was asked of one provider; or of nobody, by those that came to none.
#[derive(Debug)]
pub(super) struct OfProvider {
    /// By the place of the route. Most providers are asked on one or two of them.
    routes: Box<[OnceLock<Box<OfRoute>>]>,
    /// How asking it went: it answered, or failed in one of the ways there are.
    pub(super) answered: Counter,
    /// See `answered`.
    pub(super) failed: [Counter; ErrorKind::ALL.len()],
    /// How long it took to answer, to begin to, or to fail.
    pub(super) took: Histogram,
    /// The models it has served.
    pub(super) models: Labelled<OfModel>,
}

impl OfProvider {
    pub(super) fn new(routes: usize, room: Arc<Room>) -> Self {
        Self {
            routes: (0..routes).map(|_| OnceLock::new()).collect(),
            answered: Counter::default(),
            failed: Default::default(),
            took: Histogram::of_answers(),
            models: Labelled::within(room),
        }
    }

    /// What came to it on a route.
    pub(super) fn route(&self, place: usize) -> &OfRoute {
        self.routes[place].get_or_init(|| Box::new(OfRoute::new()))
    }

    /// The routes that it was asked on.
    pub(super) fn routes(&self) -> impl Iterator<Item = (usize, &OfRoute)> {
        self.routes.iter().enumerate().filter_map(|(place, route)| Some((place, &**route.get()?)))
    }

    pub(super) fn note_attempt(&self, attempt: &Attempt) {
        // Whoever nobody waited for has neither answered nor failed.
        let Some(took) = attempt.took else { return };
        self.took.observe(took);
        match attempt.failed {
            None => self.answered.increment(),
            Some(kind) => self.failed[kind as usize].increment(),
        }
    }

    pub(super) fn note_model(&self, record: &Record) {
        if let Some(model) = &record.model {
            self.models.with(model, OfModel::default, |series| series.note(record));
        }
    }
}

/// What one model took, at one provider.
#[derive(Debug, Default)]
pub(super) struct OfModel {
    pub(super) requests: Counter,
    pub(super) prompt: Counter,
    pub(super) cached: Counter,
    pub(super) cache_write: Counter,
    pub(super) completion: Counter,
    pub(super) reasoning: Counter,
    pub(super) nanodollars: Counter,
    pub(super) unpriced: Counter,
}

impl OfModel {
    fn note(&self, record: &Record) {
        self.requests.increment();
        if record.cost.is_none() {
            self.unpriced.increment();
        }
        if let Some(usage) = &record.usage {
            let Usage { prompt_tokens, completion_tokens, .. } = *usage;
            for (counter, count) in [
                (&self.prompt, prompt_tokens),
                (&self.completion, completion_tokens),
                (&self.cached, usage.cached_tokens),
                (&self.cache_write, usage.cache_write_tokens),
                (&self.reasoning, usage.reasoning_tokens),
            ] {
                if count > 0 {
                    counter.add(count);
                }
            }
        }
        if let Some(cost) = &record.cost {
            self.nanodollars.add(cost.in_nanodollars());
        }
    }
}

/// What came with one virtual key.
#[derive(Debug, Default)]
pub(super) struct OfKey {
    pub(super) requests: Counter,
    pub(super) tokens: Counter,
    pub(super) nanodollars: Counter,
}

impl OfKey {
    pub(super) fn note(&self, record: &Record) {
        self.requests.increment();
        if let Some(usage) = &record.usage {
            self.tokens.add(usage.total_tokens);
        }
        if let Some(cost) = &record.cost {
            self.nanodollars.add(cost.in_nanodollars());
        }
    }
}

//! A request that a provider was asked to serve: counted while it lasts, and judged by what comes of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use patchbay_plugin_api::{ErrorKind, Fault, ProviderError};
use tokio::time::Instant;
use tracing::{info, warn};

use super::breaker::{self, Passage};
use super::condition::Condition;
use super::herald::in_short;
use super::provider::Provider;
use crate::limits::Claim;
use crate::plugins::Lease;

/// See the module. Dropping it without an outcome says nothing about the provider, unless it had long to answer.
#[derive(Debug)]
pub struct Admission {
    /// The key's, in the provider's ring.
    pub(super) place: usize,
    passage: Passage,
    /// The same request has failed here before.
    repeated: bool,
    /// What became of it is known.
    told: bool,
    claim: Option<Claim>,
    pub(super) began: Instant,
    pub(super) lease: Lease,
    /// Last: keeps the generation alive.
    pub(super) provider: Arc<Provider>,
}

impl Admission {
    /// For [`Provider::admit`], which has counted it as under way.
    pub(super) fn new(
        provider: Arc<Provider>,
        place: usize,
        passage: Passage,
        claim: Option<Claim>,
        began: Instant,
    ) -> Self {
        provider.counters.requests.fetch_add(1, Ordering::Relaxed);
        Self {
            place,
            passage,
            repeated: false,
            told: false,
            claim,
            began,
            lease: provider.instance.lease(),
            provider,
        }
    }

    /// The same request has failed here before: if it does again, that says no more than it did.
    #[must_use]
    pub fn repeated(mut self) -> Self {
        self.repeated = true;
        self
    }

    /// What it has taken of the provider's limits, where there are any, for whoever will know what it took in truth.
    /// What nobody takes goes back when the request ends.
    pub fn take_claim(&mut self) -> Option<Claim> {
        self.claim.take()
    }

    /// The answer has begun. Whether it comes to its end is not known yet, so only a trial is over with it.
    pub(super) fn begun(&mut self, now: Instant) {
        self.told = true;
        let provider = &self.provider;
        provider.standing.latency.record(now.saturating_duration_since(self.began), now);
        provider.standing.last.set(Condition::Available, None, now);
        if self.passage == Passage::Trial {
            self.close_breaker(now);
        }
        self.provider.tell_success();
    }

    /// The answer is there to its end.
    pub(super) fn succeeded(&mut self, now: Instant) {
        self.close_breaker(now);
        self.provider.keys.note(self.place, Ok(()), now);
        self.provider.standing.last.set(Condition::Available, None, now);
        self.provider.tell_success();
    }

    fn close_breaker(&mut self, now: Instant) {
        let provider = &self.provider;
        if provider.standing.breaker.succeeded(self.passage, now) {
            info!(provider = provider.name(), "provider answers again: the breaker is closed");
            provider.tell_breaker_closed();
        }
        self.passage = Passage::Usual;
    }

    pub(super) fn failed(&mut self, error: &ProviderError) {
        self.told = true;
        let (provider, now) = (&self.provider, Instant::now());
        provider.counters.errors.fetch_add(1, Ordering::Relaxed);
        if let Some(rest) = provider.keys.note(self.place, Err(error), now) {
            provider.counters.key_rests.increment();
            provider.tell_rest(self.place, rest, now);
        }
        if error.kind.fault() == Fault::Provider {
            provider.standing.latency.penalise(now.saturating_duration_since(self.began), now);
        }
        if let Some(condition) = Condition::after(error) {
            provider.standing.last.set(condition, Some(in_short(error)), now);
        }
        let told_before = self.repeated && self.passage == Passage::Usual;
        if !breaker::counts(error) || told_before {
            provider.standing.breaker.undecided(self.passage, now);
        } else if provider.standing.breaker.failed(self.passage, self.began, now) {
            provider.counters.breaker_openings.increment();
            warn!(provider = provider.name(), "provider failed too often: the breaker is open");
            provider.tell_breaker_opened(&in_short(error));
        }
        provider.tell_condition(Some(&in_short(error)));
        self.passage = Passage::Usual;
    }

    /// For tests of other modules: it is over, with this.
    #[cfg(test)]
    pub(crate) fn fail_for_test(mut self, error: &ProviderError) {
        self.failed(error);
    }
}

/// What a request failed with that had not ended in time, after its provider's generation was replaced.
pub(super) fn replaced() -> ProviderError {
    ProviderError::new(ErrorKind::Cancelled, "the plugin was replaced, and the time to finish is over")
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.provider.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.told && self.passage == Passage::Usual {
            return;
        }
        let (standing, now) = (&self.provider.standing, Instant::now());
        let waited = now.saturating_duration_since(self.began);
        if !self.told && waited > standing.latency.suspicious() {
            // Nobody waited to the end, as nobody would have: who hangs must not be asked for ever for that.
            standing.latency.penalise(waited, now);
            if standing.breaker.failed(self.passage, self.began, now) {
                const REASON: &str = "it was given up on too often";
                self.provider.counters.breaker_openings.increment();
                let provider = self.provider.name();
                warn!(provider, "provider was given up on too often: the breaker is open");
                self.provider.tell_breaker_opened(REASON);
                self.provider.tell_condition(Some(REASON));
            }
        } else {
            standing.breaker.undecided(self.passage, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Wish;
    use crate::providers::Refusal;
    use crate::testing;

    fn error(kind: ErrorKind) -> ProviderError {
        ProviderError::new(kind, "x")
    }

    #[test]
    fn failures_open_the_breaker_and_a_trial_closes_it() {
        let provider = testing::provider(testing::settings("p"), None);
        let now = Instant::now();
        for _ in 0..5 {
            provider.admit(now, Wish::default).unwrap().failed(&error(ErrorKind::Connection));
        }
        assert!(matches!(provider.admit(now, Wish::default), Err(Refusal::Broken(_))));
        assert_eq!(provider.condition(), Condition::Unavailable);
        // The clock of the test is ahead of the one that the breaker was opened by.
        let later = now + std::time::Duration::from_secs(60);
        let trial = provider.admit(later, Wish::default).unwrap();
        assert!(provider.admit(later, Wish::default).is_err(), "one trial at a time");
        drop(trial);
        provider.admit(later, Wish::default).unwrap().succeeded(Instant::now());
        assert!(provider.admit(now, Wish::default).is_ok());
        assert_eq!(provider.condition(), Condition::Available);
        assert_eq!(provider.counters.in_flight.load(Ordering::Relaxed), 0);
        assert_eq!(provider.counters.errors.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn who_lets_everybody_wait_until_they_give_up_is_left_alone() {
        use std::time::Duration;
        let give_up = |provider: &Arc<Provider>, after: u64| {
            for _ in 0..5 {
                let long_ago = Instant::now().checked_sub(Duration::from_secs(after)).unwrap();
                drop(provider.admit(long_ago, Wish::default).unwrap());
            }
        };
        let hangs = testing::provider(testing::settings("p"), None);
        give_up(&hangs, 1);
        assert!(hangs.admit(Instant::now(), Wish::default).is_ok(), "they hardly waited");
        give_up(&hangs, 6);
        assert!(matches!(hangs.admit(Instant::now(), Wish::default), Err(Refusal::Broken(_))));
        // Who always takes so long is no different now.
        let slow = testing::provider(testing::settings("q"), None);
        slow.standing.latency.record(Duration::from_secs(6), Instant::now());
        give_up(&slow, 6);
        assert!(slow.admit(Instant::now(), Wish::default).is_ok());
    }

    #[test]
    fn one_request_that_fails_again_and_again_is_one_failure() {
        let provider = testing::provider(testing::settings("p"), None);
        for _ in 0..100 {
            provider
                .admit(Instant::now(), Wish::default)
                .unwrap()
                .repeated()
                .failed(&error(ErrorKind::Connection));
        }
        assert!(provider.admit(Instant::now(), Wish::default).is_ok());
    }

    #[test]
    fn answers_that_begin_and_are_cut_open_it_too() {
        let provider = testing::provider(testing::settings("p"), None);
        for _ in 0..5 {
            let mut cut = provider.admit(Instant::now(), Wish::default).unwrap();
            cut.begun(Instant::now());
            cut.failed(&error(ErrorKind::BrokenStream));
        }
        assert!(matches!(provider.admit(Instant::now(), Wish::default), Err(Refusal::Broken(_))));
    }

    #[test]
    fn a_trial_that_fails_for_the_clients_sake_decides_nothing() {
        let provider = testing::provider(testing::settings("p"), None);
        let now = Instant::now();
        for _ in 0..5 {
            provider.admit(now, Wish::default).unwrap().failed(&error(ErrorKind::TimedOut));
        }
        let later = now + std::time::Duration::from_secs(60);
        provider.admit(later, Wish::default).unwrap().failed(&error(ErrorKind::InvalidInput));
        assert!(provider.admit(later, Wish::default).is_ok(), "the next one may try");
    }

    #[test]
    fn what_upstream_says_to_a_key_is_the_keys_business() {
        let provider = testing::provider(testing::settings("p"), None);
        let now = Instant::now();
        provider.admit(now, Wish::default).unwrap().failed(&error(ErrorKind::RateLimited));
        assert_eq!(provider.condition(), Condition::Busy);
        assert!(matches!(provider.admit(now, Wish::default), Err(Refusal::Resting { refused: false, .. })));
        let refused = testing::provider(testing::settings("q"), None);
        refused.admit(now, Wish::default).unwrap().failed(&error(ErrorKind::Authentication));
        assert_eq!(refused.condition(), Condition::Unavailable);
        assert!(matches!(refused.admit(now, Wish::default), Err(Refusal::Resting { refused: true, .. })));
    }
}

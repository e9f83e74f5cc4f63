//! How many second tries a provider may get: a share of its requests, so that an outage is not multiplied.

use std::sync::atomic::{AtomicI64, Ordering};

/// What one try costs.
const TRY: i64 = 1000;

/// What a provider begins with, and what it can save: a few tries even where there are few requests.
const MOST: i64 = 10 * TRY;

/// Every request pays in, every second try takes out.
#[derive(Debug)]
pub struct RetryBudget(AtomicI64);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(AtomicI64::new(MOST))
    }
}

impl RetryBudget {
    /// A first try: pays its share of a second one in.
    pub(crate) fn pay_in(&self, share: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "the share is checked to be small")]
        self.add((share * 1000.0) as i64);
    }

    /// A second try that did not come about.
    pub(crate) fn give_back(&self) {
        self.add(TRY);
    }

    fn add(&self, part: i64) {
        let more = |left: i64| (left < MOST).then_some((left + part).min(MOST));
        // An error says that there is as much as there may be.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Whether there may be one more second try now.
    pub(crate) fn take(&self) -> bool {
        let enough = |left: i64| (left >= TRY).then_some(left - TRY);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_tries_are_a_share_of_the_requests() {
        let budget = RetryBudget::default();
        let first: usize = (0..100).filter(|_| budget.take()).count();
        assert_eq!(first, 10, "what it began with");
        let mut tries = 0;
        for _ in 0..1000 {
            budget.pay_in(0.2);
            tries += usize::from(budget.take());
        }
        assert_eq!(tries, 200);
        for _ in 0..1000 {
            budget.pay_in(0.2);
        }
        assert_eq!((0..100).filter(|_| budget.take()).count(), 10, "what is not used is not saved for ever");
    }
}

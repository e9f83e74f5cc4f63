//! What one key, client, provider, or the host has taken of what is limited.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::calendar::Clock;
use super::spending::{Budget, Overspent, Reserved, Spending, Spent, TooDear};
use super::window::{Standing, Taken, Window};
use crate::providers::Cost;

/// How much may be taken; none is without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// In any minute.
    pub requests_per_minute: Option<u32>,
    /// In any minute.
    pub tokens_per_minute: Option<u32>,
    /// In a day and in a month.
    pub budget: Budget,
}

impl Rates {
    /// Whether there is no limit.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Requests in the last minute.
    Requests(Standing),
    /// Tokens in the last minute, with those of this request.
    Tokens(Standing),
    /// Tokens in this request alone.
    TooLarge {
        /// About so many.
        tokens: u64,
        /// More are not let in within a minute.
        limit: u64,
    },
    /// Money.
    Spent(Overspent),
    /// Money, for this request alone.
    TooDear(TooDear),
}

/// What a request is about to take. The one that costs more is the larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    /// About so much money; none where nobody knows a price.
    pub cost: Cost,
    /// About so many tokens; none where they do not matter.
    pub tokens: u64,
    /// Of them, those of the question.
    pub prompt: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Meter {
    counts: Mutex<Counts>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Counts {
    requests: Window,
    tokens: Window,
    spending: Spending,
}

impl Meter {
    pub(super) fn new(clock: Clock) -> Self {
        Self { counts: Mutex::default(), clock }
    }

    /// Counts a request, where requests are limited.
    pub(super) fn take_request(&self, rates: &Rates, now: Instant) -> Result<Option<Standing>, Over> {
        let Some(limit) = rates.requests_per_minute.map(u64::from) else { return Ok(None) };
        let requests = &mut self.counts().requests;
        requests.take(1, limit, now).map_err(Over::Requests)?;
        Ok(Some(requests.standing(limit, now)))
    }

    /// Takes what a request will, all of it or nothing.
    pub fn claim(self: &Arc<Self>, rates: &Rates, wish: Wish, now: Instant) -> Result<Claim, Over> {
        let mut claim = Claim { meter: Arc::clone(self), request: None, tokens: None, reserved: None, wish };
        let taken = claim.take(&mut self.counts(), rates, now);
        // What was taken before something was refused goes back with the claim.
        taken.map(|()| claim)
    }

    /// Why nothing at all can be taken now, if so.
    pub fn refuses(&self, rates: &Rates, now: Instant) -> Option<Over> {
        if rates.is_unlimited() {
            return None;
        }
        let mut counts = self.counts();
        if let Err(over) = counts.reserve(&rates.budget, Cost::ZERO, None, &self.clock).map(drop) {
            return Some(over);
        }
        let requests = rates.requests_per_minute.map(|limit| counts.requests.standing(limit.into(), now));
        let tokens = rates.tokens_per_minute.map(|limit| counts.tokens.standing(limit.into(), now));
        let none_left = |it: &Standing| it.remaining == 0;
        let requests = requests.filter(none_left).map(Over::Requests);
        requests.or(tokens.filter(none_left).map(Over::Tokens))
    }

    /// How tokens and money stand, where they are limited.
    pub(super) fn standing(&self, rates: &Rates, now: Instant) -> (Option<Standing>, Option<Cost>) {
        let mut counts = self.counts();
        let tokens = rates.tokens_per_minute.map(|limit| counts.tokens.standing(limit.into(), now));
        let remaining = (!rates.budget.is_unlimited())
            .then(|| counts.spending.remaining(&rates.budget, self.clock.now()))
            .flatten();
        (tokens, remaining)
    }

    /// What was spent up to now, as far as it was counted here or recalled.
    pub fn spent(&self) -> Spent {
        self.counts().spending.spent(self.clock.now())
    }

    /// At least so much was spent, as was written down.
    pub fn recall(&self, spent: Spent) {
        self.counts().spending.recall(spent, self.clock.now());
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self, now: Instant) -> bool {
        let mut counts = self.counts();
        counts.requests.is_empty(now)
            && counts.tokens.is_empty(now)
            && counts.spending.is_empty(self.clock.now())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Sets money aside, where there is a budget.
    fn reserve(
        &mut self,
        budget: &Budget,
        cost: Cost,
        held: Option<Reserved>,
        clock: &Clock,
    ) -> Result<Option<Reserved>, Over> {
        if budget.is_unlimited() {
            return Ok(held);
        }
        if let Some(too_dear) = budget.is_below(cost) {
            return Err(Over::TooDear(too_dear));
        }
        let reserved = self.spending.reserve(cost, held.unwrap_or_default(), budget, clock.now());
        reserved.map(Some).map_err(Over::Spent)
    }

    fn take_tokens(&mut self, tokens: u64, limit: u64, now: Instant) -> Result<Taken, Over> {
        if tokens > limit {
            return Err(Over::TooLarge { tokens, limit });
        }
        self.tokens.take(tokens, limit, now).map_err(Over::Tokens)
    }
}

/// What one request has taken of one meter, until it is known what it took in truth. Dropped before that it took
/// nothing: nobody was asked.
#[derive(Debug)]
pub struct Claim {
    meter: Arc<Meter>,
    /// None where it is not counted here.
    request: Option<Taken>,
    tokens: Option<Taken>,
    reserved: Option<Reserved>,
    wish: Wish,
}

impl Claim {
    fn take(&mut self, counts: &mut Counts, rates: &Rates, now: Instant) -> Result<(), Over> {
        self.reserved = counts.reserve(&rates.budget, self.wish.cost, None, &self.meter.clock)?;
        if let Some(limit) = rates.tokens_per_minute {
            self.tokens = Some(counts.take_tokens(self.wish.tokens, limit.into(), now)?);
        }
        if let Some(limit) = rates.requests_per_minute {
            self.request = Some(counts.requests.take(1, limit.into(), now).map_err(Over::Requests)?);
        }
        Ok(())
    }

    /// Sets so much money aside instead of what was before, or says that there is none left.
    pub fn reserve(&mut self, budget: &Budget, cost: Cost) -> Result<(), Over> {
        let held = self.reserved;
        self.reserved = self.meter.counts().reserve(budget, cost, held, &self.meter.clock)?;
        self.wish.cost = cost;
        Ok(())
    }

    /// Somebody was asked, and this is what it came to; what is none is what was expected.
    pub fn settle(mut self, tokens: Option<u64>, cost: Option<Cost>) {
        self.request = None;
        self.close(tokens.unwrap_or(self.wish.tokens), cost.unwrap_or(self.wish.cost));
    }

    /// What it is expected to come to.
    pub(super) fn wish(&self) -> Wish {
        self.wish
    }

    fn close(&mut self, tokens: u64, cost: Cost) {
        let (taken, reserved) = (self.tokens.take(), self.reserved.take());
        let request = self.request.take();
        if request.is_none() && taken.is_none() && reserved.is_none() {
            return;
        }
        let mut counts = self.meter.counts();
        if let Some(request) = request {
            counts.requests.settle(request, 0);
        }
        if let Some(taken) = taken {
            counts.tokens.settle(taken, tokens);
        }
        if let Some(reserved) = reserved {
            counts.spending.settle(reserved, cost, self.meter.clock.now());
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.close(0, Cost::ZERO);
    }
}

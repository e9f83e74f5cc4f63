//! Who answers for what a request takes, and what it has taken until that is known.

use std::sync::Arc;

use tokio::time::Instant;

use super::limiter::{Allowance, Exceeded};
use super::meter::{Claim, Meter, Rates, Wish};
use super::spending::Budget;
use super::window::Standing;
use crate::providers::Cost;

/// A key or a client, and with them the host.
#[derive(Clone, Debug)]
pub struct Payer {
    own: Arc<Meter>,
    rates: Rates,
    host: Arc<Meter>,
    host_budget: Budget,
    refuses_unpriced: bool,
}

impl Payer {
    /// None where nothing is limited that is only known later.
    pub(super) fn of(own: Arc<Meter>, allowance: &Allowance, host: &Arc<Meter>) -> Option<Self> {
        let Allowance { rates, host_budget, refuses_unpriced, .. } = *allowance;
        // Requests were counted.
        let rates = Rates { requests_per_minute: None, ..rates };
        let limited = !rates.is_unlimited() || !host_budget.is_unlimited();
        limited.then(|| Self { own, rates, host: Arc::clone(host), host_budget, refuses_unpriced })
    }

    /// Whether money is limited.
    pub fn has_budget(&self) -> bool {
        !self.rates.budget.is_unlimited() || !self.host_budget.is_unlimited()
    }

    /// What a request counts for at a provider; nothing where nobody knows a price, unless that is not to be asked.
    pub fn price(&self, cost: Option<Cost>) -> Result<Cost, Exceeded> {
        if cost.is_none() && self.refuses_unpriced {
            Err(Exceeded::Unpriced)
        } else {
            Ok(cost.unwrap_or_default())
        }
    }

    /// Takes about so many tokens, and makes sure that there is money left.
    pub fn claim(&self, wish: Wish, now: Instant) -> Result<Claims, Exceeded> {
        let host_rates = Rates { budget: self.host_budget, ..Rates::default() };
        let own = (!self.rates.is_unlimited()).then(|| self.own.claim(&self.rates, wish, now));
        let own = own.transpose().map_err(Exceeded::Own)?;
        let host = (!host_rates.is_unlimited()).then(|| self.host.claim(&host_rates, wish, now));
        let host = host.transpose().map_err(Exceeded::Everybodys)?;
        Ok(Claims { own, host, provider: None, asked: false })
    }

    /// Sets aside what a request may cost at the provider that is about to be asked.
    pub fn reserve(&self, claims: &mut Claims, cost: Cost) -> Result<(), Exceeded> {
        if let Some(own) = &mut claims.own {
            own.reserve(&self.rates.budget, cost).map_err(Exceeded::Own)?;
        }
        if let Some(host) = &mut claims.host {
            host.reserve(&self.host_budget, cost).map_err(Exceeded::Everybodys)?;
        }
        Ok(())
    }

    /// How its own tokens and money stand, where they are limited.
    pub fn standing(&self, now: Instant) -> (Option<Standing>, Option<Cost>) {
        self.own.standing(&self.rates, now)
    }
}

/// All that one request has taken.
#[derive(Debug, Default)]
pub struct Claims {
    own: Option<Claim>,
    host: Option<Claim>,
    provider: Option<Claim>,
    /// Whether a provider is at it.
    asked: bool,
}

impl Claims {
    /// A provider is asked, which has limits of its own or has not.
    pub fn asks_provider(&mut self, claim: Option<Claim>) {
        (self.provider, self.asked) = (claim, true);
    }

    /// The provider that was asked has failed.
    pub fn provider_failed(&mut self) {
        self.asked = false;
        if let Some(claim) = self.provider.take() {
            claim.settle(Some(0), Some(Cost::ZERO));
        }
    }

    /// What it took in truth. What is none nobody said: then it is taken for what was expected, which is answered with
    /// where anybody counts it.
    pub fn settle(&mut self, tokens: Option<u64>, cost: Option<Cost>) -> Option<Wish> {
        let mut expected = None;
        for claim in [&mut self.own, &mut self.host, &mut self.provider] {
            let Some(claim) = claim.take() else { continue };
            if tokens.is_none() {
                // Only some of them were told of money.
                expected = expected.max(Some(claim.wish()));
            }
            claim.settle(tokens, cost);
        }
        expected
    }

    /// Nobody will hear how it ends: a provider that is at it may go on to the end. Answers as [`Self::settle`] does.
    pub fn leave(&mut self) -> Option<Wish> {
        if self.asked { self.settle(None, None) } else { None }
    }

    /// Nobody has served it: everything goes back.
    pub fn give_back(&mut self) {
        self.provider_failed();
        (self.own, self.host) = (None, None);
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;

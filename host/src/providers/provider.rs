//! One provider: a plugin's instance with the settings it was made from.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use patchbay_plugin_api::{Model, Plan};
use tokio::time::Instant;

use super::admission::Admission;
use super::breaker::{Breaker, BreakerState};
use super::budget::RetryBudget;
use super::catalogue::{Catalogue, ModelList, ModelQuestion};
use super::condition::{Condition, LastCondition};
use super::health::Checks;
use super::herald::Herald;
use super::keys::{KeyRing, Rest};
use super::latency::Latency;
use super::plan::PreparedCalls;
use crate::config::{BreakerSettings, ProviderSettings};
use crate::limits::{Meter, Over, Overspent, Standing as Limit, TooDear, Wish};
use crate::plugins::{Features, Instance};
use crate::telemetry::metrics::Counter;

/// Which code a provider runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRef {
    /// The plugin's id.
    pub id: String,
    /// Its version.
    pub version: semver::Version,
    /// Which load of it.
    pub generation: u64,
}

/// A provider that can be called. Held by every request it serves, until the last byte.
#[derive(Debug)]
pub struct Provider {
    /// What it was made from.
    pub settings: Arc<ProviderSettings>,
    /// What made it.
    pub plugin: PluginRef,
    /// What the router may ask of it.
    pub features: Features,
    /// How to serve requests without calling the plugin, where that is possible.
    pub plan: Option<Plan>,
    /// The requests that the plan makes.
    pub prepared: PreparedCalls,
    /// What happened so far.
    pub counters: Arc<Counters>,
    /// The models that its vendor lists.
    pub catalogue: Arc<Catalogue>,
    /// The question for these that is under way. Never another generation's, which asks with other keys and times.
    pub question: ModelQuestion,
    /// Its keys.
    pub keys: KeyRing,
    /// How it does.
    pub standing: Standing,
    /// What it was asked, where that is limited. Outlives its generation, and its settings.
    pub meter: Arc<Meter>,
    /// The plugin's side. Last: the library must outlive whatever came from it.
    pub instance: Instance,
}

/// Counts that outlive a provider's generation, and its settings.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests begun.
    pub requests: AtomicU64,
    /// Requests that failed.
    pub errors: AtomicU64,
    /// Requests under way.
    pub in_flight: AtomicU64,
    /// How often one of its keys was laid to rest.
    pub key_rests: Counter,
    /// How often it was left alone, because it had failed too often.
    pub breaker_openings: Counter,
    /// The checks of its health.
    pub checks: Checks,
}

/// How a provider does. Begins anew with other code or other settings: they may be what was needed.
#[derive(Debug)]
pub struct Standing {
    /// Whether it is left alone.
    pub breaker: Breaker,
    /// How long it takes.
    pub latency: Latency,
    /// How many second tries it gets.
    pub budget: RetryBudget,
    pub(super) last: LastCondition,
    pub(super) herald: Herald,
}

impl Standing {
    /// Nothing is known yet. What will be is told by the herald.
    pub(crate) fn new(breaker: &BreakerSettings, herald: Herald) -> Self {
        Self {
            breaker: Breaker::new(breaker),
            latency: Latency::default(),
            budget: RetryBudget::default(),
            last: LastCondition::default(),
            herald,
        }
    }
}

/// Why a provider takes no request just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its plugin failed too often, and is not asked any more.
    Quarantined,
    /// It failed again and again, and is left alone for so long.
    Broken(Duration),
    /// All of its keys rest.
    Resting {
        /// For so long.
        wait: Duration,
        /// Whether upstream refused the keys, rather than asking for fewer requests.
        refused: bool,
    },
    /// It has as many requests under way as it may.
    Full(u64),
    /// More than it may be asked.
    Over(Over),
}

impl Refusal {
    /// How long to wait before it may be otherwise, where that is known.
    pub fn wait(self) -> Option<Duration> {
        match self {
            Self::Broken(wait) | Self::Resting { wait, .. } => Some(wait),
            Self::Over(Over::Requests(standing) | Over::Tokens(standing)) => Some(standing.reset),
            Self::Over(Over::Spent(over)) => Some(over.wait),
            Self::Quarantined | Self::Full(_) | Self::Over(Over::TooLarge { .. } | Over::TooDear(_)) => None,
        }
    }

    fn resting(rest: Rest, now: Instant) -> Self {
        Self::Resting { wait: rest.until.saturating_duration_since(now), refused: rest.refused }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded up: who looks again then finds it over.
        let seconds = |wait: Duration| wait.as_millis().div_ceil(1000).max(1);
        match self {
            Self::Quarantined => f.write_str("its plugin is quarantined"),
            Self::Broken(wait) => {
                write!(f, "it failed too often and is left alone for {} s", seconds(*wait))
            }
            Self::Resting { wait, refused: false } => {
                write!(f, "it asks to be left alone for {} s", seconds(*wait))
            }
            Self::Resting { wait, refused: true } => {
                write!(f, "it does not accept the configured key; tried again in {} s", seconds(*wait))
            }
            Self::Full(limit) => write!(f, "it has {limit} requests under way, as many as it may"),
            Self::Over(Over::Requests(Limit { limit, reset, .. })) => {
                let wait = seconds(*reset);
                write!(f, "it gets no more than {limit} requests in a minute, and has room again in {wait} s")
            }
            Self::Over(Over::Tokens(Limit { limit, reset, .. })) => {
                let wait = seconds(*reset);
                write!(
                    f,
                    "it gets no more than {limit} tokens in a minute, and has room for this in {wait} s"
                )
            }
            Self::Over(Over::TooLarge { tokens, limit }) => {
                write!(
                    f,
                    "it gets no more than {limit} tokens in a minute, and this request may take {tokens}"
                )
            }
            Self::Over(Over::TooDear(TooDear { period, budget, cost })) => {
                write!(f, "its budget for the {period} is {budget} USD, and this request may cost {cost}")
            }
            Self::Over(Over::Spent(over)) if over.is_for_now() => {
                write!(
                    f,
                    "what is left of its budget for the {} is set aside for requests under way",
                    over.period
                )
            }
            Self::Over(Over::Spent(Overspent { period, budget, wait, .. })) => {
                let wait = seconds(*wait);
                write!(f, "its budget of {budget} USD for the {period} is spent; the next begins in {wait} s")
            }
        }
    }
}

impl Provider {
    /// How requests name it.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The models it is known to serve.
    pub fn known_models(&self) -> impl Iterator<Item = &str> {
        let aliases = self.plan.iter().flat_map(|plan| plan.model.aliases.keys());
        self.settings.models.iter().chain(&self.settings.model).chain(aliases).map(String::as_str)
    }

    /// What its vendor lists, where the configuration leaves it to that. A list of nothing says nothing.
    pub fn listed(&self) -> Option<Arc<ModelList>> {
        let list = self.catalogue.list().filter(|_| self.settings.models.is_empty())?;
        Some(list).filter(|list| !list.models().is_empty())
    }

    /// Whether this model is known to be one of its own.
    pub fn lists(&self, model: &str) -> bool {
        self.known_models().any(|known| known == model)
            || self.listed().is_some_and(|list| list.find(model).is_some())
    }

    /// What it offers: the configured models, each with what its vendor says of it, or else all that the vendor lists.
    /// None where nobody knows.
    pub fn offered_models(&self) -> Option<Vec<Arc<Model>>> {
        let list = self.catalogue.list();
        if self.settings.models.is_empty() {
            return list.map(|list| list.models().to_vec());
        }
        let known = |id: &String| list.as_ref().and_then(|list| list.find(id).cloned());
        let ids = self.settings.models.iter();
        Some(ids.map(|id| known(id).unwrap_or_else(|| Arc::new(Model::new(id)))).collect())
    }

    /// Whether it may serve a model: one it is known to serve, or any if it was not configured which. A vendor may
    /// serve more than it lists.
    pub fn may_serve(&self, model: &str) -> bool {
        self.settings.models.is_empty() || self.known_models().any(|known| known == model)
    }

    /// What is known of its health.
    pub fn condition(&self) -> Condition {
        let now = Instant::now();
        if self.instance.quarantined().is_some() {
            return Condition::Unavailable;
        }
        match self.standing.breaker.state(now) {
            BreakerState::Open => return Condition::Unavailable,
            BreakerState::HalfOpen => return Condition::Degraded,
            BreakerState::Closed => {}
        }
        match self.keys.resting(now) {
            Some(Rest { refused: true, .. }) => Condition::Unavailable,
            Some(_) => Condition::Busy,
            None if self.meter.refuses(&self.settings.rates, now).is_some() => Condition::Busy,
            None => self.standing.last.get(),
        }
    }

    /// Why it is not available, and for how long where that is known; none while it is, or while nobody knows.
    pub fn why(&self, now: Instant) -> Option<(String, Option<Duration>)> {
        if matches!(self.condition(), Condition::Available | Condition::Unknown) {
            return None;
        }
        match self.refuses(now).filter(|refusal| !matches!(refusal, Refusal::Full(_))) {
            Some(refusal) => Some((refusal.to_string(), refusal.wait())),
            None => self.standing.last.reason().map(|reason| (reason, None)),
        }
    }

    /// Why it would not take a request that comes now; none if it would.
    pub fn refuses(&self, now: Instant) -> Option<Refusal> {
        if self.instance.quarantined().is_some() {
            return Some(Refusal::Quarantined);
        }
        if let Some(wait) = self.standing.breaker.refuses(now) {
            return Some(Refusal::Broken(wait));
        }
        if let Some(rest) = self.keys.resting(now) {
            return Some(Refusal::resting(rest, now));
        }
        let full = |limit: &u64| self.counters.in_flight.load(Ordering::Relaxed) >= *limit;
        if let Some(limit) = self.settings.max_concurrent.filter(full) {
            return Some(Refusal::Full(limit));
        }
        self.meter.refuses(&self.settings.rates, now).map(Refusal::Over)
    }

    /// Lets a request in, or says why not. It counts as under way until the admission is dropped. What the request
    /// will take is only asked for where that is limited.
    pub fn admit(self: &Arc<Self>, now: Instant, wish: impl FnOnce() -> Wish) -> Result<Admission, Refusal> {
        if self.instance.quarantined().is_some() {
            return Err(Refusal::Quarantined);
        }
        if let Some(wait) = self.standing.breaker.refuses(now) {
            return Err(Refusal::Broken(wait));
        }
        let limit = self.settings.max_concurrent.unwrap_or(u64::MAX);
        let in_flight = &self.counters.in_flight;
        let one_more = |count: u64| (count < limit).then_some(count + 1);
        if in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return Err(Refusal::Full(limit));
        }
        let rates = &self.settings.rates;
        let claim = (!rates.is_unlimited()).then(|| self.meter.claim(rates, wish(), now)).transpose();
        let admitted = claim.map_err(Refusal::Over).and_then(|claim| {
            // Only whoever is let in moves the keys on; and last, who is let in on trial has to be told of.
            let place = self.keys.take(now).map_err(|rest| Refusal::resting(rest, now))?;
            let passage = self.standing.breaker.enter(now).map_err(Refusal::Broken)?;
            Ok(Admission::new(Arc::clone(self), place, passage, claim, now))
        });
        if admitted.is_err() {
            in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn no_more_requests_at_one_time_than_it_may_have() {
        let mut settings = testing::settings("p");
        settings.max_concurrent = Some(1);
        let (provider, now) = (testing::provider(settings, None), Instant::now());
        let first = provider.admit(now, Wish::default).unwrap();
        assert_eq!(provider.refuses(now), Some(Refusal::Full(1)));
        assert_eq!(provider.admit(now, Wish::default).unwrap_err(), Refusal::Full(1));
        drop(first);
        assert_eq!(provider.refuses(now), None);
        assert!(provider.admit(now, Wish::default).is_ok());
    }
}

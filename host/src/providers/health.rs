//! Checks providers while nobody asks them anything else: what is known of them is never old, and a check that
//! hangs holds up nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use patchbay_plugin_api::{Health, ProviderError};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::call::within;
use super::{Condition, Provider, Registry};
use crate::config::HealthSettings;
use crate::plugins::{Feature, Operation};
use crate::telemetry::metrics::Histogram;

/// Checks are this share of the interval apart from when they are due, so that they do not come all at once.
const JITTER: f64 = 0.2;

/// Whatever is configured, checks are not all that a host does.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// What a check said.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What is known of the provider now.
    pub condition: Condition,
    /// Why, where it is not available.
    pub reason: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// How long checks took, by what they said. Kept with a provider's other counts.
#[derive(Debug)]
pub struct Checks {
    available: Histogram,
    busy: Histogram,
    degraded: Histogram,
    unavailable: Histogram,
}

impl Default for Checks {
    fn default() -> Self {
        let [available, busy, degraded, unavailable] = std::array::from_fn(|_| Histogram::of_answers());
        Self { available, busy, degraded, unavailable }
    }
}

impl Checks {
    /// By each of the conditions that a check can find.
    pub fn all(&self) -> [(Condition, &Histogram); 4] {
        [
            (Condition::Available, &self.available),
            (Condition::Busy, &self.busy),
            (Condition::Degraded, &self.degraded),
            (Condition::Unavailable, &self.unavailable),
        ]
    }

    fn note(&self, said: Condition, took: Duration) {
        if let Some((_, histogram)) = self.all().into_iter().find(|(condition, _)| *condition == said) {
            histogram.observe(took);
        }
    }
}

impl Provider {
    /// Whether its plugin can be asked how it is.
    pub fn can_be_checked(&self) -> bool {
        self.features.has(Feature::HealthCheck)
    }

    /// Asks it how it is, and takes note of it. It is no request of an application's, so it is not counted as one.
    pub async fn check(&self, limit: Duration) -> Checked {
        let began = Instant::now();
        let asked = within(limit, "no answer to the health check", self.ask_health()).await;
        let took = began.elapsed();
        let before = self.standing.last.get();
        let (condition, reason) = match asked {
            Ok(Health::Available) => (Condition::Available, None),
            Ok(Health::Busy { reason }) => (Condition::Busy, reason.map(|it| self.cleaned_text(&it))),
            Err(error) => (Condition::after_check(&error), Some(error.message)),
        };
        self.counters.checks.note(condition, took);
        self.standing.last.set(condition, reason.clone(), Instant::now());
        if condition != before {
            let (provider, reason) = (self.name(), reason.as_deref());
            match condition {
                Condition::Available | Condition::Busy => info!(provider, reason, "provider is {condition}"),
                _ => warn!(provider, reason, "provider is {condition}"),
            }
        }
        self.tell_condition(reason.as_deref());
        // Though it answers, requests may have failed too often, or its keys rest.
        let reason = reason.or_else(|| self.refuses(Instant::now()).map(|refusal| refusal.to_string()));
        Checked { condition: self.condition(), reason, took }
    }

    async fn ask_health(&self) -> Result<Health, ProviderError> {
        let asked = self.ask_plugin(Operation::Health, "health");
        let answer = asked.await.map_err(|error| self.cleaned(error))?;
        serde_json::from_slice(&answer).map_err(|error| {
            ProviderError::unreadable("the plugin's answer to the health check cannot be read")
                .with_detail(error.to_string())
        })
    }

    /// Whether traffic has shown lately that all is well, so that a check would only cost.
    fn served_within(&self, interval: Duration, now: Instant) -> bool {
        self.standing.last.get() == Condition::Available && self.standing.last.age(now) < interval
    }
}

/// Goes on until it is dropped. New providers are checked at once, others when they are due.
pub async fn keep_checking(registry: Arc<Registry>) {
    let mut published = registry.publications();
    let mut due = HashMap::new();
    let mut checks = JoinSet::new();
    let mut places = Places { most: 0, free: Arc::new(Semaphore::new(0)) };
    loop {
        let next = begin_checks(&registry, &mut due, &mut checks, &mut places);
        tokio::select! {
            changed = published.changed() => if changed.is_err() { return },
            () = sleep_until(next) => {}
            Some(_) = checks.join_next() => {}
        }
    }
}

async fn sleep_until(next: Option<Instant>) {
    match next {
        Some(next) => tokio::time::sleep_until(next).await,
        None => std::future::pending().await,
    }
}

/// When a provider is checked next.
struct Due {
    at: Instant,
    /// The provider's: another one of the same name is a new one.
    address: usize,
    /// Its last check.
    check: Option<AbortHandle>,
}

impl Due {
    /// One that hangs is enough: more of them would take the places of others.
    fn is_under_way(&self) -> bool {
        self.check.as_ref().is_some_and(|check| !check.is_finished())
    }
}

/// Bounds the checks at one time. How many there may be can change.
struct Places {
    most: usize,
    free: Arc<Semaphore>,
}

impl Places {
    fn of(&mut self, most: usize) -> Arc<Semaphore> {
        if self.most != most {
            *self = Self { most, free: Arc::new(Semaphore::new(most)) };
        }
        Arc::clone(&self.free)
    }
}

/// Begins what is due now; answers with when the next is.
fn begin_checks(
    registry: &Registry,
    due: &mut HashMap<String, Due>,
    checks: &mut JoinSet<()>,
    places: &mut Places,
) -> Option<Instant> {
    let snapshot = registry.snapshot();
    let HealthSettings { enabled, interval, timeout, concurrency } = snapshot.rules.health;
    if !enabled {
        return None;
    }
    let interval = interval.max(SHORTEST_INTERVAL);
    let free = places.of(concurrency);
    let now = Instant::now();
    due.retain(|name, due| {
        let stays = snapshot.get(name).is_some_and(|provider| Arc::as_ptr(provider).addr() == due.address);
        if !stays && let Some(check) = &due.check {
            // Nobody waits for what a provider says that is gone.
            check.abort();
        }
        stays
    });
    let mut next = now + interval;
    for provider in snapshot.by_priority().iter().filter(|provider| provider.can_be_checked()) {
        let address = Arc::as_ptr(provider).addr();
        let known = due.get(provider.name());
        if known.is_some_and(Due::is_under_way) {
            // Its end is seen by whoever calls this.
            continue;
        }
        // The interval may have become shorter.
        let at = known.map_or(now, |known| known.at.min(now + interval));
        if at > now {
            next = next.min(at);
            continue;
        }
        let mut this = Due { at: now + jittered(interval), address, check: None };
        let name = provider.name().to_owned();
        if provider.served_within(interval, now) {
            due.insert(name, this);
            continue;
        }
        // Whoever waits for a turn keeps no provider, and so no plugin, alive.
        let (provider, free) = (Arc::downgrade(provider), Arc::clone(&free));
        this.check = Some(checks.spawn(async move {
            let Ok(_place) = free.acquire().await else { return };
            let Some(provider) = provider.upgrade() else { return };
            let checked = provider.check(timeout).await;
            debug!(provider = provider.name(), condition = %checked.condition, "provider checked");
        }));
        due.insert(name, this);
    }
    Some(next)
}

fn jittered(interval: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    interval.mul_f64(1.0 - JITTER * f64::from(random) / f64::from(u32::MAX))
}

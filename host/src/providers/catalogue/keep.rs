//! Asks vendors for their models before anybody wants to know, and again when a list is old: with a key alone,
//! requests for a model find who serves it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use patchbay_plugin_api::ProviderError;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tracing::warn;

use super::NotListed;
use crate::config::ModelSettings;
use crate::providers::{Provider, Registry};

/// After a failure the vendor is left alone for so long, and after each further one for twice the time.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// But not for longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Lists become old while nothing happens, and clocks are set: so often it is looked whether one is.
const LOOK_AGAIN: Duration = Duration::from_secs(5 * 60);

/// What is known of a provider whose vendor was asked.
#[derive(Debug)]
struct Asked {
    /// The provider's: another one of the same name is a new one, which may do better.
    address: usize,
    failures: u32,
    not_before: Instant,
    under_way: Option<AbortHandle>,
}

impl Asked {
    fn is_under_way(&self) -> bool {
        self.under_way.as_ref().is_some_and(|question| !question.is_finished())
    }
}

/// How asking the vendor of this provider went.
struct Outcome {
    name: String,
    address: usize,
    failure: Option<ProviderError>,
}

/// Goes on until it is dropped.
pub async fn keep_listed(registry: Arc<Registry>) {
    let mut published = registry.publications();
    let mut asked: HashMap<String, Asked> = HashMap::new();
    let mut asking = JoinSet::new();
    loop {
        let next = begin(&registry, &mut asked, &mut asking);
        tokio::select! {
            changed = published.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(next) => {}
            Some(outcome) = asking.join_next() => if let Ok(outcome) = outcome {
                note(outcome, &mut asked, Instant::now());
            },
        }
    }
}

/// Asks those whose time has come, as far as there is room; answers with when to look again.
fn begin(
    registry: &Arc<Registry>,
    asked: &mut HashMap<String, Asked>,
    asking: &mut JoinSet<Outcome>,
) -> Instant {
    let snapshot = registry.snapshot();
    let ModelSettings { refresh, concurrency } = snapshot.rules.models;
    let now = Instant::now();
    let mut next = now + LOOK_AGAIN;
    asked.retain(|name, asked| {
        let stays = snapshot.get(name).is_some_and(|it| Arc::as_ptr(it).addr() == asked.address);
        if !stays && let Some(question) = &asked.under_way {
            // Nobody waits for what a provider lists that is gone.
            question.abort();
        }
        stays
    });
    for provider in snapshot.by_priority().iter().filter(|provider| refresh && needs_list(provider)) {
        if asking.len() >= concurrency {
            // The end of one of them is seen by whoever calls this.
            break;
        }
        let (name, address) = (provider.name().to_owned(), Arc::as_ptr(provider).addr());
        let asked = asked.entry(name.clone()).or_insert(Asked {
            address,
            failures: 0,
            not_before: now,
            under_way: None,
        });
        if asked.is_under_way() {
            continue;
        }
        if asked.not_before > now {
            next = next.min(asked.not_before);
            continue;
        }
        // What ends without an outcome is a failure, too.
        asked.not_before = now + LONGEST_PAUSE;
        let (provider, registry) = (Arc::clone(provider), Arc::clone(registry));
        asked.under_way = Some(asking.spawn(async move {
            let failure = match provider.refresh_models(&registry, "models").await {
                Err(NotListed::Failed(error)) => Some(error),
                // Whoever has taken its place is asked by itself.
                Ok(_) | Err(NotListed::Changed) => None,
            };
            Outcome { name, address, failure }
        }));
    }
    next
}

fn needs_list(provider: &Provider) -> bool {
    let holds = provider.catalogue.list().is_some_and(|list| list.holds(SystemTime::now()));
    provider.can_list_models() && !holds && provider.instance.quarantined().is_none()
}

fn note(outcome: Outcome, asked: &mut HashMap<String, Asked>, now: Instant) {
    let Outcome { name, address, failure } = outcome;
    // It may have been replaced meanwhile.
    let Some(known) = asked.get_mut(&name).filter(|known| known.address == address) else { return };
    let Some(failure) = failure else {
        // The list holds for a day. Should it not have been taken over, that is no reason to ask without pause.
        (known.failures, known.not_before) = (0, now + FIRST_PAUSE);
        return;
    };
    let pause = pause(known.failures, failure.retry_after);
    known.failures += 1;
    known.not_before = now + pause;
    let (provider, error) = (name.as_str(), failure.message.as_str());
    warn!(provider, error, again_in_seconds = pause.as_secs(), "the vendor's models could not be listed");
}

fn pause(failures: u32, wished: Option<Duration>) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(failures)).min(LONGEST_PAUSE);
    pause.max(wished.unwrap_or_default().min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_again_is_left_alone_for_longer() {
        let pauses: Vec<u64> = (0..8).map(|failures| pause(failures, None).as_secs()).collect();
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(pause(u32::MAX, None), LONGEST_PAUSE);
        assert_eq!(pause(0, Some(Duration::from_secs(300))).as_secs(), 300);
        assert_eq!(pause(3, Some(Duration::from_secs(1))).as_secs(), 480);
        assert_eq!(pause(0, Some(Duration::MAX)), LONGEST_PAUSE);
    }
}

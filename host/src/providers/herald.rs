//! Tells whoever listens how one provider does, when that changes.

use std::sync::atomic::{AtomicU8, Ordering, fence};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use patchbay_plugin_api::ProviderError;
use tokio::time::Instant;

use super::condition::Condition;
use super::keys::Rest;
use super::provider::Provider;
use crate::events::{Bus, News, ProviderNews, shortened};

/// See the module.
#[derive(Debug)]
pub struct Herald {
    bus: Bus,
    /// The condition that was told last, as its number.
    told: AtomicU8,
    /// Held from the look at the condition until it is told: of two who tell, the one that has looked last tells last.
    telling: Mutex<()>,
}

impl Herald {
    /// Nothing was told yet.
    pub(crate) fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone(), told: AtomicU8::new(Condition::Unknown as u8), telling: Mutex::default() }
    }
}

impl Provider {
    /// A request went well. Where that was told before, this is all that it costs.
    pub(super) fn tell_success(&self) {
        // Either this sees what another has told just now, or that one sees the success that was noted before.
        fence(Ordering::SeqCst);
        if self.standing.herald.told.load(Ordering::Relaxed) != Condition::Available as u8 {
            self.tell_condition(None);
        }
    }

    /// Tells how it is, where that was told otherwise before.
    pub(super) fn tell_condition(&self, reason: Option<&str>) {
        let herald = &self.standing.herald;
        let _alone = herald.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reason = reason.map(shortened);
        loop {
            let now = self.condition();
            let before = herald.told.swap(now as u8, Ordering::Relaxed);
            if before == now as u8 {
                return;
            }
            let from = Condition::ALL.into_iter().find(|condition| *condition as u8 == before);
            let (from, to) = (from.unwrap_or_default().to_string(), now.to_string());
            let (why, wait) = self.why(Instant::now()).unzip();
            let reason = reason.take().or_else(|| why.as_deref().map(shortened));
            self.tell(ProviderNews::Condition { from, to, reason, seconds: wait.flatten().map(rounded_up) });
            // A success in the meantime did not see that anything else was told: so it is looked again.
            fence(Ordering::SeqCst);
        }
    }

    pub(super) fn tell_breaker_opened(&self, reason: &str) {
        self.tell(ProviderNews::BreakerOpened { reason: reason.to_owned() });
    }

    pub(super) fn tell_breaker_closed(&self) {
        self.tell(ProviderNews::BreakerClosed);
    }

    pub(super) fn tell_rest(&self, key: usize, rest: Rest, now: Instant) {
        let seconds = rounded_up(rest.until.saturating_duration_since(now));
        self.tell(ProviderNews::KeyResting { key, seconds, refused: rest.refused });
    }

    fn tell(&self, news: ProviderNews) {
        self.standing.herald.bus.tell(News::Provider { provider: self.name().to_owned(), news });
    }
}

/// Who looks again then finds it over.
fn rounded_up(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// What failed, without a word of upstream's: there may be anything in those.
pub(super) fn in_short(error: &ProviderError) -> String {
    match error.status {
        Some(status) => format!("{}, status {status}", error.kind),
        None => error.kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use patchbay_plugin_api::ErrorKind;

    use super::*;
    use crate::events::{Told, Topic};
    use crate::limits::Wish;
    use crate::testing;

    #[test]
    fn who_is_busy_is_said_to_be_with_the_reason_and_the_time() {
        let provider = testing::provider(testing::settings("p"), None);
        let mut listener = provider.standing.herald.bus.listen(vec![Topic::Provider], None).unwrap();
        let limited = ProviderError::new(ErrorKind::RateLimited, "slow down").with_status(429);
        let limited = limited.with_retry_after(Duration::from_secs(20));
        Arc::clone(&provider).admit(Instant::now(), Wish::default).unwrap().fail_for_test(&limited);
        let mut told = Vec::new();
        while let Some(Some(Told::Event(event))) = listener.next().now_or_never() {
            told.push(serde_json::from_slice::<serde_json::Value>(&event.json).unwrap());
        }
        let condition = told.iter().find(|event| event["kind"] == "condition").unwrap();
        let seconds = condition["seconds"].as_u64().unwrap();
        assert!(condition["to"] == "busy" && (1..=20).contains(&seconds), "{condition}");
        assert_eq!(condition["reason"], "rate_limited, status 429");
        // Whoever looks later is told by what is known then.
        let (reason, wait) = provider.why(Instant::now()).unwrap();
        assert!(reason.starts_with("it asks to be left alone for "), "{reason}");
        assert!(wait.unwrap() <= Duration::from_secs(20), "{wait:?}");
    }

    #[test]
    fn whoever_listens_ends_with_how_it_is() {
        for _ in 0..20 {
            let provider = testing::provider(testing::settings("p"), None);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..100 {
                            provider.standing.last.set(Condition::Degraded, None, Instant::now());
                            provider.tell_condition(None);
                            provider.standing.last.set(Condition::Available, None, Instant::now());
                            provider.tell_success();
                        }
                    });
                }
            });
            let mut listener = provider.standing.herald.bus.listen(vec![Topic::Provider], None).unwrap();
            let mut last = None;
            while let Some(Some(told)) = futures_util::FutureExt::now_or_never(listener.next()) {
                let Told::Event(event) = told else { continue };
                let news: serde_json::Value = serde_json::from_slice(&event.json).unwrap();
                // Each goes on from the one before it.
                assert!(last.is_none_or(|last| last == news["from"]), "{news}");
                last = Some(news["to"].clone());
            }
            assert_eq!(last.unwrap(), Condition::Available.word());
        }
    }
}

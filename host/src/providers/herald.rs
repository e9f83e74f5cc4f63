//! Tells whoever listens how one provider does, when that changes.

use std::sync::atomic::{AtomicU8, Ordering, fence};
use std::sync::{Mutex, PoisonError};

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
            self.tell(ProviderNews::Condition { from, to, reason: reason.take() });
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
        // Rounded up: who looks again then finds it over.
        let wait = rest.until.saturating_duration_since(now);
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.tell(ProviderNews::KeyResting { key, seconds, refused: rest.refused });
    }

    fn tell(&self, news: ProviderNews) {
        self.standing.herald.bus.tell(News::Provider { provider: self.name().to_owned(), news });
    }
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
    use super::*;
    use crate::events::{Told, Topic};
    use crate::testing;

    #[test]
    fn whoever_listens_ends_with_how_it_is() {
        for _ in 0..20 {
            let provider = testing::provider(testing::settings("p"), None);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..100 {
                            provider.standing.last.set(Condition::Degraded, Instant::now());
                            provider.tell_condition(None);
                            provider.standing.last.set(Condition::Available, Instant::now());
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

//! What Prometheus is told: what requests came to is counted as they end, and what is now is read when it asks.
//!
//! Counted by hand rather than by a library: of those there are, one keeps every time that was measured until
//! somebody asks, the other takes a lock for each; and neither forgets by itself the state of a provider that is gone.

// Counting.
mod labelled;
mod numbers;
mod series;
// Telling.
mod process;
mod requests;
mod state;
mod text;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::accounts::{Bookkeeper, Record};
use crate::config::MetricsSettings;

pub use numbers::{Counter, Histogram};
pub use state::{Now, Traffic};

use labelled::{Labelled, OTHER, Room};
use series::{OfKey, OfProvider};
use text::Text;

/// Providers come and go while the host runs. So many are told apart at one time.
const MOST_PROVIDERS: usize = 1000;

/// What a provider that is gone came to is told for so long, so that whoever asks now and then hears of all of it.
/// Prometheus itself looks back as far.
const TOLD_FOR: Duration = Duration::from_secs(5 * 60);

/// The classes of statuses. The last is of those that were sent none, because the client had gone.
const CLASSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "none"];

/// What requests came to. Adding one takes a few atomic additions; there are only so many series, whatever is asked.
pub struct Metrics {
    /// The routes that are told apart. The place after them is everything else's.
    routes: Vec<&'static str>,
    classes: [Counter; CLASSES.len()],
    /// By the place of the route: what the host adds to what the provider takes.
    overhead: Box<[Histogram]>,
    providers: Labelled<OfProvider>,
    /// Those of them that are gone, and since when.
    gone: Mutex<HashMap<Arc<str>, Instant>>,
    /// What came to no provider.
    nobody: OfProvider,
    keys: Labelled<OfKey>,
    /// For the models of all providers.
    models: Arc<Room>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("routes", &self.routes).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Tells these routes apart.
    pub fn new(routes: Vec<&'static str>, settings: &MetricsSettings) -> Self {
        let models = Room::for_values(settings.max_models);
        let places = routes.len() + 1;
        Self {
            routes,
            classes: Default::default(),
            overhead: (0..places).map(|_| Histogram::of_own_work()).collect(),
            providers: Labelled::within(Room::for_values(MOST_PROVIDERS)),
            gone: Mutex::default(),
            nobody: OfProvider::new(places, Arc::clone(&models)),
            keys: Labelled::within(Room::for_values(settings.max_keys)),
            models,
        }
    }

    /// Everything, in Prometheus' text format.
    pub fn text(&self, now: &Now<'_>) -> String {
        self.forget_gone(|name| now.snapshot.knows(name), Instant::now());
        let mut text = Text::default();
        self.write_requests(&mut text);
        now.write(&mut text);
        text.into_string()
    }

    /// Lets go of the series of providers that are not there any more.
    fn forget_gone(&self, is_there: impl Fn(&str) -> bool, now: Instant) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.retain(|name, _| !is_there(name));
        for (name, _) in self.providers.all() {
            if &*name != OTHER && !is_there(&name) {
                gone.entry(name).or_insert(now);
            }
        }
        let is_over = |since: &Instant| now.saturating_duration_since(*since) >= TOLD_FOR;
        self.providers.retain(|name| !gone.get(name).is_some_and(is_over));
        gone.retain(|_, since| !is_over(since));
    }

    fn place_of(&self, route: Option<&'static str>) -> usize {
        let place = route.and_then(|route| self.routes.iter().position(|known| *known == route));
        place.unwrap_or(self.routes.len())
    }

    fn route(&self, place: usize) -> &'static str {
        self.routes.get(place).copied().unwrap_or(OTHER)
    }
}

impl Bookkeeper for Metrics {
    fn note(&self, record: &Record) {
        let class = match record.status {
            Some(status @ 200..=599) => usize::from(status / 100) - 2,
            _ => CLASSES.len() - 1,
        };
        self.classes[class].increment();
        let place = self.place_of(record.route);
        let new = || OfProvider::new(self.routes.len() + 1, Arc::clone(&self.models));
        let Some((last, earlier)) = record.attempts.split_last() else {
            self.nobody.route(place).note(record);
            return self.note_key(record);
        };
        for attempt in earlier {
            self.providers.with(&attempt.provider.name, new, |series| series.note_attempt(attempt));
        }
        self.providers.with(&last.provider.name, new, |series| {
            series.note_attempt(last);
            series.route(place).note(record);
            series.note_model(record);
        });
        // With more than one there were waits in between, which are nobody's work.
        if let (true, Some(took), None) = (earlier.is_empty(), last.took, last.failed) {
            let until = record.first_token.unwrap_or(record.latency);
            self.overhead[place].observe(until.saturating_sub(took));
        }
        self.note_key(record);
    }
}

impl Metrics {
    fn note_key(&self, record: &Record) {
        if let Some(key) = &record.key {
            self.keys.with(&key.id, OfKey::default, |series| series.note(record));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_told_for_a_while_and_what_stays_counts_on() {
        let metrics = Metrics::new(Vec::new(), &MetricsSettings::default());
        let new = || OfProvider::new(1, Arc::clone(&metrics.models));
        let answers = |name| metrics.providers.with(name, new, |series| series.answered.increment());
        let told = || -> Vec<(String, u64)> {
            let all = metrics.providers.all().into_iter();
            all.map(|(name, series)| (name.to_string(), series.answered.get())).collect()
        };
        let began = Instant::now();
        ["stays", "goes", "comes back"].into_iter().for_each(answers);
        metrics.forget_gone(|name| name == "stays", began);
        assert_eq!(told().len(), 3, "somebody may not have heard of it yet");
        answers("stays");
        metrics.forget_gone(|name| name != "goes", began + TOLD_FOR / 2);
        metrics.forget_gone(|name| name == "stays", began + TOLD_FOR);
        assert_eq!(told(), [("comes back".to_owned(), 1), ("stays".to_owned(), 2)]);
        metrics.forget_gone(|name| name == "stays", began + TOLD_FOR * 2);
        answers("goes");
        assert_eq!(told(), [("goes".to_owned(), 1), ("stays".to_owned(), 2)], "it begins anew");
    }
}

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

use std::fmt;
use std::sync::Arc;

use crate::accounts::{Bookkeeper, Record};
use crate::config::MetricsSettings;

pub use numbers::{Counter, Histogram};
pub use state::{Now, Traffic};

use labelled::{Labelled, OTHER, Room};
use series::{OfKey, OfProvider};
use text::Text;

/// Providers come and go while the host runs. So many are told apart in one run of it.
const MOST_PROVIDERS: usize = 1000;

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
            nobody: OfProvider::new(places, Arc::clone(&models)),
            keys: Labelled::within(Room::for_values(settings.max_keys)),
            models,
        }
    }

    /// Everything, in Prometheus' text format.
    pub fn text(&self, now: &Now<'_>) -> String {
        let mut text = Text::default();
        self.write_requests(&mut text);
        now.write(&mut text);
        text.into_string()
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

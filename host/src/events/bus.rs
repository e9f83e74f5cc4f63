//! How events get to listeners: one bounded list, and a place in it for each of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::news::{News, Topic};

/// So many events are kept for those who come late or read slowly.
const KEPT: usize = 512;

/// So many may listen at one time.
const LISTENERS: usize = 64;

/// One event.
#[derive(Debug)]
pub struct Event {
    /// Later ones have larger ones, also after a restart.
    pub id: u64,
    /// What it is about.
    pub topic: Topic,
    /// Its `id`, `at`, `type` and what belongs to that.
    pub json: Bytes,
}

/// Where events are told and heard. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Bus(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kept: Mutex<Kept>,
    /// The id that the next event will have.
    changed: watch::Sender<u64>,
    closed: CancellationToken,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Kept {
    /// The id of this process's first event.
    begin: u64,
    /// With ids one after the other.
    events: VecDeque<Arc<Event>>,
    next: u64,
}

impl Default for Shared {
    fn default() -> Self {
        // No event of an earlier process has a larger id, unless there were more than one each microsecond.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let begin = u64::try_from(now.as_micros()).unwrap_or(1);
        Self {
            kept: Mutex::new(Kept { begin, events: VecDeque::new(), next: begin }),
            changed: watch::Sender::new(begin),
            closed: CancellationToken::new(),
            places: Arc::new(Semaphore::new(LISTENERS)),
        }
    }
}

/// As many listen as may.
#[derive(Debug, thiserror::Error)]
#[error("{LISTENERS} listen to the events already: let one of them end first")]
pub struct TooMany;

/// What a listener hears.
#[derive(Clone, Debug)]
pub enum Told {
    /// Something has happened.
    Event(Arc<Event>),
    /// Events were forgotten before this listener read them.
    Missed {
        /// How many, of any topic; none where they were another process's.
        count: Option<u64>,
    },
}

/// A place in the list of events. It holds up nobody.
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    topics: Vec<Topic>,
    /// The id of the event to look at next.
    next: u64,
    /// Whether it asked for events of a process before this one.
    is_from_before: bool,
    changed: watch::Receiver<u64>,
    _place: OwnedSemaphorePermit,
}

/// An event as it is told.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub(crate) struct Body {
    /// Later events have larger ones, also after a restart.
    id: u64,
    /// When it happened.
    at: String,
    #[serde(flatten)]
    news: News,
}

impl Bus {
    /// Tells everybody who listens. Takes no longer for it, whoever they are.
    pub fn tell(&self, news: News) {
        let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let topic = news.topic();
        let mut kept = self.0.kept();
        let id = kept.next;
        // Texts and numbers can always be written.
        let json = serde_json::to_vec(&Body { id, at, news }).unwrap_or_default().into();
        kept.next += 1;
        if kept.events.len() == KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(Arc::new(Event { id, topic, json }));
        self.0.changed.send_replace(kept.next);
    }

    /// Listens to these topics: first to what is kept, then to what happens. `after` is the last event heard before.
    pub fn listen(&self, topics: Vec<Topic>, after: Option<u64>) -> Result<Listener, TooMany> {
        let place = Arc::clone(&self.0.places).try_acquire_owned().map_err(|_| TooMany)?;
        let changed = self.0.changed.subscribe();
        let kept = self.0.kept();
        let known = |after: &u64| (kept.begin - 1..kept.next).contains(after);
        let next = after.filter(known).map_or(kept.first(), |after| after + 1);
        let is_from_before = after.is_some_and(|after| !known(&after));
        Ok(Listener { shared: Arc::clone(&self.0), topics, next, is_from_before, changed, _place: place })
    }

    /// Ends all listening: who has heard everything is told nothing more.
    pub fn close(&self) {
        self.0.closed.cancel();
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn first(&self) -> u64 {
        self.events.front().map_or(self.next, |first| first.id)
    }
}

impl Listener {
    /// The next event, or that some were missed; none once the bus is closed. Cancel-safe.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            // Before looking: what comes after is a change.
            self.changed.mark_unchanged();
            if let Some(told) = self.look() {
                return Some(told);
            }
            tokio::select! {
                biased;
                // What was told before is still heard.
                () = self.shared.closed.cancelled() => return self.look(),
                changed = self.changed.changed() => changed.ok()?,
            }
        }
    }

    /// The id up to which everything was heard or left out.
    pub fn heard(&self) -> u64 {
        self.next - 1
    }

    fn look(&mut self) -> Option<Told> {
        // Whoever wants nothing of all this misses nothing of it.
        if self.topics.is_empty() {
            self.is_from_before = false;
            self.next = self.shared.kept().next;
            return None;
        }
        if std::mem::take(&mut self.is_from_before) {
            return Some(Told::Missed { count: None });
        }
        let kept = self.shared.kept();
        let first = kept.first();
        if self.next < first {
            let count = Some(first - self.next);
            self.next = first;
            return Some(Told::Missed { count });
        }
        let begin = usize::try_from(self.next - first).unwrap_or(usize::MAX);
        let found = kept.events.iter().skip(begin).find(|event| self.topics.contains(&event.topic)).cloned();
        self.next = found.as_ref().map_or(kept.next, |event| event.id + 1);
        found.map(Told::Event)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::events::{ConfigNews, PluginNews};

    fn removed(plugin: usize) -> News {
        News::Plugin { plugin: Some(plugin.to_string()), news: PluginNews::Removed }
    }

    fn restart() -> News {
        News::Config(ConfigNews::NeedsRestart { sections: vec!["server"] })
    }

    /// What is heard without waiting: the plugins' ids, and what was missed.
    fn heard(listener: &mut Listener) -> Vec<String> {
        let mut heard = Vec::new();
        while let Some(Some(told)) = listener.next().now_or_never() {
            heard.push(match told {
                Told::Missed { count } => format!("missed {count:?}"),
                Told::Event(event) => {
                    let json: serde_json::Value = serde_json::from_slice(&event.json).unwrap();
                    assert_eq!(json["id"], event.id);
                    assert!(humantime::parse_rfc3339(json["at"].as_str().unwrap()).is_ok(), "{json}");
                    json["plugin"].as_str().unwrap_or(event.topic.word()).to_owned()
                }
            });
        }
        heard
    }

    fn all(bus: &Bus, after: Option<u64>) -> Listener {
        bus.listen(Topic::ALL.to_vec(), after).unwrap()
    }

    #[test]
    fn who_comes_late_hears_what_is_kept_and_who_comes_again_the_rest() {
        let bus = Bus::default();
        bus.tell(removed(0));
        bus.tell(restart());
        let mut first = all(&bus, None);
        assert_eq!(heard(&mut first), ["0", "config"]);
        let mut choosy = bus.listen(vec![Topic::Config], None).unwrap();
        assert_eq!(heard(&mut choosy), ["config"]);
        let last = first.heard();
        assert_eq!(last, choosy.heard());
        drop(first);
        bus.tell(removed(1));
        assert_eq!(heard(&mut all(&bus, Some(last))), ["1"]);
        assert_eq!(heard(&mut all(&bus, Some(last + 1))), Vec::<String>::new());
        assert_eq!(heard(&mut choosy), Vec::<String>::new());
    }

    #[test]
    fn who_reads_too_slowly_is_told_how_much_was_missed() {
        let bus = Bus::default();
        let mut slow = all(&bus, None);
        for plugin in 0..KEPT + 3 {
            bus.tell(removed(plugin));
        }
        let told = heard(&mut slow);
        assert_eq!(told.len(), KEPT + 1);
        assert_eq!((told[0].as_str(), told[1].as_str()), ("missed Some(3)", "3"));
        bus.tell(removed(7));
        assert_eq!(heard(&mut slow), ["7"]);
    }

    #[test]
    fn events_of_another_process_are_missed_without_a_count() {
        let bus = Bus::default();
        bus.tell(removed(0));
        for other in [1, u64::MAX] {
            assert_eq!(heard(&mut all(&bus, Some(other))), ["missed None", "0"]);
        }
    }

    #[test]
    fn who_wants_none_of_it_misses_nothing_and_knows_where_it_is() {
        let bus = Bus::default();
        let mut other = bus.listen(Vec::new(), Some(7)).unwrap();
        for plugin in 0..KEPT + 3 {
            bus.tell(removed(plugin));
        }
        assert_eq!(heard(&mut other), Vec::<String>::new());
        bus.tell(restart());
        assert_eq!(heard(&mut all(&bus, Some(other.heard()))), ["config"]);
    }

    #[test]
    fn so_many_may_listen_and_no_more() {
        let bus = Bus::default();
        let mut listeners: Vec<Listener> = (0..LISTENERS).map(|_| all(&bus, None)).collect();
        assert!(bus.listen(Topic::ALL.to_vec(), None).is_err());
        listeners.pop();
        assert!(bus.listen(Topic::ALL.to_vec(), None).is_ok());
    }

    #[tokio::test]
    async fn waiting_ends_with_an_event_or_with_the_bus() {
        let bus = Bus::default();
        let mut listener = all(&bus, None);
        let waiting = tokio::spawn(async move {
            let first = listener.next().await;
            (first, listener.next().await.is_none())
        });
        tokio::task::yield_now().await;
        bus.tell(removed(0));
        tokio::task::yield_now().await;
        bus.close();
        let (first, ended) = waiting.await.unwrap();
        assert!(matches!(first, Some(Told::Event(_))) && ended);
    }
}

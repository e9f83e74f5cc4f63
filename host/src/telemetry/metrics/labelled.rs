//! Series by the value of a label that others choose: there are never more of them than there is room for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

/// What stands for all those for which there was no room.
pub(super) const OTHER: &str = "other";

/// Nothing that is told apart by people is longer.
const LONGEST: usize = 128;

/// How many more values there may be. Several sets may share one.
#[derive(Debug)]
pub(super) struct Room(AtomicUsize);

impl Room {
    /// For so many.
    pub(super) fn for_values(most: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(most)))
    }

    fn is_left(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    fn give_back(&self, values: usize) {
        self.0.fetch_add(values, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }
}

/// See the module. Finding a series takes no lock and allocates nothing.
#[derive(Debug)]
pub(super) struct Labelled<T> {
    known: ArcSwap<HashMap<Arc<str>, Arc<T>>>,
    /// One is added after the other.
    adding: Mutex<()>,
    room: Arc<Room>,
}

impl<T> Labelled<T> {
    /// As many as there is room for.
    pub(super) fn within(room: Arc<Room>) -> Self {
        Self { known: ArcSwap::default(), adding: Mutex::default(), room }
    }

    /// Does something with the series of a value, which `make` makes if it is new.
    pub(super) fn with(&self, value: &str, make: impl FnOnce() -> T, act: impl FnOnce(&T)) {
        let known = self.known.load();
        if let Some(series) = known.get(value) {
            return act(series);
        }
        let fits = value.len() <= LONGEST && self.room.is_left();
        let others = if fits { None } else { known.get(OTHER) };
        match others {
            Some(others) => act(others),
            None => act(&self.add(value, make)),
        }
    }

    fn add(&self, value: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let _alone = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.load();
        // Somebody else may have been quicker.
        if let Some(series) = known.get(value) {
            return Arc::clone(series);
        }
        let value = if value.len() <= LONGEST && self.room.take() { value } else { OTHER };
        if let Some(others) = known.get(value) {
            return Arc::clone(others);
        }
        let series = Arc::new(make());
        let mut more = HashMap::clone(&known);
        more.insert(value.into(), Arc::clone(&series));
        self.known.store(Arc::new(more));
        series
    }

    /// Lets go of those whose values are not to be kept: there is room for others again.
    pub(super) fn retain(&self, keep: impl Fn(&str) -> bool) {
        let _alone = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.load();
        let mut kept = HashMap::clone(&known);
        kept.retain(|value, _| &**value == OTHER || keep(value));
        let gone = known.len() - kept.len();
        if gone > 0 {
            self.known.store(Arc::new(kept));
            self.room.give_back(gone);
        }
    }

    /// All of them, in the order of their values.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<T>)> {
        let known = self.known.load();
        let mut all: Vec<_> =
            known.iter().map(|(value, series)| (Arc::clone(value), Arc::clone(series))).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

/// The room may be shared with others, who go on.
impl<T> Drop for Labelled<T> {
    fn drop(&mut self) {
        self.room.give_back(self.known.load().keys().filter(|value| &***value != OTHER).count());
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::Counter;
    use super::*;

    fn counts(labelled: &Labelled<Counter>) -> Vec<(String, u64)> {
        labelled.all().into_iter().map(|(value, counter)| (value.to_string(), counter.get())).collect()
    }

    fn count(labelled: &Labelled<Counter>, value: &str) {
        labelled.with(value, Counter::default, Counter::increment);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_together() {
        let labelled = Labelled::within(Room::for_values(2));
        for number in 0..10_000 {
            count(&labelled, &format!("m-{number}"));
            count(&labelled, "m-1");
        }
        let expected = [("m-0", 1), ("m-1", 10_001), (OTHER, 9_998)];
        assert_eq!(counts(&labelled), expected.map(|(value, count)| (value.to_owned(), count)));
    }

    #[test]
    fn a_room_may_be_shared() {
        let room = Room::for_values(1);
        let sets = [Labelled::within(Arc::clone(&room)), Labelled::within(room)];
        for set in &sets {
            count(set, "a");
        }
        assert_eq!(counts(&sets[0]), [("a".to_owned(), 1)]);
        assert_eq!(counts(&sets[1]), [(OTHER.to_owned(), 1)]);
    }

    #[test]
    fn what_is_let_go_makes_room() {
        let room = Room::for_values(2);
        let labelled = Labelled::within(Arc::clone(&room));
        ["a", "b", "c", "b"].into_iter().for_each(|value| count(&labelled, value));
        labelled.retain(|value| value == "b");
        ["c", "d"].into_iter().for_each(|value| count(&labelled, value));
        let expected = [("b", 2), ("c", 1), (OTHER, 2)];
        assert_eq!(counts(&labelled), expected.map(|(value, count)| (value.to_owned(), count)));
        drop(labelled);
        assert_eq!(room.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_value_that_is_too_long_is_one_of_the_others() {
        let labelled = Labelled::within(Room::for_values(2));
        count(&labelled, &"x".repeat(LONGEST + 1));
        assert_eq!(counts(&labelled), [(OTHER.to_owned(), 1)]);
    }

    #[test]
    fn nothing_is_lost_where_many_are_new_at_one_time() {
        let labelled = Labelled::within(Room::for_values(100));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|number| count(&labelled, &format!("m-{}", number % 50))));
            }
        });
        let counts = counts(&labelled);
        assert_eq!((counts.len(), counts.iter().map(|(_, count)| count).sum::<u64>()), (50, 4000));
    }
}

//! A sliding window: whatever is taken counts for exactly a minute, so that in no minute it was too much.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// See the module.
const LENGTH: Duration = Duration::from_secs(60);

/// More are not remembered one by one: then two neighbours count for as long as the later of them.
const MOST_ENTRIES: usize = 1 << 16;

/// No request takes more.
const MOST_AT_ONCE: u64 = 1 << 40;

/// How much of a limit is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// So much in any minute.
    pub limit: u64,
    /// So much is left now.
    pub remaining: u64,
    /// After so long there is more; of what was refused, after so long there is enough.
    pub reset: Duration,
}

/// What still counts, the first in front.
#[derive(Debug, Default)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    /// Of all entries together.
    taken: u64,
    /// What was taken up to here does not count any more.
    gone: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    amount: u64,
}

/// What was taken, to be found again when it is known how much it really was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    at: Instant,
    amount: u64,
}

impl Window {
    /// Takes so much, or says that there is no room, and when there is.
    pub(super) fn take(&mut self, amount: u64, limit: u64, now: Instant) -> Result<Taken, Standing> {
        self.forget(now);
        if self.taken.saturating_add(amount) > limit {
            return Err(self.standing_for(amount, limit, now));
        }
        // Two who come at once may be told the time in one order and get here in the other.
        let at = self.entries.back().map_or(now, |last| last.at.max(now));
        self.taken += amount;
        match self.entries.back_mut().filter(|last| last.at == at) {
            Some(last) => last.amount += amount,
            None => self.entries.push_back(Entry { at, amount }),
        }
        if self.entries.len() > MOST_ENTRIES {
            self.thin_out();
        }
        Ok(Taken { at, amount })
    }

    /// What was taken was so much in truth: more, less, or nothing.
    pub(super) fn settle(&mut self, taken: Taken, truth: u64) {
        if self.gone.is_some_and(|gone| taken.at <= gone) {
            return;
        }
        let place = self.entries.partition_point(|entry| entry.at < taken.at);
        if let Some(entry) = self.entries.get_mut(place) {
            // Upstreams miscount: what no answer takes must not be more than sums can hold.
            let truth = truth.min(MOST_AT_ONCE);
            entry.amount = (entry.amount - taken.amount).saturating_add(truth);
            self.taken = (self.taken - taken.amount).saturating_add(truth);
        }
    }

    /// How things stand.
    pub(super) fn standing(&mut self, limit: u64, now: Instant) -> Standing {
        self.forget(now);
        self.standing_for(1, limit, now)
    }

    /// Whether nothing counts any more.
    pub(super) fn is_empty(&mut self, now: Instant) -> bool {
        self.forget(now);
        self.taken == 0
    }

    /// When so much fits, or, where it does already, when the first of it leaves.
    fn standing_for(&self, amount: u64, limit: u64, now: Instant) -> Standing {
        // A limit may have become smaller: then more has to go before there is room.
        let mut over = self.taken.saturating_add(amount).saturating_sub(limit).max(1);
        let leaves = self.entries.iter().find(|entry| {
            over = over.saturating_sub(entry.amount);
            over == 0
        });
        let reset = leaves.or(self.entries.back()).map_or(now, |entry| entry.at + LENGTH);
        let reset = if self.taken == 0 { Duration::ZERO } else { reset.saturating_duration_since(now) };
        Standing { limit, remaining: limit.saturating_sub(self.taken), reset }
    }

    fn forget(&mut self, now: Instant) {
        while let Some(first) = self.entries.front() {
            if now.saturating_duration_since(first.at) < LENGTH {
                break;
            }
            self.taken = self.taken.saturating_sub(first.amount);
            self.gone = Some(first.at);
            self.entries.pop_front();
        }
        // What a burst took is given back after it.
        if self.entries.capacity() > 4 * self.entries.len().max(8) {
            self.entries.shrink_to(2 * self.entries.len());
        }
    }

    fn thin_out(&mut self) {
        let mut earlier = None;
        let last = self.entries.len() - 1;
        for place in 0..=last {
            let Entry { at, amount } = self.entries[place];
            match earlier.take() {
                Some(with) => self.entries[place / 2] = Entry { at, amount: amount + with },
                None if place == last => self.entries[place / 2] = Entry { at, amount },
                None => earlier = Some(amount),
            }
        }
        self.entries.truncate(last / 2 + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> impl Fn(f64) -> Instant {
        let start = Instant::now();
        move |seconds| start + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn in_no_minute_there_are_more() {
        let at = clock();
        let mut window = Window::default();
        for (time, limit, expected) in [
            (0.0, 2, Ok((1, 60.0))),
            (10.0, 2, Ok((0, 50.0))),
            (59.5, 2, Err((0, 0.5))),
            // The first one is a minute old; the second counts on.
            (60.0, 2, Ok((0, 10.0))),
            (60.5, 2, Err((0, 9.5))),
            // A limit that becomes larger leaves room at once, and one that becomes smaller waits for more to leave.
            (61.0, 3, Ok((0, 9.0))),
            (62.0, 1, Err((0, 59.0))),
            (121.0, 1, Ok((0, 60.0))),
        ] {
            let tell = |it: Standing| (it.remaining, it.reset.as_secs_f64());
            let taken = window.take(1, limit, at(time)).map_err(tell);
            let taken = taken.map(|_| tell(window.standing(limit, at(time))));
            assert_eq!(taken, expected, "at {time}");
        }
        assert!(!window.is_empty(at(180.0)));
        assert!(window.is_empty(at(181.0)));
    }

    #[test]
    fn what_it_was_in_truth_counts_from_when_it_was_taken() {
        let at = clock();
        let mut window = Window::default();
        let first = window.take(60, 100, at(0.0)).unwrap();
        let second = window.take(40, 100, at(10.0)).unwrap();
        // So much fits only when both have left, and so much when the first has.
        let wait = |window: &mut Window, amount, time| {
            window.take(amount, 100, at(time)).map(|_| ()).map_err(|it| it.reset.as_secs_f64())
        };
        assert_eq!(wait(&mut window, 61, 20.0), Err(50.0));
        assert_eq!(wait(&mut window, 60, 20.0), Err(40.0));
        // Less than was thought: there is room at once, for just so much.
        window.settle(first, 10);
        assert_eq!(wait(&mut window, 51, 20.0), Err(40.0));
        assert_eq!(wait(&mut window, 50, 20.0), Ok(()));
        // More than was thought: nothing until enough of it has left.
        window.settle(second, 90);
        assert_eq!(window.standing(100, at(21.0)).remaining, 0);
        assert_eq!(wait(&mut window, 1, 21.0), Err(49.0));
        assert_eq!(wait(&mut window, 50, 70.0), Ok(()), "the fifty of the third count on");
        // What has left cannot be settled any more.
        window.settle(first, 1000);
        window.settle(second, 1000);
        assert_eq!(wait(&mut window, 1, 79.0), Err(1.0));
        assert_eq!(window.standing(100, at(130.0)).remaining, 100);
        // Whatever an upstream miscounts is over after a minute.
        let first = window.take(1, 100, at(200.0)).unwrap();
        window.take(1, 100, at(201.0)).unwrap();
        window.settle(first, u64::MAX);
        assert_eq!(wait(&mut window, 1, 202.0), Err(58.0));
        assert_eq!(window.standing(100, at(262.0)).remaining, 100);
    }

    #[test]
    fn those_of_one_moment_are_settled_one_by_one() {
        let at = clock();
        let mut window = Window::default();
        let small = window.take(5, 1000, at(1.0)).unwrap();
        let large = window.take(100, 1000, at(1.0)).unwrap();
        // Told the time before the others, and here after them.
        let late = window.take(7, 1000, at(0.5)).unwrap();
        window.settle(large, 0);
        assert_eq!(window.standing(1000, at(2.0)).remaining, 988);
        window.settle(late, 0);
        window.settle(small, 0);
        let standing = window.standing(1000, at(2.0));
        assert_eq!((standing.remaining, standing.reset), (1000, Duration::ZERO));
        assert!(window.is_empty(at(2.0)));
    }

    #[test]
    fn however_many_there_are_the_memory_is_bounded_and_nothing_leaves_early() {
        let at = clock();
        let mut window = Window::default();
        let many = MOST_ENTRIES as u64 * 5 / 2;
        let time = |n: u64| at(n as f64 * 50.0 / many as f64);
        let taken: Vec<Taken> = (0..many).map(|n| window.take(2, u64::MAX, time(n)).unwrap()).collect();
        assert!(window.entries.len() <= MOST_ENTRIES);
        assert_eq!(window.taken, 2 * many);
        for one in &taken[..taken.len() / 2] {
            window.settle(*one, 1);
        }
        assert_eq!(window.taken, many / 2 * 3);
        // At no time less counts than what was taken in the last minute.
        for seconds in [60.0, 70.0, 85.0, 100.0, 109.0] {
            let since = at(seconds - 60.0);
            let truly = taken.iter().enumerate().filter(|(_, taken)| taken.at > since);
            let truly: u64 = truly.map(|(n, _)| if n < taken.len() / 2 { 1 } else { 2 }).sum();
            window.forget(at(seconds));
            let counted = window.taken;
            assert!(counted >= truly && counted <= truly + many / 100, "{seconds}: {counted} {truly}");
        }
        assert!(window.is_empty(at(111.0)) && window.entries.capacity() < 100);
    }
}

//! A sliding window: whoever is let in is counted for exactly a minute, so that in no minute there were too many.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// See the module.
const LENGTH: Duration = Duration::from_secs(60);

/// How much of a limit is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// So many in any minute.
    pub limit: u32,
    /// So many are left now.
    pub remaining: u32,
    /// After so long there is one more.
    pub reset: Duration,
}

/// When those were let in who still count, the first in front.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<Instant>);

impl Window {
    /// Counts one more, or says that there is no room; either way how things stand then.
    pub(super) fn take(&mut self, limit: u32, now: Instant) -> Result<Standing, Standing> {
        self.forget(now);
        let fits = self.0.len() < limit as usize;
        if fits {
            self.0.push_back(now);
        }
        let standing = self.standing(limit, now);
        if fits { Ok(standing) } else { Err(standing) }
    }

    /// Whether nobody counts any more.
    pub(super) fn is_empty(&mut self, now: Instant) -> bool {
        self.forget(now);
        self.0.is_empty()
    }

    fn standing(&self, limit: u32, now: Instant) -> Standing {
        let taken = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        // A limit may have become smaller: then more have to go before there is room.
        let over = self.0.len().saturating_sub(limit as usize);
        let leaves = self.0.get(over).map_or(now, |entered| *entered + LENGTH);
        let reset = leaves.saturating_duration_since(now);
        Standing { limit, remaining: limit.saturating_sub(taken), reset }
    }

    fn forget(&mut self, now: Instant) {
        while self.0.front().is_some_and(|entered| now.saturating_duration_since(*entered) >= LENGTH) {
            self.0.pop_front();
        }
        // What a burst took is given back after it.
        if self.0.capacity() > 4 * self.0.len().max(8) {
            self.0.shrink_to(2 * self.0.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_no_minute_there_are_more() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
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
            let taken = window.take(limit, at(time)).map(tell).map_err(tell);
            assert_eq!(taken, expected, "at {time}");
        }
        assert!(!window.is_empty(at(180.0)));
        assert!(window.is_empty(at(181.0)));
    }
}

//! What time old usage is measured from. A clock that jumps far ahead may be wrong, and what is taken out does not come
//! back: it is not believed before it has gone on like that for long.

use std::time::{Duration, Instant, SystemTime};

use tracing::warn;

/// A clock may be ahead by this much of where it should be by all that is known: no more than a day is then lost.
const NEAR: Duration = Duration::from_secs(86_400);

/// And one that is further ahead is believed when it has gone on for this long.
const BELIEVED_AFTER: Duration = Duration::from_secs(86_400);

/// A clock's time, and when it said so.
#[derive(Clone, Copy, Debug)]
struct Reading {
    clock: SystemTime,
    at: Instant,
}

impl Reading {
    /// What it should say now.
    fn due(&self, now: Instant) -> SystemTime {
        self.clock + now.saturating_duration_since(self.at)
    }

    /// Whether a clock that said this is no further ahead now.
    fn leads_to(&self, now: Reading) -> bool {
        now.clock <= self.due(now.at) + NEAR
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reckoning {
    believed: Option<Reading>,
    /// Since when the clock says something else.
    doubted: Option<Reading>,
}

impl Reckoning {
    /// Goes on from the time at which something was last known to happen, if there is one.
    pub(super) fn from(last_known: Option<SystemTime>, now: Instant) -> Self {
        Self { believed: last_known.map(|clock| Reading { clock, at: now }), doubted: None }
    }

    /// What time it may be held to be when the clock says this; none where nothing is known yet but that.
    pub(super) fn time(&mut self, clock: SystemTime, at: Instant) -> Option<SystemTime> {
        let now = Reading { clock, at };
        let is_near = self.believed.is_some_and(|believed| believed.leads_to(now));
        let is_old = |since: Reading| now.at.saturating_duration_since(since.at) >= BELIEVED_AFTER;
        if is_near || self.doubted.is_some_and(|since| since.leads_to(now) && is_old(since)) {
            *self = Self { believed: Some(now), doubted: None };
            return Some(clock);
        }
        let due = self.believed.map(|believed| believed.due(at));
        if !self.doubted.is_some_and(|since| since.leads_to(now)) {
            self.doubted = Some(now);
            if let Some(ahead) = due.and_then(|due| clock.duration_since(due).ok()) {
                warn!(
                    days = ahead.as_secs() / 86_400,
                    "the clock is far ahead of where it was: until that has lasted a day, no usage is held to be old for it"
                );
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const YEAR: Duration = Duration::from_secs(365 * 86_400);

    #[test]
    fn a_clock_that_jumps_far_ahead_is_believed_once_it_has_stayed_there() {
        let (began, noon) = (Instant::now(), SystemTime::UNIX_EPOCH + 50 * YEAR);
        let mut reckoning = Reckoning::from(Some(noon), began);
        // Hours later, and whether or not it is set a little.
        assert_eq!(reckoning.time(noon + HOUR, began + HOUR), Some(noon + HOUR));
        assert_eq!(reckoning.time(noon + 8 * HOUR, began + 2 * HOUR), Some(noon + 8 * HOUR));
        // One bad answer, which is soon taken back.
        assert_eq!(reckoning.time(noon + YEAR, began + 3 * HOUR), Some(noon + 9 * HOUR));
        assert_eq!(reckoning.time(noon + 10 * HOUR, began + 4 * HOUR), Some(noon + 10 * HOUR));
        // The same again, long after the first: that one does not count.
        let later = 40 * HOUR;
        assert_eq!(reckoning.time(noon + later, began + later), Some(noon + later));
        let jumped = |hours: u32| (noon + YEAR + hours * HOUR, began + hours * HOUR);
        for hours in 41..65 {
            let (clock, at) = jumped(hours);
            assert_eq!(reckoning.time(clock, at), Some(noon + hours * HOUR));
        }
        let (clock, at) = jumped(65);
        assert_eq!(reckoning.time(clock, at), Some(clock), "it has stayed for a day");
        // Back is never too far.
        assert_eq!(reckoning.time(noon, at + HOUR), Some(noon));
    }

    #[test]
    fn where_nothing_is_known_nothing_is_old_for_a_day() {
        let (began, clock) = (Instant::now(), SystemTime::UNIX_EPOCH + 50 * YEAR);
        let mut reckoning = Reckoning::from(None, began);
        assert_eq!(reckoning.time(clock, began), None);
        assert_eq!(reckoning.time(clock + 23 * HOUR, began + 23 * HOUR), None);
        assert_eq!(reckoning.time(clock + 24 * HOUR, began + 24 * HOUR), Some(clock + 24 * HOUR));
    }
}

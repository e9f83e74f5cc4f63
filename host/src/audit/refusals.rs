//! How many refusals are noted: whoever guesses tokens all day must not push what matters out of the trail.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many at once.
const BURST: u32 = 20;

/// And then one in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Refusals(Mutex<State>);

#[derive(Debug)]
struct State {
    left: u32,
    /// Since when there are so many left.
    since: Instant,
    not_noted: u64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Mutex::new(State { left: BURST, since: Instant::now(), not_noted: 0 }))
    }
}

impl Refusals {
    /// Whether one more is noted; if so, how many were not since the last that was.
    pub(super) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pauses = now.saturating_duration_since(state.since).as_nanos() / PAUSE.as_nanos();
        let pauses = u32::try_from(pauses).unwrap_or(u32::MAX);
        state.left = state.left.saturating_add(pauses).min(BURST);
        state.since = if state.left == BURST { now } else { state.since + PAUSE * pauses };
        if state.left == 0 {
            state.not_noted += 1;
            return None;
        }
        state.left -= 1;
        Some(std::mem::take(&mut state.not_noted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_noted_in_part_and_counted_as_a_whole() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        let noted = (0..1000).filter(|_| refusals.admit(begin).is_some()).count();
        assert_eq!(noted, BURST as usize);
        assert_eq!(refusals.admit(begin + PAUSE / 2), None);
        assert_eq!(refusals.admit(begin + PAUSE), Some(1000 - u64::from(BURST) + 1));
        assert_eq!(refusals.admit(begin + PAUSE), None);
        let much_later = begin + PAUSE * 1000;
        let noted = (0..1000).filter(|_| refusals.admit(much_later).is_some()).count();
        assert_eq!(noted, BURST as usize);
    }
}

//! The keys of one provider: which one is used now, and which ones rest.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use patchbay_plugin_api::{ErrorKind, ProviderError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

/// A key that was limited without a word on for how long rests for this long, doubled each time in a row.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_GUESS: Duration = Duration::from_secs(60);

/// Even who may come back at once does so a moment later.
const SHORTEST_REST: Duration = Duration::from_millis(100);

/// Nobody rests for longer, whatever upstream's clock says.
const LONGEST_REST: Duration = Duration::from_secs(60 * 60);

/// A key that was refused is tried again after this long: it may have been let in, and asking costs nobody anything.
const REFUSED_REST: Duration = Duration::from_secs(60);

/// See the module. Without any key it has one place all the same: whoever needs no key may be limited too.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<SecretString>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    current: usize,
    last_rotation: Option<SystemTime>,
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    rest: Option<Rest>,
    limited_at: Option<Instant>,
    /// How often in a row.
    strikes: u32,
}

/// A key that is not used for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    /// Until then.
    pub(super) until: Instant,
    /// Whether upstream refused it, rather than asking for fewer requests.
    pub(super) refused: bool,
}

impl KeyRing {
    /// The keys of a provider; those that were there before keep what is known of them.
    pub(crate) fn new(keys: &[SecretString], before: Option<&Self>) -> Self {
        let count = keys.len().max(1);
        let mut state = State { current: 0, last_rotation: None, places: vec![Place::default(); count] };
        if let Some(before) = before {
            let known = before.lock();
            state.last_rotation = known.last_rotation;
            if keys.is_empty() && before.keys.is_empty() {
                state.places.clone_from(&known.places);
            }
            for (index, key) in keys.iter().enumerate() {
                let same = |old: &SecretString| old.expose_secret() == key.expose_secret();
                let Some(old) = before.keys.iter().position(same) else { continue };
                state.places[index] = known.places[old];
                if old == known.current {
                    state.current = index;
                }
            }
        }
        Self { keys: keys.to_vec(), state: Mutex::new(state) }
    }

    /// The key of a place that was taken; none where there are no keys.
    pub(super) fn key(&self, place: usize) -> Option<&SecretString> {
        self.keys.get(place)
    }

    /// The place to use now, or whose rest ends first. Moves on from a resting one to the one that was limited
    /// longest ago.
    pub(super) fn take(&self, now: Instant) -> Result<usize, Rest> {
        let mut state = self.lock();
        let current = state.current;
        if state.rest(current, now).is_none() {
            return Ok(current);
        }
        let free = (0..state.places.len()).filter(|place| state.rest(*place, now).is_none());
        let count = state.places.len();
        // Of those that never were, the next in turn.
        let next =
            free.min_by_key(|place| (state.places[*place].limited_at, (*place + count - current) % count));
        if let Some(next) = next {
            state.current = next;
            state.last_rotation = Some(SystemTime::now());
            return Ok(next);
        }
        Err(state.first_to_wake(now))
    }

    /// The place to ask from without taking it: whoever looks on does not move others on.
    pub(super) fn usable(&self, now: Instant) -> usize {
        let state = self.lock();
        let free = |place: &usize| state.rest(*place, now).is_none();
        let mut places = std::iter::once(state.current).chain(0..state.places.len());
        places.find(free).unwrap_or(state.current)
    }

    /// Whose rest ends first, if all of them rest.
    pub(super) fn resting(&self, now: Instant) -> Option<Rest> {
        let state = self.lock();
        let all = (0..state.places.len()).all(|place| state.rest(place, now).is_some());
        all.then(|| state.first_to_wake(now))
    }

    /// Takes note of what upstream said to a key. Answers with the rest that begins by it.
    pub(super) fn note(
        &self,
        place: usize,
        outcome: Result<(), &ProviderError>,
        now: Instant,
    ) -> Option<Rest> {
        let mut state = self.lock();
        let others_free =
            (0..state.places.len()).any(|other| other != place && state.rest(other, now).is_none());
        let place = state.places.get_mut(place)?;
        let was_resting = place.is_resting(now);
        match outcome {
            Ok(()) => place.strikes = 0,
            Err(error) if asks_for_rest(error) => {
                // While it rests it was told already: those are answers to requests that were under way.
                let strikes = place.strikes.saturating_sub(u32::from(place.is_resting(now)));
                let guess = FIRST_REST.saturating_mul(1 << strikes.min(6)).min(LONGEST_GUESS);
                let wait = error.retry_after.unwrap_or(guess).clamp(SHORTEST_REST, LONGEST_REST);
                place.lay_to_rest(Rest { until: now + wait, refused: false }, now);
            }
            // A 403 may be about what was asked for, such as a model or a country, and a 402 about its size, rather
            // than about the key: others are tried first, but nobody is left without any.
            Err(error) if is_doubtful(error) && !others_free => {}
            Err(error) if is_doubtful(error) || error.kind == ErrorKind::Authentication => {
                place.lay_to_rest(Rest { until: now + REFUSED_REST, refused: true }, now);
            }
            Err(_) => {}
        }
        place.rest.filter(|_| !was_resting && place.is_resting(now))
    }

    /// Takes note that a key which may have been refused is accepted now.
    pub(super) fn accepted(&self, place: usize, now: Instant) {
        let mut state = self.lock();
        if state.rest(place, now).is_some_and(|rest| rest.refused) {
            state.places[place].rest = None;
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The one in use; none where there are no keys.
    pub fn current(&self) -> Option<usize> {
        (!self.keys.is_empty()).then(|| self.lock().current)
    }

    /// How many of them rest now.
    pub fn resting_count(&self, now: Instant) -> usize {
        let state = self.lock();
        (0..self.keys.len()).filter(|place| state.rest(*place, now).is_some()).count()
    }

    /// When another one was taken last.
    pub fn last_rotation(&self) -> Option<SystemTime> {
        self.lock().last_rotation
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Of several answers that came together the longest rest counts, and they count as one.
    fn lay_to_rest(&mut self, rest: Rest, now: Instant) {
        if !self.is_resting(now) {
            self.strikes += u32::from(!rest.refused);
            self.limited_at = Some(now);
        }
        if self.rest.is_none_or(|known| known.until < rest.until) {
            self.rest = Some(rest);
        }
    }

    fn is_resting(&self, now: Instant) -> bool {
        self.rest.is_some_and(|rest| rest.until > now)
    }
}

/// Whether upstream wants to be left alone: it says so by a status, or by a time to come back at.
fn asks_for_rest(error: &ProviderError) -> bool {
    let overloaded = error.retry_after.is_some() && matches!(error.status, Some(503 | 529));
    error.kind == ErrorKind::RateLimited || overloaded
}

fn is_doubtful(error: &ProviderError) -> bool {
    matches!(error.status, Some(402 | 403))
}

impl State {
    fn rest(&self, place: usize, now: Instant) -> Option<Rest> {
        self.places[place].rest.filter(|rest| rest.until > now)
    }

    fn first_to_wake(&self, now: Instant) -> Rest {
        let rests = (0..self.places.len()).filter_map(|place| self.rest(place, now));
        rests.min_by_key(|rest| rest.until).unwrap_or(Rest { until: now, refused: false })
    }
}

#[cfg(test)]
mod tests;

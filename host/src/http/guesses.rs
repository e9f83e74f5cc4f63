//! Wrong tokens: an address that keeps sending them waits for each answer. Whoever sends a right one never comes here,
//! and is served at once from whatever address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::error::ApiError;
use super::limits;
use super::state::AppState;
use crate::limits::Subject;

/// So many from one address, in this time, are somebody's mistake.
const FREE: u32 = 60;
const WHILE: Duration = Duration::from_secs(60);

/// Each one more is answered after this long.
const PAUSE: Duration = Duration::from_secs(1);

/// So many addresses are told apart; further ones are taken for one.
const MOST_ADDRESSES: usize = 4096;

/// So many answers are held back at one time.
const MOST_WAITING: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Guesses {
    seen: Mutex<HashMap<Subject, Seen>>,
    waiting: Semaphore,
}

/// What came from one address lately.
#[derive(Debug)]
struct Seen {
    since: Instant,
    count: u32,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { seen: Mutex::default(), waiting: Semaphore::new(MOST_WAITING) }
    }
}

/// Lets whoever is refused for a wrong token wait, where there were too many of them.
pub(super) async fn hold_back(state: &AppState, parts: &Parts, refusal: &ApiError) {
    if is_guess(&parts.headers, refusal) {
        let address = limits::client(&parts.headers, &parts.extensions, &state.trusted_proxies);
        state.guesses.hold_back(address).await;
    }
}

fn is_guess(headers: &HeaderMap, refusal: &ApiError) -> bool {
    refusal.status() == StatusCode::UNAUTHORIZED && headers.contains_key(AUTHORIZATION)
}

impl Guesses {
    async fn hold_back(&self, address: IpAddr) {
        if self.are_too_many(address, Instant::now())
            && let Ok(_place) = self.waiting.try_acquire()
        {
            sleep(PAUSE).await;
        }
    }

    /// Counts one more, and says whether it is one too many.
    fn are_too_many(&self, address: IpAddr, now: Instant) -> bool {
        let mut subject = Subject::of_address(address);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |seen: &Seen| now.saturating_duration_since(seen.since) >= WHILE;
        if seen.len() >= MOST_ADDRESSES && !seen.contains_key(&subject) {
            seen.retain(|_, seen| !is_over(seen));
            if seen.len() >= MOST_ADDRESSES {
                subject = Subject::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            }
        }
        let seen = seen.entry(subject).or_insert(Seen { since: now, count: 0 });
        if is_over(seen) {
            *seen = Seen { since: now, count: 0 };
        }
        seen.count = seen.count.saturating_add(1);
        if seen.count == FREE + 1 {
            warn!(%address, "somebody keeps sending wrong tokens: answers to them are held back");
        }
        seen.count > FREE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_too_many_and_others_have_none() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let [one, two] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
        let many = (0..100).filter(|_| guesses.are_too_many(one, now)).count();
        assert_eq!((many, guesses.are_too_many(two, now)), (40, false));
        assert!(guesses.are_too_many(one, now + WHILE - Duration::from_millis(1)));
        assert!(!guesses.are_too_many(one, now + WHILE), "it begins anew");
    }

    #[test]
    fn the_table_is_bounded_however_many_addresses_there_are() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let from = |number: u32| IpAddr::from(number.to_be_bytes());
        let many = (1..=10_000).filter(|number| guesses.are_too_many(from(*number), now)).count();
        // Those for which there was no room were taken for one.
        assert_eq!(many, 10_000 - MOST_ADDRESSES - FREE as usize);
        assert_eq!(guesses.seen.lock().unwrap().len(), MOST_ADDRESSES + 1);
        // What was long ago makes room.
        assert!(!guesses.are_too_many(from(20_000), now + WHILE));
        assert_eq!(guesses.seen.lock().unwrap().len(), 1);
    }
}

//! Who has asked how much: each key and each client address by itself.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::window::{Standing, Window};

/// Locks, so that they are not waited for.
const SHARDS: usize = 16;

/// Addresses cost nothing to whoever has many: no more are remembered, in each shard.
const MOST_SUBJECTS: usize = 8192;

/// Fewer than this are not worth looking through.
const FEW_SUBJECTS: usize = 64;

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Those with one key, by its hash.
    Key([u8; 32]),
    /// Those of one client.
    Address(IpAddr),
}

impl Subject {
    /// The client at an address. Of the new kind of addresses everybody has a whole network.
    pub fn of_address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            address => address,
        })
    }
}

/// How much somebody may ask; none is without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// In any minute.
    pub requests_per_minute: Option<u32>,
    /// At one time.
    pub max_concurrent: Option<u32>,
    /// At one time, of everybody together.
    pub host_max_concurrent: Option<u32>,
}

impl Allowance {
    /// Whether there is nothing to count.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// Whoever was let in.
#[derive(Debug)]
pub struct Admitted {
    /// How things stand, where requests are counted.
    pub standing: Option<Standing>,
    /// Counts as under way until it is dropped.
    pub in_flight: InFlight,
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// Requests in the last minute.
    Requests(Standing),
    /// Requests of this one under way.
    Concurrent(u32),
    /// Requests of everybody under way.
    Host(u32),
}

/// See the module. What it remembers is gone with the process.
#[derive(Debug)]
pub struct Limiter {
    shards: [Mutex<Accounts>; SHARDS],
    hasher: RandomState,
    in_flight: AtomicU32,
}

#[derive(Debug, Default)]
struct Accounts {
    of: HashMap<Subject, Account>,
    /// Those who do not count any more are looked for when there are so many.
    look_at: usize,
}

#[derive(Debug, Default)]
struct Account {
    window: Window,
    in_flight: u32,
}

impl Default for Limiter {
    fn default() -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { shards, hasher: RandomState::new(), in_flight: AtomicU32::new(0) }
    }
}

impl Limiter {
    /// Lets a request in, or says what there is too much of: then it counts for nothing.
    pub fn admit(
        self: &Arc<Self>,
        subject: Subject,
        allowance: &Allowance,
        now: Instant,
    ) -> Result<Admitted, Exceeded> {
        let host_most = allowance.host_max_concurrent.unwrap_or(u32::MAX);
        let one_more = |count: u32| (count < host_most).then_some(count + 1);
        if self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return Err(Exceeded::Host(host_most));
        }
        let admitted = self.admit_subject(subject, allowance, now);
        if admitted.is_err() {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        let standing = admitted?;
        Ok(Admitted { standing, in_flight: InFlight { limiter: Arc::clone(self), subject } })
    }

    fn admit_subject(
        &self,
        subject: Subject,
        allowance: &Allowance,
        now: Instant,
    ) -> Result<Option<Standing>, Exceeded> {
        let mut accounts = self.shard(&subject);
        accounts.make_room(now);
        let account = accounts.of.entry(subject).or_default();
        let most = allowance.max_concurrent.unwrap_or(u32::MAX);
        if account.in_flight >= most {
            return Err(Exceeded::Concurrent(most));
        }
        let standing = match allowance.requests_per_minute {
            Some(limit) => Some(account.window.take(limit, now).map_err(Exceeded::Requests)?),
            None => None,
        };
        account.in_flight += 1;
        Ok(standing)
    }

    fn shard(&self, subject: &Subject) -> MutexGuard<'_, Accounts> {
        let place = self.hasher.hash_one(subject) as usize % SHARDS;
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
    /// Forgets those who do not count any more; where too many do, half of those who have nothing under way.
    fn make_room(&mut self, now: Instant) {
        if self.of.len() < self.look_at.max(FEW_SUBJECTS) {
            return;
        }
        self.of.retain(|_, account| account.in_flight > 0 || !account.window.is_empty(now));
        if self.of.len() >= MOST_SUBJECTS {
            let mut too_many = self.of.len() - MOST_SUBJECTS / 2;
            self.of.retain(|_, account| {
                let forgotten = too_many > 0 && account.in_flight == 0;
                too_many -= usize::from(forgotten);
                !forgotten
            });
        }
        self.look_at = (2 * self.of.len()).min(MOST_SUBJECTS);
    }
}

/// A request under way.
#[derive(Debug)]
pub struct InFlight {
    limiter: Arc<Limiter>,
    subject: Subject,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.limiter.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some(account) = self.limiter.shard(&self.subject).of.get_mut(&self.subject) {
            account.in_flight = account.in_flight.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> Subject {
        Subject::of_address(text.parse().unwrap())
    }

    #[test]
    fn everybody_is_counted_by_themselves() {
        let (limiter, now) = (Arc::new(Limiter::default()), Instant::now());
        let allowance = Allowance { requests_per_minute: Some(1), ..Allowance::default() };
        let admit =
            |subject| limiter.admit(subject, &allowance, now).map(|it| it.standing.unwrap().remaining);
        let over = Exceeded::Requests(Standing { limit: 1, remaining: 0, reset: Duration::from_secs(60) });
        for (subject, expected) in [
            (address("10.0.0.1"), Ok(0)),
            (address("10.0.0.1"), Err(over)),
            (address("::ffff:10.0.0.1"), Err(over)),
            (address("10.0.0.2"), Ok(0)),
            (address("2001:db8:1:2::7"), Ok(0)),
            // The same network, so the same client.
            (address("2001:db8:1:2:9:9:9:9"), Err(over)),
            (address("2001:db8:1:3::7"), Ok(0)),
            (Subject::Key([1; 32]), Ok(0)),
            (Subject::Key([1; 32]), Err(over)),
        ] {
            assert_eq!(admit(subject), expected, "{subject:?}");
        }
    }

    #[test]
    fn what_is_under_way_counts_until_it_ends() {
        let (limiter, now) = (Arc::new(Limiter::default()), Instant::now());
        let allowance =
            Allowance { max_concurrent: Some(1), host_max_concurrent: Some(2), ..Allowance::default() };
        let admit = |text| limiter.admit(address(text), &allowance, now);
        let first = admit("10.0.0.1").unwrap();
        assert_eq!(admit("10.0.0.1").unwrap_err(), Exceeded::Concurrent(1));
        let second = admit("10.0.0.2").unwrap();
        assert_eq!(admit("10.0.0.3").unwrap_err(), Exceeded::Host(2));
        drop(first);
        let third = admit("10.0.0.3").unwrap();
        drop((second, third));
        assert!(admit("10.0.0.1").is_ok());
        assert_eq!(limiter.in_flight.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn of_many_threads_exactly_as_many_are_let_in() {
        let limiter = Arc::new(Limiter::default());
        let allowance = Allowance { requests_per_minute: Some(100), ..Allowance::default() };
        let now = Instant::now();
        let let_in: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let one = || limiter.admit(address("10.0.0.1"), &allowance, now).is_ok();
                    scope.spawn(move || (0..50).filter(|_| one()).count())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(let_in, 100);
    }

    #[test]
    fn whoever_has_many_addresses_does_not_fill_the_memory() {
        let (limiter, now) = (Arc::new(Limiter::default()), Instant::now());
        let allowance = Allowance { requests_per_minute: Some(5), ..Allowance::default() };
        let busy = limiter.admit(address("10.0.0.1"), &allowance, now).unwrap();
        for n in 0..(SHARDS * MOST_SUBJECTS * 2) as u32 {
            let subject = Subject::Address(IpAddr::from((0x0b00_0000 + n).to_be_bytes()));
            assert!(limiter.admit(subject, &allowance, now).is_ok());
        }
        let remembered: usize = limiter.shards.iter().map(|shard| shard.lock().unwrap().of.len()).sum();
        assert!(remembered <= SHARDS * MOST_SUBJECTS, "{remembered}");
        // After a minute they are nobody.
        let later = now + Duration::from_secs(60);
        for n in 0..(SHARDS * FEW_SUBJECTS * 2) as u32 {
            let subject = Subject::Address(IpAddr::from((0x0c00_0000 + n).to_be_bytes()));
            assert!(limiter.admit(subject, &allowance, later).is_ok());
        }
        let remembered: usize = limiter.shards.iter().map(|shard| shard.lock().unwrap().of.len()).sum();
        assert!(remembered <= SHARDS * MOST_SUBJECTS / 2, "{remembered}");
        // Who has something under way is never forgotten.
        let standing = limiter.admit(address("10.0.0.1"), &allowance, now).unwrap().standing.unwrap();
        assert_eq!(standing.remaining, 3);
        drop(busy);
    }
}

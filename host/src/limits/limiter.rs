//! Who has asked how much: each key, each client address and each provider by itself, and all together.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::time::Instant;

use super::calendar::Clock;
use super::meter::{Meter, Over, Rates};
use super::payer::Payer;
use super::spending::{Budget, Spent};
use super::window::Standing;

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
    /// In any minute, day and month.
    pub rates: Rates,
    /// At one time.
    pub max_concurrent: Option<u32>,
    /// At one time, of everybody together.
    pub host_max_concurrent: Option<u32>,
    /// What everybody together may spend.
    pub host_budget: Budget,
    /// Whether budgets let nothing be asked that has no price.
    pub refuses_unpriced: bool,
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
    /// Who answers for what it takes, where that is limited.
    pub payer: Option<Payer>,
    /// Counts as under way until it is dropped.
    pub in_flight: InFlight,
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// What this one has taken.
    Own(Over),
    /// What everybody has taken.
    Everybodys(Over),
    /// Requests of this one under way.
    Concurrent(u32),
    /// Requests of everybody under way.
    Host(u32),
    /// Nothing that anybody could count: it has no price, and there is a budget.
    Unpriced,
}

impl Exceeded {
    /// Whether it is so at this provider alone, whatever else is asked and whenever.
    pub fn is_of_the_candidate(&self) -> bool {
        matches!(self, Self::Own(Over::TooDear(_)) | Self::Everybodys(Over::TooDear(_)) | Self::Unpriced)
    }
}

/// See the module. What it remembers is gone with the process, but for what was written down of spent money.
#[derive(Debug)]
pub struct Limiter {
    shards: [Mutex<Accounts>; SHARDS],
    hasher: RandomState,
    in_flight: AtomicU32,
    pub(super) host: Arc<Meter>,
    /// By name. They outlive the providers: who is made anew has not spent less.
    providers: Mutex<HashMap<String, Arc<Meter>>>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Accounts {
    of: HashMap<Subject, Account>,
    /// Those who do not count any more are looked for when there are so many.
    look_at: usize,
}

#[derive(Debug)]
struct Account {
    meter: Arc<Meter>,
    in_flight: u32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::with_clock(Clock::default())
    }
}

impl Limiter {
    /// One that is told by this clock which day it is.
    pub fn with_clock(clock: Clock) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            in_flight: AtomicU32::new(0),
            host: Arc::new(Meter::new(clock.clone())),
            providers: Mutex::default(),
            clock,
        }
    }

    /// What time it is held to be.
    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

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
        let (standing, meter) = admitted?;
        let payer = Payer::of(meter, allowance, &self.host);
        Ok(Admitted { standing, payer, in_flight: InFlight { limiter: Arc::clone(self), subject } })
    }

    fn admit_subject(
        &self,
        subject: Subject,
        allowance: &Allowance,
        now: Instant,
    ) -> Result<(Option<Standing>, Arc<Meter>), Exceeded> {
        let mut accounts = self.shard(&subject);
        accounts.make_room(now);
        let account = accounts.account(subject, &self.clock);
        let most = allowance.max_concurrent.unwrap_or(u32::MAX);
        if account.in_flight >= most {
            return Err(Exceeded::Concurrent(most));
        }
        let standing = account.meter.take_request(&allowance.rates, now).map_err(Exceeded::Own)?;
        account.in_flight += 1;
        Ok((standing, Arc::clone(&account.meter)))
    }

    /// What a provider has taken, by its name.
    pub fn provider(&self, name: &str) -> Arc<Meter> {
        let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = providers.get(name) {
            return Arc::clone(meter);
        }
        // Those that are gone and have nothing to remember.
        let now = Instant::now();
        providers.retain(|_, meter| Arc::strong_count(meter) > 1 || !meter.is_empty(now));
        let meter = Arc::new(Meter::new(self.clock.clone()));
        providers.insert(name.to_owned(), Arc::clone(&meter));
        meter
    }

    /// At least so much was spent with a key, as was written down.
    pub fn recall_key(&self, hash: [u8; 32], spent: Spent) {
        let subject = Subject::Key(hash);
        self.shard(&subject).account(subject, &self.clock).meter.recall(spent);
    }

    /// At least so much was spent by everybody, as was written down.
    pub fn recall_all(&self, spent: Spent) {
        self.host.recall(spent);
    }

    /// What was counted of a key goes on being counted under another hash of it.
    pub fn carry_over(&self, from: [u8; 32], to: [u8; 32]) {
        let (from, to) = (Subject::Key(from), Subject::Key(to));
        let meter = self.shard(&from).of.get(&from).map(|account| Arc::clone(&account.meter));
        if let Some(meter) = meter {
            // Those under way are those of before, where they end.
            self.shard(&to).of.insert(to, Account { meter, in_flight: 0 });
        }
    }

    /// What was spent with a key, as far as it was counted here or recalled.
    pub fn spent_with(&self, hash: [u8; 32]) -> Spent {
        let subject = Subject::Key(hash);
        self.shard(&subject).of.get(&subject).map(|account| account.meter.spent()).unwrap_or_default()
    }

    fn shard(&self, subject: &Subject) -> MutexGuard<'_, Accounts> {
        let place = self.hasher.hash_one(subject) as usize % SHARDS;
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
    fn account(&mut self, subject: Subject, clock: &Clock) -> &mut Account {
        let new = || Account { meter: Arc::new(Meter::new(clock.clone())), in_flight: 0 };
        self.of.entry(subject).or_insert_with(new)
    }

    /// Forgets those who do not count any more; where too many do, half of those who have nothing under way. Keys are
    /// not many, and what was spent with them is not forgotten.
    fn make_room(&mut self, now: Instant) {
        if self.of.len() < self.look_at.max(FEW_SUBJECTS) {
            return;
        }
        self.of.retain(|_, account| account.in_flight > 0 || !account.meter.is_empty(now));
        if self.of.len() >= MOST_SUBJECTS {
            let mut too_many = self.of.len() - MOST_SUBJECTS / 2;
            self.of.retain(|subject, account| {
                let an_address = matches!(subject, Subject::Address(_));
                let forgotten = too_many > 0 && account.in_flight == 0 && an_address;
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
mod tests;

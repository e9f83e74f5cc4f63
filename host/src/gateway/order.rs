//! The strategies: in which order the providers that serve the same are asked.

use std::sync::Arc;

use tokio::time::Instant;

use super::select::Reason;
use crate::config::Strategy;
use crate::providers::{Cost, Pool, Provider};

/// Who is left to be asked.
#[derive(Debug)]
pub(super) enum Order {
    /// The one that the request names.
    One(Option<Arc<Provider>>),
    /// By priority: from here on.
    InLine { pool: Arc<Pool>, next: usize },
    /// Any other way: these are left, by their places in the pool.
    Chosen {
        pool: Arc<Pool>,
        strategy: Strategy,
        only_looking: bool,
        left: Option<Vec<usize>>,
        unfit: Vec<(usize, Reason)>,
    },
}

impl Order {
    pub(super) fn one(provider: Arc<Provider>) -> Self {
        Self::One(Some(provider))
    }

    /// `only_looking` takes nobody's turn away.
    pub(super) fn new(pool: Arc<Pool>, strategy: Strategy, only_looking: bool) -> Self {
        match strategy {
            Strategy::PriorityFirst => Self::InLine { pool, next: 0 },
            _ => Self::Chosen { pool, strategy, only_looking, left: None, unfit: Vec::new() },
        }
    }

    /// The next one, with the reason to pass it over if there is one.
    pub(super) fn next(
        &mut self,
        judge: impl Fn(&Provider) -> Option<Reason>,
        cost: impl Fn(&Provider) -> Option<Cost>,
        now: Instant,
        dice: &mut impl FnMut() -> u64,
    ) -> Option<(Arc<Provider>, Option<Reason>)> {
        match self {
            Self::One(provider) => {
                let provider = provider.take()?;
                let reason = judge(&provider);
                Some((provider, reason))
            }
            Self::InLine { pool, next } => {
                let provider = pool.members().get(*next)?;
                *next += 1;
                Some((Arc::clone(provider), judge(provider)))
            }
            Self::Chosen { pool, strategy, only_looking, left, unfit } => {
                let members = pool.members();
                // Only those who can serve take turns or are diced for: nobody inherits the share of one who cannot.
                let left = left.get_or_insert_with(|| {
                    let mut fit = Vec::with_capacity(members.len());
                    for (place, provider) in members.iter().enumerate() {
                        match judge(provider) {
                            None => fit.push(place),
                            Some(reason) => unfit.push((place, reason)),
                        }
                    }
                    if *strategy == Strategy::RoundRobin && !fit.is_empty() {
                        let turn = if *only_looking { pool.turn() } else { pool.next_turn() } % fit.len();
                        fit.rotate_left(turn);
                    }
                    if *strategy == Strategy::LowestCost {
                        // What is not known may be anything. Among equals the order is that of priority.
                        fit.sort_by_cached_key(|place| {
                            let cost = cost(&members[*place]);
                            (cost.is_none(), cost)
                        });
                    }
                    fit
                });
                if let Some((place, reason)) = unfit.pop() {
                    return Some((Arc::clone(&members[place]), Some(reason)));
                }
                if left.is_empty() {
                    return None;
                }
                let chosen = match strategy {
                    Strategy::Weighted => weighted(members, left, dice),
                    Strategy::LeastLatency => quicker_of_two(members, left, now, dice),
                    Strategy::RoundRobin | Strategy::LowestCost | Strategy::PriorityFirst => 0,
                };
                Some((Arc::clone(&members[left.remove(chosen)]), None))
            }
        }
    }
}

/// Each by its weight. Those of no weight come when nobody else is left.
fn weighted(members: &[Arc<Provider>], left: &[usize], dice: &mut impl FnMut() -> u64) -> usize {
    let weight = |place: &usize| u64::from(members[*place].settings.weight);
    let total: u64 = left.iter().map(weight).sum();
    if total == 0 {
        return 0;
    }
    let mut point = dice() % total;
    for (index, place) in left.iter().enumerate() {
        let weight = weight(place);
        if point < weight {
            return index;
        }
        point -= weight;
    }
    0
}

/// The better of two at random: whoever is best is not run over by everybody at once.
fn quicker_of_two(
    members: &[Arc<Provider>],
    left: &[usize],
    now: Instant,
    dice: &mut impl FnMut() -> u64,
) -> usize {
    let count = left.len() as u64;
    if count == 1 {
        return 0;
    }
    let first = dice() % count;
    let second = (first + 1 + dice() % (count - 1)) % count;
    let load = |index: u64| {
        let provider = &members[left[index as usize]];
        let waiting = provider.counters.in_flight.load(std::sync::atomic::Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "nobody has so many requests under way")]
        let waiting = waiting as f64;
        // More than nothing: of somebody unknown it counts too how many wait there already.
        (provider.standing.latency.score(now) + 1.0) * (waiting + 1.0)
    };
    let chosen = if load(second) < load(first) { second } else { first };
    chosen as usize
}

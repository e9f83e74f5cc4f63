//! Many requests as one line of whole numbers, which a store adds up exactly.

use super::UsageRecord;
use crate::providers::Cost;

/// Up to how many milliseconds each bucket of a spread goes; there is one more for what takes longer.
pub const LATENCY_BOUNDS_MS: [u64; BUCKETS - 1] = [
    10, 25, 50, 100, 200, 300, 500, 750, 1000, 1500, 2500, 4000, 6000, 10_000, 15_000, 30_000, 60_000,
    120_000,
];

/// How many of them.
pub const BUCKETS: usize = 19;

/// The columns of a store that are not buckets.
pub const NUMBERS: [&str; 16] = [
    "requests",
    "errors",
    "abandoned",
    "unpriced",
    "estimated",
    "prompt",
    "cached",
    "cache_write",
    "completion",
    "reasoning",
    "total",
    // The cost, in units of 10^-9 dollars, and what is left, in units of 10^-18: neither is ever too large for a sum.
    "cost_nano",
    "cost_rest",
    "latency_us",
    "first_count",
    "first_us",
];

/// All of them: the numbers, then the buckets of the latency, then those of the first token.
pub const COLUMNS: usize = NUMBERS.len() + 2 * BUCKETS;

const NANO: i128 = 10_i128.pow(9);

/// More tokens than any request has; what upstream miscounts must not be more than sums can hold.
const MOST_TOKENS: u64 = 1 << 40;

/// The longest time that is counted, in microseconds: more than a month.
const LONGEST: u64 = 1 << 42;

/// How long things took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// How many there were.
    pub count: u64,
    /// All of them together, in microseconds.
    pub micros: u64,
    /// How many took how long.
    pub buckets: [u64; BUCKETS],
}

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many.
    pub requests: u64,
    /// Of them, those that failed.
    pub errors: u64,
    /// Of the others, those whose client did not wait for the end.
    pub abandoned: u64,
    /// Of all that somebody answered, those of which nobody knows what they cost.
    pub unpriced: u64,
    /// Those whose tokens and cost are what was expected beforehand.
    pub estimated: u64,
    /// Tokens read.
    pub prompt: u64,
    /// Of them, read before.
    pub cached: u64,
    /// Of them, kept for the next time.
    pub cache_write: u64,
    /// Tokens written.
    pub completion: u64,
    /// Of them, thoughts.
    pub reasoning: u64,
    /// Tokens as upstream adds them up.
    pub total: u64,
    /// In units of 10^-18 dollars.
    pub cost: i128,
    /// How long answers took; what failed says nothing about that.
    pub latency: Spread,
    /// How long they took to begin.
    pub first_token: Spread,
}

impl Sums {
    /// One request.
    pub fn of(record: &UsageRecord) -> Self {
        let mut sums = Self::default();
        sums.count_in(record);
        sums
    }

    /// Adds one request.
    pub fn count_in(&mut self, record: &UsageRecord) {
        let usage = record.usage.unwrap_or_default();
        let tokens = |count: u64| count.min(MOST_TOKENS);
        let is_answer = record.error.is_none();
        let is_abandoned = record.is_abandoned();
        // Upstream counts at the end: of what was cut off nobody knows what it took.
        let has_begun = is_answer || record.model.is_some();
        self.requests += 1;
        self.errors += u64::from(!is_answer && !is_abandoned);
        self.abandoned += u64::from(is_abandoned);
        self.unpriced += u64::from(has_begun && record.cost.is_none());
        self.estimated += u64::from(record.estimated);
        self.prompt += tokens(usage.prompt_tokens);
        self.cached += tokens(usage.cached_tokens);
        self.cache_write += tokens(usage.cache_write_tokens);
        self.completion += tokens(usage.completion_tokens);
        self.reasoning += tokens(usage.reasoning_tokens);
        self.total += tokens(usage.total_tokens);
        self.cost += record.cost.map_or(0, Cost::in_units);
        if is_answer {
            self.latency.count_in(record.latency.as_micros());
            if let Some(time) = record.first_token {
                self.first_token.count_in(time.as_micros());
            }
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.abandoned += other.abandoned;
        self.unpriced += other.unpriced;
        self.estimated += other.estimated;
        self.prompt += other.prompt;
        self.cached += other.cached;
        self.cache_write += other.cache_write;
        self.completion += other.completion;
        self.reasoning += other.reasoning;
        self.total += other.total;
        self.cost += other.cost;
        self.latency.add(&other.latency);
        self.first_token.add(&other.first_token);
    }

    /// As a store has them; see [`COLUMNS`].
    pub fn columns(&self) -> [i64; COLUMNS] {
        let mut columns = [0; COLUMNS];
        let numbers = [
            self.requests,
            self.errors,
            self.abandoned,
            self.unpriced,
            self.estimated,
            self.prompt,
            self.cached,
            self.cache_write,
            self.completion,
            self.reasoning,
            self.total,
            (self.cost / NANO) as u64,
            (self.cost % NANO) as u64,
            self.latency.micros,
            self.first_token.count,
            self.first_token.micros,
        ];
        let all = numbers.iter().chain(&self.latency.buckets).chain(&self.first_token.buckets);
        columns.iter_mut().zip(all).for_each(|(column, number)| *column = number.cast_signed());
        columns
    }

    /// As a store had them; where it was not asked for the buckets there are none.
    pub fn of_columns(columns: &[i64]) -> Self {
        let mut columns = columns.iter().copied();
        let mut next = || columns.next().unwrap_or(0);
        let mut count = || next().cast_unsigned();
        let mut sums = Self {
            requests: count(),
            errors: count(),
            abandoned: count(),
            unpriced: count(),
            estimated: count(),
            prompt: count(),
            cached: count(),
            cache_write: count(),
            completion: count(),
            reasoning: count(),
            total: count(),
            cost: i128::from(count()) * NANO + i128::from(count()),
            ..Self::default()
        };
        sums.latency.count = sums.requests.saturating_sub(sums.errors + sums.abandoned);
        sums.latency.micros = count();
        sums.first_token.count = count();
        sums.first_token.micros = count();
        sums.latency.buckets.iter_mut().for_each(|bucket| *bucket = count());
        sums.first_token.buckets.iter_mut().for_each(|bucket| *bucket = count());
        sums
    }
}

impl Spread {
    fn count_in(&mut self, micros: u128) {
        let micros = u64::try_from(micros).unwrap_or(LONGEST).min(LONGEST);
        let bucket = LATENCY_BOUNDS_MS.partition_point(|bound| bound * 1000 < micros);
        self.count += 1;
        self.micros += micros;
        self.buckets[bucket] += 1;
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.micros += other.micros;
        self.buckets.iter_mut().zip(other.buckets).for_each(|(bucket, more)| *bucket += more);
    }

    /// In milliseconds; none where there was nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.micros as f64 / self.count as f64 / 1000.0)
    }

    /// The time within which this share of them was done, in milliseconds: exact to the bucket, within which they
    /// are taken to be spread evenly. None where the buckets are not known.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let counted: u64 = self.buckets.iter().sum();
        if counted == 0 {
            return None;
        }
        let wanted = share * counted as f64;
        let mut below = 0.0;
        for (place, &count) in self.buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
            let from = if place == 0 { 0 } else { LATENCY_BOUNDS_MS[place - 1] } as f64;
            // Beyond the last bound nothing more is known.
            let to = LATENCY_BOUNDS_MS.get(place).map_or(from, |bound| *bound as f64);
            if below + count as f64 >= wanted {
                return Some(from + (to - from) * ((wanted - below) / count as f64).clamp(0.0, 1.0));
            }
            below += count as f64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::record::ABANDONED;
    use super::super::testing::record;
    use super::*;
    use crate::accounts::Usage;

    #[test]
    fn sums_are_kept_as_they_are() {
        let mut sums = Sums::of(&record(1));
        let failed = UsageRecord { error: Some("timeout".into()), model: None, cost: None, ..record(2) };
        sums.add(&Sums::of(&failed));
        sums.add(&Sums::of(&UsageRecord { cost: None, usage: None, first_token: None, ..record(3) }));
        sums.add(&Sums::of(&UsageRecord {
            error: Some(ABANDONED.into()),
            cost: None,
            usage: None,
            ..record(4)
        }));
        assert_eq!(
            (sums.requests, sums.errors, sums.abandoned, sums.unpriced, sums.prompt),
            (4, 1, 1, 2, 20)
        );
        assert_eq!((sums.cost, sums.latency.count, sums.first_token.count), (1_000_000_000_000_001, 2, 1));
        assert_eq!(Sums::of_columns(&sums.columns()), sums);
        let short = Sums::of_columns(&sums.columns()[..NUMBERS.len()]);
        assert_eq!((short.latency.mean(), short.latency.quantile(0.5)), (Some(40.0), None));
    }

    #[test]
    fn what_upstream_miscounts_does_not_break_a_sum() {
        let usage = Usage { prompt_tokens: u64::MAX, ..Usage::default() };
        let wild = UsageRecord {
            usage: Some(usage),
            cost: Some(serde_json::from_str("79228162514264337593543950335").unwrap()),
            latency: Duration::MAX,
            ..record(1)
        };
        let mut columns = [0_i64; COLUMNS];
        for _ in 0..500_000 {
            let wild = Sums::of(&wild).columns();
            columns.iter_mut().zip(wild).for_each(|(sum, more)| *sum = sum.checked_add(more).unwrap());
        }
    }

    #[test]
    fn a_quantile_is_where_its_bucket_is() {
        let mut spread = Spread::default();
        assert_eq!((spread.mean(), spread.quantile(0.5)), (None, None));
        (0..90).for_each(|_| spread.count_in(30_000));
        (0..9).for_each(|_| spread.count_in(800_000));
        spread.count_in(500_000_000);
        // In the middle of those from 25 to 50 ms, of those from 750 to 1000, and of those of which no end is known.
        for (share, expected) in [(0.45, 37.5), (0.945, 875.0), (0.999, 120_000.0)] {
            let quantile = spread.quantile(share).unwrap();
            assert!((quantile - expected).abs() < 0.001, "{share}: {quantile}");
        }
    }
}

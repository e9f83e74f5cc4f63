//! What is counted, and how long things took: a few atomic numbers each, so that counting never waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long answers take: some come from memory, some are thought about for minutes.
const ANSWERS: &[Duration] = &[
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
    Duration::from_secs(600),
];

/// What the host itself adds to them.
const OWN_WORK: &[Duration] = &[
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// How many there are at most; and one more for what is beyond the last of them.
const MOST_BOUNDS: usize = 18;

/// Sums are in tenths of a microsecond: in nanoseconds, ten thousand requests at one time would fill them in weeks.
const TICKS_PER_SECOND: u64 = 10_000_000;

/// Something that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many by now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something took how long.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [Duration],
    /// Of those up to a bound, and above the one before. They are all that is counted: a sum of them is never at odds
    /// with the parts.
    counts: [AtomicU64; MOST_BOUNDS + 1],
    ticks: AtomicU64,
}

impl Histogram {
    /// For answers.
    pub fn of_answers() -> Self {
        Self::new(ANSWERS)
    }

    /// For what the host adds to them.
    pub fn of_own_work() -> Self {
        Self::new(OWN_WORK)
    }

    fn new(bounds: &'static [Duration]) -> Self {
        Self { bounds, counts: std::array::from_fn(|_| AtomicU64::new(0)), ticks: AtomicU64::new(0) }
    }

    /// Once more, for so long.
    pub fn observe(&self, took: Duration) {
        let place = self.bounds.partition_point(|bound| *bound < took);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        let ticks = took.as_secs().wrapping_mul(TICKS_PER_SECOND) + u64::from(took.subsec_nanos() / 100);
        self.ticks.fetch_add(ticks, Ordering::Relaxed);
    }

    /// The bounds, each with how many were no longer; and how many there were at all.
    pub(super) fn cumulative(&self) -> (Vec<(Duration, u64)>, u64) {
        let mut sum = 0;
        let mut up_to = |place: usize| {
            sum += self.counts[place].load(Ordering::Relaxed);
            sum
        };
        let below = self.bounds.iter().enumerate().map(|(place, bound)| (*bound, up_to(place))).collect();
        (below, up_to(self.bounds.len()))
    }

    /// In seconds.
    #[expect(clippy::cast_precision_loss, reason = "that is how Prometheus counts")]
    pub(super) fn sum(&self) -> f64 {
        self.ticks.load(Ordering::Relaxed) as f64 / TICKS_PER_SECOND as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_its_place() {
        let histogram = Histogram::of_answers();
        for micros in [0, 1000, 1001, 2500, 600_000_000, 600_000_001, 7_000_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let (below, all) = histogram.cumulative();
        let counts: Vec<u64> = below.iter().map(|(_, count)| *count).collect();
        // What took as long as a bound says is below it.
        assert_eq!((counts[0], counts[1], counts[2], counts[17], all), (2, 4, 4, 5, 7));
        assert!((histogram.sum() - 8_200.004_502).abs() < 1e-6, "{}", histogram.sum());
    }

    #[test]
    fn bounds_rise_and_there_is_room_for_them() {
        for bounds in [ANSWERS, OWN_WORK] {
            assert!(bounds.is_sorted() && bounds.len() <= MOST_BOUNDS);
        }
    }
}

//! How long a provider takes: a decayed average to choose by, and the last few times to show.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The times that are shown are among the last so many.
const SAMPLES: usize = 256;

/// After this long without news an average counts half: who was slow is asked again some time.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// A failure counts as at least so slow.
const LEAST_PENALTY_MILLIS: f64 = 1000.0;

/// Nobody is suspected sooner.
const LEAST_SUSPICIOUS: Duration = Duration::from_secs(5);

/// How much of the average one more time makes up.
const SHARE: f64 = 0.2;

/// Times until an answer began, or was there as a whole. Without locks: every request writes it.
#[derive(Debug)]
pub struct Latency {
    /// The bits of an `f64`, in milliseconds.
    average: AtomicU64,
    /// The same, of answers alone.
    usual: AtomicU64,
    /// When it was written, in milliseconds from `start`.
    written: AtomicU64,
    start: Instant,
    /// Tenths of milliseconds, one more than they are: 0 is a place that was never written.
    samples: Box<[AtomicU32; SAMPLES]>,
    next: AtomicUsize,
}

/// Of the last times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentiles {
    /// Half of them were shorter.
    pub p50: f64,
    /// One in a hundred was longer.
    pub p99: f64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            average: AtomicU64::new(0),
            usual: AtomicU64::new(0),
            written: AtomicU64::new(0),
            start: Instant::now(),
            samples: Box::new([const { AtomicU32::new(0) }; SAMPLES]),
            next: AtomicUsize::new(0),
        }
    }
}

impl Latency {
    pub(crate) fn record(&self, took: Duration, now: Instant) {
        let millis = took.as_secs_f64() * 1000.0;
        // Of two writers at one moment one is lost, which an average can bear.
        for average in [&self.average, &self.usual] {
            let before = f64::from_bits(average.load(Ordering::Relaxed));
            let after = if before == 0.0 { millis } else { before + (millis - before) * SHARE };
            average.store(after.to_bits(), Ordering::Relaxed);
        }
        self.written.store(self.since_start(now), Ordering::Relaxed);
        let place = self.next.fetch_add(1, Ordering::Relaxed) % SAMPLES;
        let tenths = u32::try_from(took.as_micros() / 100).unwrap_or(u32::MAX - 1);
        self.samples[place].store(tenths.saturating_add(1), Ordering::Relaxed);
    }

    /// A try failed after this time. It counts as slow: whoever fails at once is not the quickest.
    pub(super) fn penalise(&self, took: Duration, now: Instant) {
        let average = f64::from_bits(self.average.load(Ordering::Relaxed));
        let millis = (took.as_secs_f64() * 1000.0).max(average * 2.0).max(LEAST_PENALTY_MILLIS);
        self.average.store(millis.to_bits(), Ordering::Relaxed);
        self.written.store(self.since_start(now), Ordering::Relaxed);
    }

    /// Whoever lets a request wait for longer than this may well be in trouble.
    pub(super) fn suspicious(&self) -> Duration {
        let usual = f64::from_bits(self.usual.load(Ordering::Relaxed));
        Duration::try_from_secs_f64(usual * 4.0 / 1000.0).unwrap_or(Duration::MAX).max(LEAST_SUSPICIOUS)
    }

    /// What to choose by, in milliseconds: less is better, and nothing known is best.
    pub(crate) fn score(&self, now: Instant) -> f64 {
        let average = f64::from_bits(self.average.load(Ordering::Relaxed));
        let age = self.since_start(now).saturating_sub(self.written.load(Ordering::Relaxed));
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of a process's life are exact in an f64"
        )]
        let half_lives = age as f64 / (HALF_LIFE.as_secs_f64() * 1000.0);
        average * (-half_lives).exp2()
    }

    /// None before the first answer.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let mut times: Vec<u32> = self.samples.iter().map(|sample| sample.load(Ordering::Relaxed)).collect();
        times.retain(|time| *time > 0);
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        let at = |hundredths: usize| f64::from(times[(last * hundredths).div_ceil(100)] - 1) / 10.0;
        Some(Percentiles { p50: at(50), p99: at(99) })
    }

    fn since_start(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_and_fades() {
        let latency = Latency::default();
        let now = latency.start;
        assert!(latency.score(now) == 0.0 && latency.percentiles().is_none());
        latency.record(Duration::from_millis(100), now);
        assert!((latency.score(now) - 100.0).abs() < 1e-9);
        latency.record(Duration::from_millis(200), now);
        assert!((latency.score(now) - 120.0).abs() < 1e-9);
        assert!((latency.score(now + HALF_LIFE) - 60.0).abs() < 1e-9);
    }

    #[test]
    fn whoever_fails_is_slow_until_that_fades() {
        let latency = Latency::default();
        let now = latency.start;
        latency.penalise(Duration::from_millis(1), now);
        assert!((latency.score(now) - 1000.0).abs() < 1e-9);
        latency.penalise(Duration::from_millis(1), now);
        assert!((latency.score(now) - 2000.0).abs() < 1e-9);
        assert!(latency.score(now + HALF_LIFE * 10) < 2.0);
        assert!(latency.percentiles().is_none(), "it is no time of an answer");
    }

    #[test]
    fn percentiles_are_of_the_last_times() {
        let latency = Latency::default();
        for _ in 0..SAMPLES {
            latency.record(Duration::from_secs(9), latency.start);
        }
        for millis in (1..=100).chain(1..=100).chain(1..=100) {
            latency.record(Duration::from_millis(millis), latency.start);
        }
        let Percentiles { p50, p99 } = latency.percentiles().unwrap();
        assert!((45.0..=65.0).contains(&p50) && (98.0..=100.0).contains(&p99), "{p50} {p99}");
        let two = Latency::default();
        two.record(Duration::from_millis(10), two.start);
        two.record(Duration::from_secs(1), two.start);
        assert_eq!(two.percentiles(), Some(Percentiles { p50: 1000.0, p99: 1000.0 }));
        let short = Latency::default();
        short.record(Duration::from_micros(250), short.start);
        assert_eq!(short.percentiles(), Some(Percentiles { p50: 0.2, p99: 0.2 }));
    }
}

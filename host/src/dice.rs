//! Random numbers for choices: quick, and good enough to spread requests; nothing secret depends on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The step of Weyl's sequence that SplitMix64 goes through.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Clones go through one sequence together.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Arc<AtomicU64>);

impl Dice {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(getrandom::u64().unwrap_or(STEP))))
    }

    /// Any number.
    pub(crate) fn roll(&self) -> u64 {
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to 1.
    pub(crate) fn share(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "of 32 bits nothing is lost")]
        let share = (self.roll() >> 32) as f64;
        share / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolls_are_spread() {
        let dice = Dice::new();
        let mut counts = [0_u32; 4];
        for _ in 0..4000 {
            counts[usize::try_from(dice.roll() % 4).unwrap()] += 1;
            assert!((0.0..=1.0).contains(&dice.share()));
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}

//! Which traces are kept.

use crate::accounts::{Parent, TraceId};

/// A share of all traces: the same ones on every machine that goes by the same share.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    /// Ids whose lower 63 bits are below this; none for all of them.
    below: Option<u64>,
    /// Whether whoever asks has decided already.
    follow_parent: bool,
}

impl Sampler {
    /// Keeps this share, from 0 to 1, of what nobody else decides.
    pub fn new(share: f64, follow_parent: bool) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share needs no more digits, and `as` saturates"
        )]
        let below = (share < 1.0).then(|| (share.max(0.0) * (1_u64 << 63) as f64) as u64);
        Self { below, follow_parent }
    }

    /// Whether this one is kept.
    pub fn keeps(self, parent: Option<&Parent>, id: TraceId) -> bool {
        match parent {
            Some(parent) if self.follow_parent => parent.is_sampled(),
            _ => self.below.is_none_or(|below| (id.low() >> 1) < below),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Trace;

    #[test]
    fn a_share_of_traces_is_kept() {
        for (share, least, most) in [(0.0, 0, 0), (0.25, 800, 1200), (1.0, 4000, 4000)] {
            let sampler = Sampler::new(share, true);
            let kept = (0..4000).filter(|_| Trace::begin(None, |it, id| sampler.keeps(it, id)).sampled);
            let kept = kept.count();
            assert!((least..=most).contains(&kept), "{share}: {kept}");
        }
    }
}

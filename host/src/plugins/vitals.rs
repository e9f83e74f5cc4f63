//! How plugins and reloads are doing, in numbers: for metrics.

use std::time::{Duration, SystemTime};

use super::record::{Life, Record};
use super::report::{ReloadReport, ReloadStatus};

/// One plugin, over all of its generations since the host was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Its id.
    pub id: String,
    /// The generation loaded last.
    pub generation: u64,
    /// How many of its generations are loaded, replaced but not yet unloaded, or stay mapped.
    pub generations: Generations,
    /// Requests that run on any of them.
    pub in_flight: usize,
    /// Calls that wait for their threads.
    pub queued: usize,
    /// Whether the one loaded last is in quarantine.
    pub quarantined: bool,
    /// What all of them came to, those that are gone too.
    pub totals: Totals,
}

/// Generations by where they are in their lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generations {
    /// Loaded, and not replaced.
    pub active: usize,
    /// Replaced, finishing what they had begun.
    pub draining: usize,
    /// On their way out.
    pub closing: usize,
    /// Mapped for good.
    pub resident: usize,
}

/// What only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Panics that were contained.
    pub panics: u64,
    /// What their threads have spent.
    pub cpu: Duration,
}

impl Totals {
    pub(super) fn add(&mut self, record: &Record) {
        self.panics += record.pulse.panics();
        self.cpu += record.pulse.cpu.spent();
    }
}

impl Vitals {
    /// `forgotten` is what generations came to of which nothing else is known any more.
    pub(super) fn of<'a>(id: &str, forgotten: Totals, records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut vitals = Self { id: id.to_owned(), totals: forgotten, ..Self::default() };
        for record in records {
            vitals.totals.add(record);
            vitals.generation = record.generation;
            vitals.quarantined = record.pulse.quarantined().is_some();
            vitals.in_flight += record.in_flight();
            vitals.queued += record.queued();
            match record.life() {
                Life::Active => vitals.generations.active += 1,
                Life::Draining { .. } => vitals.generations.draining += 1,
                Life::Closing { .. } => vitals.generations.closing += 1,
                Life::Resident { .. } => vitals.generations.resident += 1,
                Life::Unloaded => {}
            }
        }
        vitals
    }
}

/// The reloads since the host was started, without those that were only to report.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reloads {
    /// After which everything was as it was asked for.
    pub ok: u64,
    /// Some of which failed.
    pub partial: u64,
    /// That changed nothing, because of a failure.
    pub failed: u64,
    /// How many seconds the last one took.
    pub last_seconds: f64,
    /// When the last one ended after which everything was as it was asked for.
    pub last_success: Option<SystemTime>,
}

impl Reloads {
    pub(super) fn note(&mut self, report: &ReloadReport) {
        if report.dry_run {
            return;
        }
        match report.status {
            ReloadStatus::Ok => {
                self.ok += 1;
                self.last_success = Some(SystemTime::now());
            }
            ReloadStatus::Partial => self.partial += 1,
            ReloadStatus::Failed => self.failed += 1,
        }
        self.last_seconds = report.duration_ms / 1e3;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reloads_that_only_report_do_not_count() {
        let mut reloads = Reloads::default();
        let failure = ReloadReport::of_a_failure(&"x", "y");
        reloads.note(&ReloadReport { dry_run: true, ..failure.clone() });
        assert_eq!(reloads, Reloads::default());
        reloads.note(&ReloadReport { duration_ms: 1500.0, ..failure.clone() });
        assert_eq!((reloads.failed, reloads.last_seconds, reloads.last_success), (1, 1.5, None));
        reloads.note(&ReloadReport { status: ReloadStatus::Partial, ..failure.clone() });
        reloads.note(&ReloadReport { status: ReloadStatus::Ok, ..failure });
        assert_eq!((reloads.ok, reloads.partial, reloads.failed), (1, 1, 1));
        assert!(reloads.last_success.is_some());
    }
}

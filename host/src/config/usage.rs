//! The `usage` section: what is kept of requests, and for how long.

use serde::Deserialize;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UsageSettings {
    /// Each single request, for so many days.
    pub requests_days: u32,
    /// The sums of each minute.
    pub minutes_days: u32,
    /// The sums of each hour and day.
    pub hours_days: u32,
    /// So many requests wait in memory.
    pub queue_records: usize,
    /// So many MiB of them wait in a file.
    pub spill_mib: u64,
}

/// For tests and benchmarks. A test compares it with the description.
impl Default for UsageSettings {
    fn default() -> Self {
        Self { requests_days: 30, minutes_days: 14, hours_days: 400, queue_records: 20_000, spill_mib: 256 }
    }
}

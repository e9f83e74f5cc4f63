//! One line for each request that is over, where the operator wants that.

use tracing::info;

use super::log::LogControl;
use crate::accounts::{Bookkeeper, Record, cut};
use crate::services::redact;

/// What others name their models is their own words.
const MAX_NAME_BYTES: usize = 200;

/// See the module.
#[derive(Debug)]
pub struct AccessLog(LogControl);

impl AccessLog {
    /// Writes lines for as long as the log is to have them.
    pub fn new(log: LogControl) -> Self {
        Self(log)
    }
}

impl Bookkeeper for AccessLog {
    fn note(&self, record: &Record) {
        let Some(visit) = record.visit.as_ref().filter(|_| self.0.has_access_log()) else { return };
        let usage = record.usage;
        info!(
            // The log's filter knows it by this name.
            target: super::log::ACCESS,
            method = visit.method.as_str(),
            // Somebody may have put a key where its id belongs.
            path = redact::clean(&visit.path, &[]),
            status = record.status,
            outcome = record.outcome.word(),
            code = record.outcome.code(),
            client = %visit.client,
            key = record.key.as_ref().map(|key| &*key.id),
            provider = record.served_by().map(|settings| &*settings.name),
            model = record.model.as_deref().map(|model| cut(model, MAX_NAME_BYTES)),
            attempts = record.attempts.len(),
            prompt_tokens = usage.map(|usage| usage.prompt_tokens),
            completion_tokens = usage.map(|usage| usage.completion_tokens),
            cost_usd = record.cost.map(tracing::field::display),
            ms = millis(record.latency),
            first_token_ms = record.first_token.map(millis),
            request_id = &*record.request_id,
            trace_id = record.trace.as_ref().map(|trace| tracing::field::display(trace.id)),
            "request"
        );
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

//! What came of each request, and who is told of it once it is over.

// What an answer took.
mod usage;
// How a request came, and which trace it is a part of.
mod trace;
mod visit;
// One request's account, while it runs and afterwards.
mod record;
mod tab;

use std::fmt;

pub use record::{Attempt, Outcome, Record};
pub use tab::Tab;
pub use trace::{Parent, SpanId, Trace, TraceHeaders, TraceId};
pub use usage::Usage;
pub(crate) use usage::{number, usage};
pub use visit::{Arrival, AttemptSpan, Visit, cut};

/// Somebody who is told of every request when it is over. What is told must be taken down at once: a client may be
/// waiting.
pub trait Bookkeeper: Send + Sync {
    /// Takes a request down.
    fn note(&self, record: &Record);
}

/// All who are told.
#[derive(Default)]
pub struct Books(Vec<Box<dyn Bookkeeper>>);

impl Books {
    /// Tells these, in this order.
    pub fn of(keepers: Vec<Box<dyn Bookkeeper>>) -> Self {
        Self(keepers)
    }

    fn close(&self, record: &Record) {
        for keeper in &self.0 {
            keeper.note(record);
        }
    }
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").field("keepers", &self.0.len()).finish()
    }
}

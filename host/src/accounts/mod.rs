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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

pub use record::{Attempt, Outcome, Record};
pub use tab::Tab;
pub use trace::{Parent, SpanId, Trace, TraceHeaders, TraceId};
pub use usage::Usage;
pub use visit::{Arrival, AttemptSpan, MAX_NAME_BYTES, Visit, cut};

/// Somebody who is told of every request when it is over. What is told must be taken down at once: a client may be
/// waiting.
pub trait Bookkeeper: Send + Sync {
    /// Takes a request down.
    fn note(&self, record: &Record);
}

impl<T: Bookkeeper> Bookkeeper for Arc<T> {
    fn note(&self, record: &Record) {
        T::note(self, record);
    }
}

/// All who are told, and how many requests they have yet to be told of.
#[derive(Default)]
pub struct Books {
    keepers: Vec<Box<dyn Bookkeeper>>,
    requests: AtomicUsize,
    streams: AtomicUsize,
    /// The code of those that are over from now on, and whose client has not left by itself.
    cut: OnceLock<&'static str>,
}

impl Books {
    /// Tells these, in this order.
    pub fn of(keepers: Vec<Box<dyn Bookkeeper>>) -> Self {
        Self { keepers, ..Self::default() }
    }

    /// The requests under way.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Those of them whose answer is sent as it comes, and has begun.
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// Nobody who waits is served to the end any more: they failed, with this code.
    pub fn cut(&self, code: &'static str) {
        self.cut.get_or_init(|| code);
    }

    fn open(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn begin_stream(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    fn close(&self, record: &Record) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
        if record.streamed {
            self.streams.fetch_sub(1, Ordering::Relaxed);
        }
        for keeper in &self.keepers {
            keeper.note(record);
        }
    }
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").field("keepers", &self.keepers.len()).finish_non_exhaustive()
    }
}

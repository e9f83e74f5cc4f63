//! What requests took: from the moment one is over to the answer of who used how much.
//!
//! A request leaves a record in a queue in memory and is done with it. What is in the queue goes into the store a few
//! times a second. A store that is locked, full, slow or gone is waited for: what it does not take at once is put into a
//! file, and from there into the store when it can. A killed host loses what was in memory alone. A record that the store
//! has already is not counted again. Hosts of which one takes over from the other have a file each.

// 1. One request, and where records are left.
mod book;
mod queue;
mod record;
// 2. The file, those of other hosts, and what is done with them.
mod journal;
mod journals;
mod keeping;
mod reckoning;
// 3. What was spent, in the store and on the way there.
mod spent;
// 4. Many requests: sums of them, by time, and what can be asked.
mod query;
mod span;
mod sums;
// 4. And single ones that are looked for.
mod search;

pub use book::{Counts, UsageBook};
pub use journal::JournalError;
pub use query::{Aggregate, Dimension, Filter, Names, Place, Point, Spent, UsageAnswer, UsageQuery};
pub use record::{ABANDONED, RecordId, UsageRecord};
pub(crate) use record::{millis, of_millis};
pub use search::{Found, RequestQuery};
pub use span::{Segment, Span, Step};
pub use sums::{BUCKETS, COLUMNS, LATENCY_BOUNDS_MS, NUMBERS, Spread, Sums};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

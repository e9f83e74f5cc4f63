//! Who changed what: every change that operators make, and every try that was refused, for as long as it matters.

// One of them.
mod entry;
// All of them, on their way into the log, to listeners and into the store.
mod trail;
// How many refusals are noted.
mod refusals;

pub use entry::{Change, Entry, Outcome, Who, changed};
pub use trail::{Seen, Trail};

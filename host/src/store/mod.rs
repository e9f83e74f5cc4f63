//! What has to be there after a restart, whatever keeps it.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::access::VirtualKey;
use crate::audit::Seen;

// The one that comes with the host.
mod sqlite;

pub use sqlite::SqliteStore;

/// Why something could not be kept, or found again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be opened.
    #[error("the store {place} cannot be used; {hint}")]
    Unusable {
        /// Where it is.
        place: String,
        /// How to mend that.
        hint: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// It was written by a later version of the host.
    #[error(
        "the store {place} is of version {found}, and this host knows up to {known}: use the newer host again"
    )]
    TooNew {
        /// Where it is.
        place: String,
        /// The version it has.
        found: i64,
        /// The last one known here.
        known: i64,
    },
    /// It is there, and does not do what it should just now.
    #[error("the store failed")]
    Failed(#[from] sqlx::Error),
    /// It holds what this host cannot read.
    #[error(
        "the store holds {what} that cannot be read, as if another program had written it: {problem}; put it back from a backup"
    )]
    Unreadable {
        /// Of what kind.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// A keeper. Nothing of it is on a request's way: what requests need is read before and written after.
pub trait Store: fmt::Debug + Send + Sync {
    /// All keys that were not revoked.
    fn keys(&self) -> BoxFuture<'_, Result<Vec<VirtualKey>, StoreError>>;

    /// Whether there ever was a key, revoked or not.
    fn had_keys(&self) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Keeps a new key. When it returns, the key survives a crash.
    fn add_key<'a>(&'a self, key: &'a VirtualKey) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Revokes a key. When it returns, that survives a crash.
    fn revoke_key<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Keeps entries of the audit trail; the oldest make room.
    fn add_audit<'a>(&'a self, entries: &'a [Seen]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The latest of them and their numbers, newest first; those before a number, if there is one.
    fn audit(&self, before: Option<i64>, limit: u32) -> BoxFuture<'_, Result<Vec<(i64, Seen)>, StoreError>>;
}

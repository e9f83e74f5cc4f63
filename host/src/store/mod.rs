//! What has to be there after a restart, whatever keeps it.

use std::collections::HashMap;
use std::fmt;
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use crate::access::VirtualKey;
use crate::audit::Seen;
use crate::usage::{Place, Spent, UsageAnswer, UsageQuery, UsageRecord};

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
    Failed(#[source] sqlx::Error),
    /// Its file does not hold what was written to it.
    #[error(
        "the store is damaged: stop the host, and put store.sqlite back from a backup, or move it away to begin anew, in \
         either case with its -wal and -shm"
    )]
    Damaged(#[source] sqlx::Error),
    /// Somebody has put another file in its place.
    #[error(
        "{place} is another file than the one that the host has opened: stop the host, see that the right one is there, \
         and start it again"
    )]
    Replaced {
        /// Where it is.
        place: String,
    },
    /// A question that would take too long.
    #[error("the answer would have to be put together from too much")]
    TooMuch,
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

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // The lowest byte is what went wrong, the others where.
        match code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff) {
            Some(9) => Self::TooMuch,
            Some(11 | 26) => Self::Damaged(error),
            _ => Self::Failed(error),
        }
    }
}

/// What is older is not kept.
#[derive(Clone, Copy, Debug)]
pub struct UsageHorizon {
    /// Of single requests, in milliseconds since 1970.
    pub requests: i64,
    /// Of the sums of minutes, in seconds since 1970: the beginning of an hour.
    pub minutes: i64,
    /// Of the sums of hours and days, in seconds since 1970: the beginning of a day.
    pub hours: i64,
}

/// A keeper. Nothing of it is on a request's way: what requests need is read before and written after.
pub trait Store: fmt::Debug + Send + Sync {
    /// All keys that were not revoked.
    fn keys(&self) -> BoxFuture<'_, Result<Vec<VirtualKey>, StoreError>>;

    /// Whether there ever was a key, revoked or not.
    fn had_keys(&self) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Keeps a new key. When it returns, the key survives a crash.
    fn add_key<'a>(&'a self, key: &'a VirtualKey) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Keeps a key as it is from now on, unless it was revoked. When it returns, that survives a crash.
    fn change_key<'a>(&'a self, key: &'a VirtualKey) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Revokes a key. When it returns, that survives a crash.
    fn revoke_key<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;

    /// What keys of these ids are called, or were before they were revoked.
    fn key_names<'a>(
        &'a self,
        ids: &'a [&'a str],
    ) -> BoxFuture<'a, Result<HashMap<String, String>, StoreError>>;

    /// Keeps entries of the audit trail; the oldest make room.
    fn add_audit<'a>(&'a self, entries: &'a [Seen]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The latest of them and their numbers, newest first; those before a number, if there is one.
    fn audit(&self, before: Option<i64>, limit: u32) -> BoxFuture<'_, Result<Vec<(i64, Seen)>, StoreError>>;

    /// Keeps requests, each once however often it comes, and adds those that are new to the sums.
    fn write_usage<'a>(&'a self, records: &'a [UsageRecord]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Takes a little of what is older out; says whether there is nothing left of it, and then what was written is
    /// where it stays.
    fn prune_usage<'a>(&'a self, horizon: &'a UsageHorizon) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// What was used, from sums.
    fn usage<'a>(&'a self, query: &'a UsageQuery) -> BoxFuture<'a, Result<UsageAnswer, StoreError>>;

    /// Single requests, the last that arrived first, from before this one on.
    fn recent_usage(
        &self,
        before: Option<Place>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<UsageRecord>, StoreError>>;

    /// What was spent from this minute until now, by key and provider.
    fn spent(&self, since: SystemTime) -> BoxFuture<'_, Result<Vec<Spent>, StoreError>>;
}

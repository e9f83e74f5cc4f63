//! Who may ask, and for what: keys that the host gives out itself.

// 1. A key, and what it lets do.
mod key;
mod rules;
// 2. What they are recognised with.
mod secret;
// 3. All of them, as requests look them up.
mod book;

pub use book::{BookError, KeyBook, OpenError, Rotated, Unrecognised};
pub use key::{KeyPatch, Limits, NewKey, Permits, Scope, VirtualKey};
pub use secret::SecretError;

#[cfg(test)]
pub(crate) mod testing {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::SystemTime;

    use futures_util::future::BoxFuture;

    use super::{KeyBook, Limits, Permits, Scope, VirtualKey};
    use crate::audit::{Seen, Trail};
    use crate::events::Bus;
    use crate::store::{Store, StoreError, UsageHorizon};
    use crate::usage::{Aggregate, Place, Spent, UsageAnswer, UsageQuery, UsageRecord};

    /// Keeps nothing.
    #[derive(Debug)]
    pub(crate) struct Forgetful;

    impl Store for Forgetful {
        fn keys(&self) -> BoxFuture<'_, Result<Vec<VirtualKey>, StoreError>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn add_key<'a>(&'a self, _: &'a VirtualKey) -> BoxFuture<'a, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }

        fn had_keys(&self) -> BoxFuture<'_, Result<bool, StoreError>> {
            Box::pin(async { Ok(false) })
        }

        fn change_key<'a>(&'a self, _: &'a VirtualKey) -> BoxFuture<'a, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }

        fn revoke_key<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }

        fn key_names<'a>(
            &'a self,
            _: &'a [&'a str],
        ) -> BoxFuture<'a, Result<HashMap<String, String>, StoreError>> {
            Box::pin(async { Ok(HashMap::new()) })
        }

        fn add_audit<'a>(&'a self, _: &'a [Seen]) -> BoxFuture<'a, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }

        fn audit(&self, _: Option<i64>, _: u32) -> BoxFuture<'_, Result<Vec<(i64, Seen)>, StoreError>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn write_usage<'a>(&'a self, _: &'a [UsageRecord]) -> BoxFuture<'a, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }

        fn prune_usage<'a>(&'a self, _: &'a UsageHorizon) -> BoxFuture<'a, Result<bool, StoreError>> {
            Box::pin(async { Ok(true) })
        }

        fn usage<'a>(&'a self, query: &'a UsageQuery) -> BoxFuture<'a, Result<UsageAnswer, StoreError>> {
            Box::pin(async { Ok(Aggregate::new(query).finish()) })
        }

        fn recent_usage(
            &self,
            _: Option<Place>,
            _: usize,
        ) -> BoxFuture<'_, Result<Vec<UsageRecord>, StoreError>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn spent(&self, _: SystemTime) -> BoxFuture<'_, Result<Vec<Spent>, StoreError>> {
            Box::pin(async { Ok(Vec::new()) })
        }
    }

    /// A book with these keys in it, each with its token.
    pub(crate) fn book(keys: Vec<(&str, VirtualKey)>) -> Arc<KeyBook> {
        Arc::new(KeyBook::with(Arc::new(Forgetful), keys))
    }

    /// A trail that nobody reads, but for those who listen.
    pub(crate) fn trail(events: &Bus) -> Trail {
        Trail::start(Arc::new(Forgetful), events.clone())
    }

    /// A key that may chat with everybody.
    pub(crate) fn key(id: &str, token: &[u8]) -> VirtualKey {
        let mut hash = [0; 32];
        hash[..token.len()].copy_from_slice(token);
        VirtualKey {
            id: id.to_owned(),
            name: id.to_owned(),
            hint: "pb-1234...".to_owned(),
            hash,
            scopes: vec![Scope::Chat],
            permits: Permits::default(),
            limits: Limits::default(),
            created_at: 1_800_000_000_000,
            expires_at: None,
        }
    }
}

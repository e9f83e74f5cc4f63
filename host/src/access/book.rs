//! All virtual keys, as requests look them up: in memory, by a hash that nobody can make who does not know the host's
//! own secret.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::Sha256;

use super::key::{NewKey, Permits, VirtualKey, millis};
use super::secret::{self, SECRET_BYTES, SecretError};
use crate::hex::hex;
use crate::store::{Store, StoreError};

/// What every key begins with, so that one that lies about is known for what it is.
const PREFIX: &str = "pb-";

/// More would be a program that makes keys.
const MOST_KEYS: usize = 10_000;
pub(super) const LONGEST_NAME: usize = 128;
pub(super) const LONGEST_LIST: usize = 1_000;
pub(super) const LONGEST_ENTRY: usize = 256;

/// Each that counts is remembered.
pub(super) const MOST_PER_MINUTE: u32 = 1_000_000;

/// Ten years, in seconds.
pub(super) const LONGEST_LIFE: u64 = 315_360_000;

/// Why a key could not be made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// What was asked for is not right.
    #[error("{0}")]
    Refused(String),
    /// There is no such key.
    #[error("no key has the id {0:?}")]
    Unknown(String),
    /// The keeper.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no random numbers.
    #[error("the system has no random numbers: {0}")]
    NoRandom(String),
}

/// Why the keys cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The keeper.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What they are recognised with.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Why a key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecognised {
    /// There is none like this, or not any more.
    Unknown,
    /// Its time is over.
    Expired,
}

/// See the module.
pub struct KeyBook {
    /// What hashes are made with: who only has the store cannot try out guesses.
    secret: SecretBox<[u8; SECRET_BYTES]>,
    known: ArcSwap<HashMap<[u8; 32], Arc<VirtualKey>>>,
    /// Whether there ever was one.
    issued: AtomicBool,
    store: Arc<dyn Store>,
}

impl fmt::Debug for KeyBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBook").field("known", &self.known.load().len()).finish_non_exhaustive()
    }
}

impl KeyBook {
    /// The keys that the store has, recognised with the secret of a data directory.
    pub async fn open(store: Arc<dyn Store>, data_dir: &Path) -> Result<Self, OpenError> {
        let (keys, issued) = (store.keys().await?, store.had_keys().await?);
        let secret = secret::of(data_dir, issued)?;
        let known = keys.into_iter().map(|key| (key.hash, Arc::new(key))).collect::<HashMap<_, _>>();
        let (secret, known) = (SecretBox::new(Box::new(secret)), ArcSwap::from_pointee(known));
        Ok(Self { secret, known, issued: AtomicBool::new(issued), store })
    }

    /// For tests: keys that have these tokens.
    #[cfg(test)]
    pub(super) fn with(store: Arc<dyn Store>, keys: Vec<(&str, VirtualKey)>) -> Self {
        let (secret, issued) =
            (SecretBox::new(Box::new([7; SECRET_BYTES])), AtomicBool::new(!keys.is_empty()));
        let book = Self { secret, known: ArcSwap::default(), issued, store };
        let hashed = |(token, key): (&str, VirtualKey)| {
            let hash = book.hash(token.as_bytes());
            (hash, Arc::new(VirtualKey { hash, ..key }))
        };
        book.known.store(Arc::new(keys.into_iter().map(hashed).collect()));
        book
    }

    /// Whether any key was ever given out: then who has none is not let in, also when the last one was revoked.
    pub fn is_in_use(&self) -> bool {
        self.issued.load(Ordering::Relaxed)
    }

    /// Whether this claims to be a key of a host's. One that is not known is none, wherever nobody needs one.
    pub fn looks_like_one(token: &[u8]) -> bool {
        token.starts_with(PREFIX.as_bytes())
    }

    /// All of them, the oldest first.
    pub fn list(&self) -> Vec<Arc<VirtualKey>> {
        let mut keys: Vec<_> = self.known.load().values().cloned().collect();
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        keys
    }

    /// Whether a key that let somebody in would still do so.
    pub fn is_good(&self, id: &str, now: SystemTime) -> bool {
        self.known.load().values().any(|key| key.id == id && !key.is_expired(now))
    }

    /// Whose key this is.
    pub fn recognise(&self, token: &[u8], now: SystemTime) -> Result<Arc<VirtualKey>, Unrecognised> {
        // The whole hash is looked for, and it tells nothing of the key: there is nothing to learn from how long
        // that takes.
        let known = self.known.load();
        let key = known.get(&self.hash(token)).ok_or(Unrecognised::Unknown)?;
        if key.is_expired(now) { Err(Unrecognised::Expired) } else { Ok(Arc::clone(key)) }
    }

    /// Makes a key. It is shown here and never again.
    pub async fn create(
        &self,
        wanted: NewKey,
        now: SystemTime,
    ) -> Result<(Arc<VirtualKey>, SecretString), BookError> {
        check(&wanted, self.known.load().len()).map_err(BookError::Refused)?;
        let random =
            |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|e| BookError::NoRandom(e.to_string()));
        let (mut secret, mut id) = ([0; SECRET_BYTES], [0; 8]);
        random(&mut secret)?;
        random(&mut id)?;
        let token = format!("{PREFIX}{}", hex(&secret));
        let created_at = millis(now);
        let key = Arc::new(VirtualKey {
            id: format!("key_{}", hex(&id)),
            name: wanted.name.trim().to_owned(),
            hint: format!("{}...{}", &token[..PREFIX.len() + 4], &token[token.len() - 4..]),
            hash: self.hash(token.as_bytes()),
            scopes: wanted.scopes,
            permits: Permits { models: wanted.models, providers: wanted.providers },
            limits: wanted.limits,
            created_at,
            expires_at: wanted.expires_in.map(|time| created_at.saturating_add(time.saturating_mul(1000))),
        });
        // On disk before anybody is told of it.
        self.store.add_key(&key).await?;
        self.issued.store(true, Ordering::Relaxed);
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.insert(key.hash, Arc::clone(&key));
            known
        });
        Ok((key, token.into()))
    }

    /// Revokes a key: from now on it is not taken. Where that cannot be kept it is as before.
    pub async fn revoke(&self, id: &str) -> Result<Arc<VirtualKey>, BookError> {
        let found = self.known.load().values().find(|key| key.id == id).cloned();
        let key = found.ok_or_else(|| BookError::Unknown(id.to_owned()))?;
        let change = |taken: bool| {
            self.known.rcu(|known| {
                let mut known = HashMap::clone(known);
                if taken {
                    known.insert(key.hash, Arc::clone(&key))
                } else {
                    known.remove(&key.hash)
                };
                known
            });
        };
        change(false);
        if let Err(error) = self.store.revoke_key(id).await {
            change(true);
            return Err(error.into());
        }
        Ok(key)
    }

    fn hash(&self, token: &[u8]) -> [u8; 32] {
        // A key of any length will do.
        let mut hmac =
            Hmac::<Sha256>::new_from_slice(self.secret.expose_secret()).unwrap_or_else(|_| unreachable!());
        hmac.update(token);
        hmac.finalize().into_bytes().into()
    }
}

fn check(wanted: &NewKey, count: usize) -> Result<(), String> {
    let name = wanted.name.trim();
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!("name must be a text of 1 to {LONGEST_NAME} bytes, such as the team's"));
    }
    if wanted.scopes.is_empty() {
        return Err("scopes must name at least one of chat, read and admin".to_owned());
    }
    if wanted.models.len().max(wanted.providers.len()) > LONGEST_LIST {
        return Err(format!("models and providers may name {LONGEST_LIST} each"));
    }
    for name in wanted.models.iter().chain(&wanted.providers) {
        let stars = name.strip_suffix('*').unwrap_or(name).contains('*');
        if name.is_empty() || name.len() > LONGEST_ENTRY || stars {
            return Err(format!(
                "{name:?} is no name that a key can be bound to: write it as \"model\", \"provider/model\" or with one * \
                 at the end, in {LONGEST_ENTRY} bytes"
            ));
        }
    }
    if wanted.limits.requests_per_minute.is_some_and(|limit| limit.get() > MOST_PER_MINUTE) {
        return Err(format!("limits.requests_per_minute may be up to {MOST_PER_MINUTE}"));
    }
    let budgets = [wanted.limits.budget_usd_per_day, wanted.limits.budget_usd_per_month];
    if budgets.into_iter().flatten().any(|budget| budget.is_zero()) {
        return Err("a budget must be above 0 US dollars: leave it out for a key without one".to_owned());
    }
    if wanted.expires_in.is_some_and(|time| time == 0 || time > LONGEST_LIFE) {
        return Err(format!(
            "expires_in is in seconds, from 1 to {LONGEST_LIFE}; leave it out for a key without end"
        ));
    }
    if count >= MOST_KEYS {
        return Err(format!("there are {MOST_KEYS} keys already: revoke those that nobody uses"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::store::SqliteStore;

    async fn book(dir: &Path) -> KeyBook {
        let store = SqliteStore::open(&dir.join("store.sqlite")).await.unwrap();
        KeyBook::open(Arc::new(store), dir).await.unwrap()
    }

    fn wanted(json: &str) -> NewKey {
        serde_json::from_str(json).unwrap()
    }

    #[tokio::test]
    async fn a_key_is_shown_once_and_recognised_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let (later, token) = {
            let book = book(dir.path()).await;
            assert!(!book.is_in_use());
            let (key, token) =
                book.create(wanted(r#"{"name":" team ","expires_in":60}"#), now).await.unwrap();
            assert_eq!(
                (key.name.as_str(), key.scopes.as_slice()),
                ("team", &[super::super::Scope::Chat][..])
            );
            assert!(token.expose_secret().starts_with("pb-") && token.expose_secret().len() == 67);
            assert!(book.is_in_use());
            (book, token)
        };
        // The file has nothing that would let anybody in.
        let kept = std::fs::read(dir.path().join("store.sqlite-wal")).unwrap();
        let secret = &token.expose_secret().as_bytes()[20..50];
        assert!(!kept.windows(secret.len()).any(|window| window == secret));
        drop(later);

        let book = book(dir.path()).await;
        let recognise =
            |token: &str, time| book.recognise(token.as_bytes(), time).map(|key| key.name.clone());
        assert_eq!(recognise(token.expose_secret(), now), Ok("team".to_owned()));
        assert_eq!(
            recognise(token.expose_secret(), now + Duration::from_secs(60)),
            Err(Unrecognised::Expired)
        );
        assert_eq!(recognise("pb-guess", now), Err(Unrecognised::Unknown));
        let id = book.list()[0].id.clone();
        assert!(book.is_good(&id, now) && !book.is_good(&id, now + Duration::from_secs(60)));
        book.revoke(&id).await.unwrap();
        assert!(!book.is_good(&id, now));
        assert_eq!(recognise(token.expose_secret(), now), Err(Unrecognised::Unknown));
        assert!(matches!(book.revoke(&id).await, Err(BookError::Unknown(_))));
        assert!(book.is_in_use(), "whoever had the last key is not let in without it");
    }

    #[tokio::test]
    async fn without_the_secret_that_they_were_made_with_keys_are_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        book(dir.path()).await.create(wanted(r#"{"name":"k"}"#), SystemTime::now()).await.unwrap();
        std::fs::remove_file(dir.path().join("keys.secret")).unwrap();
        let store = SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap();
        let error = KeyBook::open(Arc::new(store), dir.path()).await.unwrap_err().to_string();
        assert!(error.contains("keys.secret is not there") && error.contains("from a backup"), "{error}");
    }

    #[tokio::test]
    async fn what_is_asked_for_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let book = book(dir.path()).await;
        for (json, problem) in [
            (r#"{"name":"  "}"#, "name must be a text"),
            (r#"{"name":"a\nb"}"#, "name must be a text"),
            (r#"{"name":"k","scopes":[]}"#, "scopes must name at least one"),
            (
                r#"{"name":"k","models":["gpt-*-mini"]}"#,
                "\"gpt-*-mini\" is no name that a key can be bound to",
            ),
            (r#"{"name":"k","limits":{"requests_per_minute":1000001}}"#, "limits.requests_per_minute may be"),
            (r#"{"name":"k","limits":{"budget_usd_per_day":0}}"#, "a budget must be above 0"),
            (r#"{"name":"k","expires_in":0}"#, "expires_in is in seconds, from 1"),
        ] {
            let error = book.create(wanted(json), SystemTime::now()).await.unwrap_err();
            assert!(error.to_string().starts_with(problem), "{error}");
        }
        assert!(serde_json::from_str::<NewKey>(r#"{"name":"k","limit":1}"#).is_err());
    }
}

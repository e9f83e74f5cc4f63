//! All virtual keys, as requests look them up: in memory, by a hash that nobody can make who does not know the host's
//! own secret.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::Sha256;
use tracing::error;

use super::key::{KeyPatch, NewKey, Permits, VirtualKey, millis};
use super::rules::check;
use super::secret::{self, SECRET_BYTES, SecretError};
use crate::hex::hex;
use crate::store::{Store, StoreError};

/// What every key begins with, so that one that lies about is known for what it is.
const PREFIX: &str = "pb-";

/// More would be a program that makes keys.
const MOST_KEYS: usize = 10_000;

/// Why a key could not be made, changed or revoked.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// What was asked for is not right.
    #[error("{0}")]
    Refused(String),
    /// What was asked for is nothing that a key has.
    #[error("that is nothing that a key can be: {0}")]
    Misread(serde_json::Error),
    /// There is no such key.
    #[error("no key has the id {0:?}")]
    Unknown(String),
    /// The keeper.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What keys are recognised with.
    #[error(transparent)]
    Secret(#[from] SecretError),
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
    /// Where the secret is kept, until it is: the first key has it written down.
    unkept: Mutex<Option<PathBuf>>,
    store: Arc<dyn Store>,
    /// Keys are changed one after the other: nobody who comes with one waits for that.
    changing: tokio::sync::Mutex<()>,
}

/// The text of a key, and what is kept of it.
struct Token {
    text: String,
    hint: String,
    hash: [u8; 32],
}

/// A key that has another secret now.
pub struct Rotated {
    /// As it is.
    pub key: Arc<VirtualKey>,
    /// As it was.
    pub before: Arc<VirtualKey>,
    /// What is to be sent from now on.
    pub token: SecretString,
}

impl fmt::Debug for KeyBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBook").field("known", &self.known.load().len()).finish_non_exhaustive()
    }
}

impl KeyBook {
    /// The keys that the store has, recognised with the secret of a data directory.
    pub async fn open(store: Arc<dyn Store>, data_dir: &Path) -> Result<Self, OpenError> {
        let (keys, had_keys) = (store.keys().await?, store.had_keys().await?);
        let kept = secret::kept(data_dir)?;
        let file = || secret::file(data_dir);
        let (secret, unkept) = match kept {
            Some(secret) => (secret, None),
            None if had_keys => return Err(SecretError::Lost(file()).into()),
            None => (secret::random(data_dir)?, Some(data_dir.to_owned())),
        };
        if unkept.is_none() && !had_keys {
            error!(
                secret = %file().display(),
                "keys were given out here once, and store.sqlite knows of none: it was lost, or put back without its -wal. \
                 Applications need a key as before, and no old one is good: stop the host and put the store back from a \
                 backup, make new keys, or remove the secret to begin without keys"
            );
        }
        let known = keys.into_iter().map(|key| (key.hash, Arc::new(key))).collect::<HashMap<_, _>>();
        let issued = AtomicBool::new(unkept.is_none());
        let (secret, known) = (SecretBox::new(Box::new(secret)), ArcSwap::from_pointee(known));
        let changing = tokio::sync::Mutex::default();
        Ok(Self { secret, known, issued, unkept: Mutex::new(unkept), store, changing })
    }

    /// For tests: keys that have these tokens.
    #[cfg(test)]
    pub(super) fn with(store: Arc<dyn Store>, keys: Vec<(&str, VirtualKey)>) -> Self {
        let (secret, issued) =
            (SecretBox::new(Box::new([7; SECRET_BYTES])), AtomicBool::new(!keys.is_empty()));
        let (known, changing) = (ArcSwap::default(), tokio::sync::Mutex::default());
        let book = Self { secret, known, issued, unkept: Mutex::default(), store, changing };
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

    /// What keys of these ids are called, those too that were revoked.
    pub async fn names<'a>(
        &self,
        ids: impl Iterator<Item = &'a str>,
    ) -> Result<HashMap<String, String>, StoreError> {
        let mut names: HashMap<_, _> =
            self.known.load().values().map(|key| (key.id.clone(), key.name.clone())).collect();
        let revoked: HashSet<&str> = ids.filter(|id| !names.contains_key(*id)).collect();
        if !revoked.is_empty() {
            let revoked: Vec<&str> = revoked.into_iter().collect();
            names.extend(self.store.key_names(&revoked).await?);
        }
        Ok(names)
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
        check(&wanted).map_err(BookError::Refused)?;
        if self.known.load().len() >= MOST_KEYS {
            let text = format!("there are {MOST_KEYS} keys already: revoke those that nobody uses");
            return Err(BookError::Refused(text));
        }
        let mut id = [0; 8];
        random(&mut id)?;
        let Token { text, hint, hash } = self.token()?;
        let created_at = millis(now);
        let key = Arc::new(VirtualKey {
            id: format!("key_{}", hex(&id)),
            name: wanted.name.trim().to_owned(),
            hint,
            hash,
            scopes: wanted.scopes,
            permits: Permits { models: wanted.models, providers: wanted.providers },
            limits: wanted.limits,
            created_at,
            expires_at: wanted.expires_in.map(|time| end(now, time)),
        });
        // On disk before anybody is told of it.
        self.keep_secret()?;
        self.store.add_key(&key).await?;
        self.issued.store(true, Ordering::Relaxed);
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.insert(key.hash, Arc::clone(&key));
            known
        });
        Ok((key, text.into()))
    }

    /// Gives a key another secret, which is shown here and never again; the one that it had is not taken any more. Where
    /// that cannot be kept it is as before.
    pub async fn rotate(&self, id: &str) -> Result<Rotated, BookError> {
        let _alone = self.changing.lock().await;
        let before = self.find(id)?;
        let Token { text, hint, hash } = self.token()?;
        let key = Arc::new(VirtualKey { hint, hash, ..VirtualKey::clone(&before) });
        self.store.change_key(&key).await?;
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.remove(&before.hash);
            known.insert(key.hash, Arc::clone(&key));
            known
        });
        Ok(Rotated { key, before, token: text.into() })
    }

    fn find(&self, id: &str) -> Result<Arc<VirtualKey>, BookError> {
        let found = self.known.load().values().find(|key| key.id == id).cloned();
        found.ok_or_else(|| BookError::Unknown(id.to_owned()))
    }

    fn token(&self) -> Result<Token, BookError> {
        let mut secret = [0; SECRET_BYTES];
        random(&mut secret)?;
        let text = format!("{PREFIX}{}", hex(&secret));
        let hint = format!("{}...{}", &text[..PREFIX.len() + 4], &text[text.len() - 4..]);
        Ok(Token { hint, hash: self.hash(text.as_bytes()), text })
    }

    /// Changes a part of a key, which holds for the next request that comes with it. Where that cannot be kept it is as
    /// before.
    pub async fn change(
        &self,
        id: &str,
        patch: &KeyPatch,
        now: SystemTime,
    ) -> Result<Arc<VirtualKey>, BookError> {
        let _alone = self.changing.lock().await;
        let before = self.find(id)?;
        let wanted = patch.over(&before).map_err(BookError::Misread)?;
        check(&wanted).map_err(BookError::Refused)?;
        let expires_at = wanted.expires_in.map(|time| end(now, time));
        let key = Arc::new(VirtualKey {
            name: wanted.name.trim().to_owned(),
            scopes: wanted.scopes,
            permits: Permits { models: wanted.models, providers: wanted.providers },
            limits: wanted.limits,
            expires_at: if patch.sets_end() { expires_at } else { before.expires_at },
            ..VirtualKey::clone(&before)
        });
        self.store.change_key(&key).await?;
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.insert(key.hash, Arc::clone(&key));
            known
        });
        Ok(key)
    }

    /// Revokes a key: from now on it is not taken. Where that cannot be kept it is as before.
    pub async fn revoke(&self, id: &str) -> Result<Arc<VirtualKey>, BookError> {
        let _alone = self.changing.lock().await;
        let key = self.find(id)?;
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

    fn keep_secret(&self) -> Result<(), SecretError> {
        let mut unkept = self.unkept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(data_dir) = &*unkept {
            secret::keep(data_dir, self.secret.expose_secret())?;
            *unkept = None;
        }
        Ok(())
    }

    fn hash(&self, token: &[u8]) -> [u8; 32] {
        // A key of any length will do.
        let mut hmac =
            Hmac::<Sha256>::new_from_slice(self.secret.expose_secret()).unwrap_or_else(|_| unreachable!());
        hmac.update(token);
        hmac.finalize().into_bytes().into()
    }
}

/// So many seconds from now, as keys have it.
fn end(now: SystemTime, seconds: u64) -> u64 {
    millis(now).saturating_add(seconds.saturating_mul(1000))
}

fn random(bytes: &mut [u8]) -> Result<(), BookError> {
    getrandom::fill(bytes).map_err(|error| BookError::NoRandom(error.to_string()))
}

#[cfg(test)]
mod tests;

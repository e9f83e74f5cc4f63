//! The host's own secret, which virtual keys are recognised with: who only has the store cannot try out guesses.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::durable;

/// So many random bytes cannot be guessed.
pub(super) const SECRET_BYTES: usize = 32;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Keys were made with one that is gone.
    #[error(
        "{} is not there, and no key that was given out is recognised without it: put it back from a backup, or move \
         store.sqlite, and its -wal and -shm, away to begin without keys",
        .0.display()
    )]
    Lost(PathBuf),
    /// It has another size.
    #[error("{} is damaged: put it back from a backup, or move it and store.sqlite (with its -wal and -shm) away to begin without keys", .0.display())]
    Damaged(PathBuf),
    /// There is one by now that is not this host's.
    #[error("{} was made by another host meanwhile: start this one again, so that it knows the keys of that", .0.display())]
    Another(PathBuf),
    /// The file.
    #[error("{} cannot be used: look at its permissions and the space on its disk", .0.display())]
    Unusable(PathBuf, #[source] io::Error),
}

/// The secret of a data directory, if keys were ever made with one.
pub(super) fn kept(data_dir: &Path) -> Result<Option<[u8; SECRET_BYTES]>, SecretError> {
    let path = file(data_dir);
    let unusable = |error| SecretError::Unusable(path.clone(), error);
    match fs::read(&path) {
        Ok(bytes) => {
            // Wherever it was put back from.
            fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(unusable)?;
            bytes.try_into().map(Some).map_err(|_| SecretError::Damaged(path.clone()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(error)),
    }
}

/// A new one, which is not kept yet.
pub(super) fn random(data_dir: &Path) -> Result<[u8; SECRET_BYTES], SecretError> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret)
        .map_err(|error| SecretError::Unusable(file(data_dir), io::Error::other(error.to_string())))?;
    Ok(secret)
}

/// Keeps it, readable by nobody but the host's user. That it is there says that a key was made once. One that is there
/// already is not replaced: it is what keys are recognised with.
pub(super) fn keep(data_dir: &Path, secret: &[u8; SECRET_BYTES]) -> Result<(), SecretError> {
    let path = file(data_dir);
    if kept(data_dir)?.is_some_and(|kept| kept != *secret) {
        return Err(SecretError::Another(path));
    }
    durable::replace(&path, secret).map_err(|error| SecretError::Unusable(path, error))
}

pub(super) fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("keys.secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_for_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        assert_eq!(kept(dir.path()).unwrap(), None);
        let secret = random(dir.path()).unwrap();
        assert_eq!(kept(dir.path()).unwrap(), None, "it is kept with the first key");
        keep(dir.path(), &secret).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(kept(dir.path()).unwrap(), Some(secret));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = random(dir.path()).unwrap();
        assert!(matches!(keep(dir.path(), &other), Err(SecretError::Another(_))));
        assert_eq!(kept(dir.path()).unwrap(), Some(secret));
        fs::write(&path, "short").unwrap();
        assert!(matches!(kept(dir.path()), Err(SecretError::Damaged(_))));
    }
}

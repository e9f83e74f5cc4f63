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
         store.sqlite away to begin without keys",
        .0.display()
    )]
    Lost(PathBuf),
    /// It has another size.
    #[error("{} is damaged: put it back from a backup, or move it and store.sqlite away to begin without keys", .0.display())]
    Damaged(PathBuf),
    /// The file.
    #[error("{} cannot be used: look at its permissions and the space on its disk", .0.display())]
    Unusable(PathBuf, #[source] io::Error),
}

/// The secret of a data directory: made once, and readable by nobody but its user.
pub(super) fn of(data_dir: &Path, keys_need_it: bool) -> Result<[u8; SECRET_BYTES], SecretError> {
    let path = data_dir.join("keys.secret");
    let unusable = |error| SecretError::Unusable(path.clone(), error);
    match fs::read(&path) {
        Ok(bytes) => {
            // Wherever it was put back from.
            fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(unusable)?;
            bytes.try_into().map_err(|_| SecretError::Damaged(path.clone()))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(error)),
        Err(_) if keys_need_it => Err(SecretError::Lost(path)),
        Err(_) => {
            let mut secret = [0; SECRET_BYTES];
            getrandom::fill(&mut secret).map_err(|error| unusable(io::Error::other(error.to_string())))?;
            durable::replace(&path, &secret).map_err(unusable)?;
            Ok(secret)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_for_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.secret");
        let secret = of(dir.path(), false).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(of(dir.path(), true).unwrap(), secret);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(matches!(of(dir.path(), true), Err(SecretError::Damaged(_))));
        fs::remove_file(&path).unwrap();
        assert!(matches!(of(dir.path(), true), Err(SecretError::Lost(_))));
    }
}

//! The files of the configuration, read with care: whatever lies in their place, and whenever.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::problem::ConfigProblem;

/// Far more than anybody writes; what is larger is there by mistake, and would only fill the memory.
const MOST_BYTES: u64 = 4 << 20;

/// Remembers which files have been there. One that was is never taken for one that is not wanted: it may have been
/// moved away for a moment, and nothing would be left of the configuration. Clones share what they remember.
#[derive(Clone, Debug, Default)]
pub struct ConfigFiles(Arc<Mutex<BTreeSet<PathBuf>>>);

impl ConfigFiles {
    /// The bytes; none where there is no such file, nor was one, nor must there be one.
    pub(super) fn read(&self, path: &Path, must_exist: bool) -> Result<Option<Vec<u8>>, ConfigProblem> {
        let (outcome, file) = (read(path), path.display().to_string());
        let mut there = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(bytes) => {
                there.insert(path.to_owned());
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == ErrorKind::NotFound && there.contains(path) => {
                let reason = "is gone; what serves goes on serving";
                Err(ConfigProblem::new(file, "", reason, "put it back, or restart the host to do without it"))
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => Ok(None),
            Err(error) => {
                let hint = "let it be a text file that the host's user may read";
                Err(ConfigProblem::new(file, "", format!("cannot be read: {error}"), hint))
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer, and every reload behind it.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it has more than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::process::Command;

    use super::*;

    #[track_caller]
    fn check(outcome: Result<Option<Vec<u8>>, ConfigProblem>, expected: &str) {
        assert_eq!(outcome.unwrap_err().reason, expected);
    }

    #[test]
    fn a_file_that_was_there_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, files) = (dir.path().join("plugin_config.json"), ConfigFiles::default());
        assert_eq!(files.read(&path, false), Ok(None), "there need not be one");
        check(files.read(&path, true), "cannot be read: No such file or directory (os error 2)");
        fs::write(&path, "{}").unwrap();
        assert_eq!(files.clone().read(&path, false), Ok(Some(b"{}".to_vec())));
        fs::remove_file(&path).unwrap();
        check(files.read(&path, false), "is gone; what serves goes on serving");
        assert_eq!(ConfigFiles::default().read(&path, false), Ok(None), "another host knows nothing of it");
        fs::write(&path, "[]").unwrap();
        assert_eq!(files.read(&path, false), Ok(Some(b"[]".to_vec())));
    }

    #[test]
    fn what_is_no_file_of_a_sane_size_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let (path, files) = (dir.path().join("pipe"), ConfigFiles::default());
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        check(files.read(&path, false), "cannot be read: it is not a regular file");
        check(files.read(dir.path(), false), "cannot be read: it is not a regular file");
        check(files.read(Path::new("/dev/zero"), false), "cannot be read: it is not a regular file");
        let large = dir.path().join("large");
        File::create(&large).unwrap().set_len(MOST_BYTES + 1).unwrap();
        check(files.read(&large, false), "cannot be read: it has more than 4 MiB");
    }
}

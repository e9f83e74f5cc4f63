//! Files that are replaced as a whole: a host that is killed at any moment finds one that is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What is behind the name of a file that is not complete.
pub(crate) const UNFINISHED: &str = "json.tmp";

/// Puts these bytes in a file's place, for the host's user alone, and returns when the disk has them. Two at one time
/// would take each other's bytes for their own: that they do not is the caller's part.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a killed host left under this name is overwritten.
    replace_by(&temporary(path), path, bytes)
}

/// The same, where somebody else may replace the file at the same time: then each has a name of its own for the bytes
/// that are not complete.
pub(crate) fn replace_by(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    // The rename, too, is only on disk once its folder is.
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Where the bytes are until they are complete.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    path.with_extension(UNFINISHED)
}

//! The file's name, and who may read it.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A name for the file that is text, as the library wants it: where its folder's is none, that of the open folder.
pub(super) fn as_text(path: &Path) -> io::Result<(PathBuf, Option<File>)> {
    if path.to_str().is_some() {
        return Ok((path.to_owned(), None));
    }
    let folder = File::open(path.parent().unwrap_or(Path::new(".")))?;
    let name = path.file_name().unwrap_or_default();
    let open = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    Ok((open, Some(folder)))
}

/// Makes the file where there is none; in any case it is for the host's user alone, wherever it was put back from.
pub(super) fn private(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

/// Which files have its names now, however they are called next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) file: Inode,
    /// What SQLite keeps beside it: without that, what was written last is not there for whoever opens the file.
    companions: [Option<Inode>; 2],
}

/// Device and number.
type Inode = (u64, u64);

impl Identity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let inode = |path: &Path| path.metadata().map(|file| (file.dev(), file.ino()));
        Ok(Self { file: inode(path)?, companions: companions(path).map(|path| inode(&path).ok()) })
    }
}

/// What SQLite keeps beside a file.
pub(super) fn companions(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

//! What identifies a file's state: cheaply from its metadata, and for certain from its content.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Says whether it is worth reading a file again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    size: u64,
    modified: (i64, i64),
    inode: (u64, u64),
    access: Access,
}

/// Who may change a file decides whether it may be loaded, so `chmod` mends a refused one: it is a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    mode: u32,
    owner: (u32, u32),
}

/// What a report is about: two states with the same content are the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Readable { sha256: [u8; 32], access: Access },
    Unreadable { reason: io::ErrorKind, access: Access },
}

impl Fingerprint {
    /// Of a regular file; anything else is not a file to load and has none.
    pub(super) fn of(metadata: &Metadata) -> Option<Fingerprint> {
        metadata.is_file().then(|| Fingerprint {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            inode: (metadata.dev(), metadata.ino()),
            access: Access { mode: metadata.mode(), owner: (metadata.uid(), metadata.gid()) },
        })
    }
}

/// Reads a file whole, with the fingerprint it had when that was done; none when it is gone.
///
/// A fingerprint that is not the expected one means that the content cannot be trusted: somebody is writing.
pub(super) fn read(path: &Path) -> Option<(Fingerprint, Content)> {
    hash(path).or_else(|error| unreadable(path, &error)).ok()
}

fn hash(path: &Path) -> io::Result<(Fingerprint, Content)> {
    // Without the flag, opening a FIFO that has a library's name would wait for a writer for ever.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    // Asked before reading too: a directory or device is refused before a byte of it is read.
    Fingerprint::of(&file.metadata()?).ok_or(io::ErrorKind::NotFound)?;

    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let fingerprint = Fingerprint::of(&file.metadata()?).ok_or(io::ErrorKind::NotFound)?;
    let content = Content::Readable { sha256: hasher.finalize().into(), access: fingerprint.access };
    Ok((fingerprint, content))
}

/// A file that nobody may read is a state too: it is reported once, and the loader then says what is wrong.
fn unreadable(path: &Path, error: &io::Error) -> io::Result<(Fingerprint, Content)> {
    let fingerprint = Fingerprint::of(&std::fs::metadata(path)?).ok_or(io::ErrorKind::NotFound)?;
    Ok((fingerprint, Content::Unreadable { reason: error.kind(), access: fingerprint.access }))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn content(path: &Path) -> Option<Content> {
        read(path).map(|(_, content)| content)
    }

    #[test]
    fn the_same_bytes_in_another_file_are_the_same_content() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::write(&one, "bytes").unwrap();
        let before = read(&one).unwrap();
        fs::write(&other, "bytes").unwrap();
        fs::rename(&other, &one).unwrap();
        let after = read(&one).unwrap();
        assert_eq!(before.1, after.1);
        assert_ne!(before.0, after.0);
    }

    #[test]
    fn permissions_are_part_of_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "bytes").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let before = content(&path);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_ne!(before, content(&path));
    }

    #[test]
    fn what_is_no_regular_file_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(content(folder.path()), None);
        assert_eq!(content(&folder.path().join("absent")), None);
        assert_eq!(content(Path::new("/dev/null")), None);
    }
}

//! Reads a candidate's bytes: safely, whole, and together with their hash, which is the plugin's identity.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::permissions::{self, PermissionError};
use super::problem::{Problem, ProblemCode, Step};
use crate::hex::hex;

/// What a file must be like to be read.
#[derive(Clone, Copy, Debug)]
pub struct FileRules {
    pub max_bytes: u64,
    /// For systems whose permissions mean nothing, such as some mounts into containers.
    pub allow_unsafe_permissions: bool,
}

impl Default for FileRules {
    fn default() -> Self {
        Self { max_bytes: 256 << 20, allow_unsafe_permissions: false }
    }
}

/// The bytes of a library and their hash. Everything later works on these, never on the file again.
#[derive(Debug)]
pub struct FileContents {
    pub bytes: Vec<u8>,
    pub hash: ContentHash,
}

/// The SHA-256 of a library's bytes. Same hash, same plugin, whatever the file is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash([u8; 32]);

/// Why a file was not read.
#[derive(Error, Debug)]
pub enum FileError {
    #[error("the folder cannot be listed")]
    FolderUnreadable(#[source] io::Error),
    #[error("the file cannot be read")]
    Unreadable(#[source] io::Error),
    #[error("it is a {found}, not a regular file")]
    NotRegular { found: &'static str },
    #[error(transparent)]
    Permissions(#[from] PermissionError),
    #[error("the file has {size} bytes, more than the {limit} that are allowed")]
    TooLarge { size: u64, limit: u64 },
    #[error("the file changed while it was read: it is still being written")]
    Changing,
    #[error("there is no memory for the {size} bytes of the file")]
    Memory { size: u64 },
}

impl FileError {
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::Permissions(error) => return error.problem(Step::File),
            Self::FolderUnreadable(_) => {
                (ProblemCode::FolderUnreadable, "let the host's user read the folder")
            }
            Self::Unreadable(_) => {
                (ProblemCode::FileUnreadable, "let the host's user read the file, or remove it")
            }
            Self::NotRegular { .. } => (ProblemCode::NotARegularFile, "put the library itself here"),
            Self::TooLarge { .. } => {
                (ProblemCode::FileTooLarge, "strip the library: a plugin has less than a megabyte")
            }
            Self::Changing => (
                ProblemCode::FileChanging,
                "wait until it is written; write to a temporary name and rename it",
            ),
            Self::Memory { .. } => {
                (ProblemCode::OutOfMemory, "strip the library, or give the host more memory")
            }
        };
        Problem::new(Step::File, code, self, hint)
    }

    /// Pipes would block, devices never end, sockets cannot be opened.
    pub fn unless_regular(metadata: &Metadata) -> Result<(), Self> {
        let kind = metadata.file_type();
        let found = match () {
            () if kind.is_file() => return Ok(()),
            () if kind.is_dir() => "folder",
            () if kind.is_fifo() => "named pipe",
            () if kind.is_socket() => "socket",
            () => "device",
        };
        Err(Self::NotRegular { found })
    }
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        error.problem()
    }
}

impl FileContents {
    pub fn new(bytes: Vec<u8>) -> Self {
        let hash = ContentHash::of(&bytes);
        Self { bytes, hash }
    }
}

impl ContentHash {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Sixteen digits: enough for the name of a file, whose generation is unique anyway.
    pub fn short(&self) -> String {
        self.to_string()[..16].to_owned()
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

/// As much of a file as tells what it is.
const HEAD: usize = 512;

/// Reads the file behind `path`, following links: what counts is who may change the file that they lead to.
pub fn read(path: &Path, rules: &FileRules) -> Result<FileContents, FileError> {
    read_if(path, rules, |_| Ok(()))
}

/// Like [`read`], but first shows how the file begins: what is not wanted is not read.
pub fn read_if<E: From<FileError>>(
    path: &Path,
    rules: &FileRules,
    wanted: impl FnOnce(&[u8]) -> Result<(), E>,
) -> Result<FileContents, E> {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer; regular files do not care.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path)
        .map_err(FileError::Unreadable)?;
    let before = file.metadata().map_err(FileError::Unreadable)?;
    FileError::unless_regular(&before)?;
    if !rules.allow_unsafe_permissions {
        check_permissions(path, &before)?;
    }
    if before.len() > rules.max_bytes {
        return Err(FileError::TooLarge { size: before.len(), limit: rules.max_bytes }.into());
    }
    wanted(&read_head(&file).map_err(FileError::Unreadable)?)?;

    let bytes = read_bytes(&mut file, before.len())?;

    // The path is asked too: a file that was replaced meanwhile is somebody's upload under way.
    let after = file.metadata().map_err(FileError::Unreadable)?;
    let now = fs::metadata(path).map_err(|_| FileError::Changing)?;
    let state = State::of(&before);
    if bytes.len() as u64 != before.len() || State::of(&after) != state || State::of(&now) != state {
        return Err(FileError::Changing.into());
    }
    Ok(FileContents::new(bytes))
}

/// The file, the folder it was found in, and the folder it really lies in when a link led there.
fn check_permissions(path: &Path, file: &Metadata) -> Result<(), FileError> {
    permissions::check(path, file)?;
    let real = fs::canonicalize(path).map_err(FileError::Unreadable)?;
    let found_in = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found_in = fs::canonicalize(found_in).map_err(FileError::Unreadable)?;
    let lies_in = real.parent().unwrap_or(Path::new("/"));
    for dir in [found_in.as_path(), lies_in] {
        permissions::check(dir, &fs::metadata(dir).map_err(FileError::Unreadable)?)?;
    }
    Ok(())
}

fn read_head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let length = file.read_at(&mut head, 0)?;
    head.truncate(length);
    Ok(head)
}

/// One byte more than expected is asked for, so that a growing file is noticed, and never more than that.
fn read_bytes(file: &mut File, size: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let room = usize::try_from(size).map_err(|_| FileError::Memory { size })?;
    bytes.try_reserve_exact(room.saturating_add(1)).map_err(|_| FileError::Memory { size })?;
    file.take(size.saturating_add(1)).read_to_end(&mut bytes).map_err(FileError::Unreadable)?;
    Ok(bytes)
}

/// What differs when a file was written to or replaced. The change time cannot be set back by its writer.
#[derive(PartialEq)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    fn check(path: &Path, rules: &FileRules, expected: &str) {
        let outcome = match read(path, rules) {
            Ok(contents) => contents.hash.short(),
            Err(error) => error.problem().message,
        };
        assert_eq!(outcome, expected);
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_whole_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let rules = FileRules { max_bytes: 3, ..FileRules::default() };
        let path = |name| dir.path().join(name);
        fs::write(path("good.so"), "abc").unwrap();
        fs::write(path("big.so"), "abcd").unwrap();
        symlink("good.so", path("link.so")).unwrap();
        symlink("loop.so", path("loop.so")).unwrap();
        assert!(Command::new("mkfifo").arg(path("pipe.so")).status().unwrap().success());

        check(&path("good.so"), &rules, "ba7816bf8f01cfea");
        check(&path("link.so"), &rules, "ba7816bf8f01cfea");
        check(&path("big.so"), &rules, "the file has 4 bytes, more than the 3 that are allowed");
        check(&path("pipe.so"), &rules, "it is a named pipe, not a regular file");
        check(dir.path(), &rules, "it is a folder, not a regular file");
        check(Path::new("/dev/null"), &rules, "it is a device, not a regular file");
        check(&path("none.so"), &rules, "the file cannot be read: No such file or directory (os error 2)");
        check(
            &path("loop.so"),
            &rules,
            "the file cannot be read: Too many levels of symbolic links (os error 40)",
        );
    }

    #[test]
    fn nobody_else_may_write_the_file_its_folder_or_the_folder_behind_a_link() {
        let root = tempfile::tempdir().unwrap();
        let (plugins, store) = (root.path().join("plugins"), root.path().join("store"));
        fs::create_dir(&plugins).unwrap();
        fs::create_dir(&store).unwrap();
        let (file, link) = (store.join("a.so"), plugins.join("a.so"));
        fs::write(&file, "abc").unwrap();
        symlink(&file, &link).unwrap();
        let rules = FileRules::default();
        let refused =
            |path: &Path, mode| format!("{} can be written by every user (mode {mode})", path.display());

        check(&link, &rules, "ba7816bf8f01cfea");
        set_mode(&file, 0o646);
        check(&link, &rules, &refused(&link, "0646"));
        set_mode(&file, 0o644);
        set_mode(&store, 0o757);
        check(&link, &rules, &refused(&store, "0757"));
        set_mode(&store, 0o755);
        set_mode(&plugins, 0o1777);
        check(&link, &rules, &refused(&plugins, "1777"));
        check(&link, &FileRules { allow_unsafe_permissions: true, ..rules }, "ba7816bf8f01cfea");
    }

    #[test]
    fn a_growing_file_is_never_taken_for_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.so");
        fs::write(&path, "abcdef").unwrap();
        let mut file = File::open(&path).unwrap();
        // As if three bytes had been there when its size was asked.
        assert_eq!(read_bytes(&mut file, 3).unwrap().len(), 4);
        let before = State::of(&file.metadata().unwrap());
        fs::write(&path, "abcdeg").unwrap();
        File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        assert!(before != State::of(&file.metadata().unwrap()));
        assert_eq!(
            FileError::Changing.problem().message,
            "the file changed while it was read: it is still being written"
        );
    }
}

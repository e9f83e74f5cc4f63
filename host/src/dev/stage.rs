//! Puts a built library where the host looks for it, so that no look ever finds half of one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Whether there was anything to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Staged {
    Replaced(PathBuf),
    /// The very same bytes were there already: a new file would only make the host look at it again.
    UpToDate,
}

/// Copies the library into the directory under its own name.
///
/// # Errors
///
/// When it cannot be read or written; the library that was there before then still is.
pub fn stage(library: &Path, directory: &Path) -> io::Result<Staged> {
    let name = library.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    prepare(directory)?;
    place(library, &directory.join(name), 0o644)
}

/// Puts a copy in the place of a file, with this mode. Whoever has the old one open keeps it as it was.
pub(super) fn place(from: &Path, target: &Path, mode: u32) -> io::Result<Staged> {
    let (Some(directory), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if same_bytes(from, target)? {
        return Ok(Staged::UpToDate);
    }
    // Beside the target: a rename is only atomic within one file system. The host skips hidden names.
    let temporary = directory.join(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let placed = copy(from, &temporary, mode).and_then(|()| fs::rename(&temporary, target));
    if placed.is_err() {
        // What matters is the error that brought us here.
        let _ = fs::remove_file(&temporary);
    }
    placed?;
    File::open(directory)?.sync_all()?;
    Ok(Staged::Replaced(target.to_owned()))
}

/// The host refuses libraries from a directory that others may write to; a clone made under a generous umask is
/// one.
pub(super) fn prepare(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    let mode = fs::metadata(directory)?.permissions().mode();
    if mode & 0o022 != 0 {
        fs::set_permissions(directory, Permissions::from_mode(mode & 0o7755))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    // A process with our id may have been killed here before.
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    // Whatever the umask is, and the mode that cargo gave it.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn same_bytes(library: &Path, target: &Path) -> io::Result<bool> {
    let mut there = match File::open(target) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut built = File::open(library)?;
    if built.metadata()?.len() != there.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (Vec::new(), Vec::new());
    built.read_to_end(&mut one)?;
    there.read_to_end(&mut other)?;
    Ok(one == other)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    struct Rig {
        folder: tempfile::TempDir,
    }

    impl Rig {
        fn new(bytes: &str) -> Rig {
            let rig = Rig { folder: tempfile::tempdir().unwrap() };
            rig.builds(bytes);
            rig
        }

        fn builds(&self, bytes: &str) {
            fs::write(self.built(), bytes).unwrap();
        }

        fn built(&self) -> PathBuf {
            self.folder.path().join("libmock.so")
        }

        fn plugins(&self) -> PathBuf {
            self.folder.path().join("plugins/custom")
        }

        fn staged(&self) -> PathBuf {
            self.plugins().join("libmock.so")
        }

        fn stage(&self) -> Staged {
            stage(&self.built(), &self.plugins()).unwrap()
        }
    }

    #[test]
    fn a_library_is_replaced_by_another_file_and_never_written_to() {
        let rig = Rig::new("first");
        assert_eq!(rig.stage(), Staged::Replaced(rig.staged()));
        let mapped = File::open(rig.staged()).unwrap();

        rig.builds("second");
        assert_eq!(rig.stage(), Staged::Replaced(rig.staged()));
        assert_eq!(fs::read_to_string(rig.staged()).unwrap(), "second");
        assert_eq!(io::read_to_string(mapped).unwrap(), "first");
        assert_eq!(fs::read_dir(rig.plugins()).unwrap().count(), 1, "a temporary file was left behind");
    }

    #[test]
    fn the_same_bytes_are_left_alone() {
        let rig = Rig::new("first");
        rig.stage();
        let before = fs::metadata(rig.staged()).unwrap();
        assert_eq!(rig.stage(), Staged::UpToDate);
        assert_eq!(fs::metadata(rig.staged()).unwrap().ino(), before.ino());

        rig.builds("FIRST");
        assert_eq!(rig.stage(), Staged::Replaced(rig.staged()));
    }

    #[test]
    fn nobody_else_may_write_what_is_staged() {
        let rig = Rig::new("first");
        fs::create_dir_all(rig.plugins()).unwrap();
        fs::set_permissions(rig.plugins(), Permissions::from_mode(0o775)).unwrap();
        fs::set_permissions(rig.built(), Permissions::from_mode(0o775)).unwrap();
        rig.stage();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&rig.plugins()), 0o755);
        assert_eq!(mode(&rig.staged()), 0o644);
    }

    #[test]
    fn what_fails_leaves_the_previous_library() {
        let rig = Rig::new("first");
        rig.stage();
        fs::remove_file(rig.built()).unwrap();
        assert!(stage(&rig.built(), &rig.plugins()).is_err());
        assert_eq!(fs::read_to_string(rig.staged()).unwrap(), "first");
        assert_eq!(fs::read_dir(rig.plugins()).unwrap().count(), 1);
    }
}

//! The host's own copy of a library, which is what gets loaded: overwriting the user's file then hurts nobody,
//! and every load has a path that the loader has never seen.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::file::FileContents;
use super::manifest::PluginId;
use super::permissions;
use super::problem::{Problem, ProblemCode, Step};

/// Why there is no copy.
#[derive(Error, Debug)]
pub enum CopyError {
    #[error("the plugin cache {} cannot be used", dir.display())]
    Unusable { dir: PathBuf, source: io::Error },
    #[error("the host's folder {} belongs to user {owner}, not to the host's user {host}", dir.display())]
    Owner { dir: PathBuf, owner: u32, host: u32 },
    #[error("the host's folder {} can be written by other users (mode {mode:04o})", dir.display())]
    OthersWrite { dir: PathBuf, mode: u32 },
    #[error("the host's folder {} is not a folder, or only a link to one", dir.display())]
    NotAFolder { dir: PathBuf },
    #[error("the plugin cache {} is on a file system mounted noexec, from which nothing can be loaded", dir.display())]
    NoExec { dir: PathBuf },
    #[error("the copy {} already exists", path.display())]
    Exists { path: PathBuf },
    #[error("the copy {} cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the copy {} cannot be removed", path.display())]
    Remove { path: PathBuf, source: io::Error },
}

impl CopyError {
    pub fn problem(&self) -> Problem {
        const ELSEWHERE: &str = "set PATCHBAY_DATA_DIR to a folder on another file system";
        let (code, hint) = match self {
            Self::Unusable { .. } => {
                (ProblemCode::CacheUnusable, "let the host's user write there".to_owned())
            }
            Self::Owner { dir, host, .. } => {
                (ProblemCode::CacheOwner, format!("chown {host} {}", dir.display()))
            }
            Self::OthersWrite { dir, .. } => (
                ProblemCode::CacheWritableByOthers,
                format!("chmod go-w {0}, or set PATCHBAY_DATA_DIR to {0}/patchbay, say", dir.display()),
            ),
            Self::NotAFolder { .. } => {
                (ProblemCode::CacheNotAFolder, "remove it: the host makes a folder there".to_owned())
            }
            Self::NoExec { .. } => (ProblemCode::CacheNoexec, ELSEWHERE.to_owned()),
            Self::Exists { .. } => {
                (ProblemCode::CopyExists, "stop the other host that uses this data directory".to_owned())
            }
            Self::Write { .. } => (ProblemCode::CopyUnwritable, format!("make room, or {ELSEWHERE}")),
            Self::Remove { .. } => (ProblemCode::CopyUnremovable, "remove it by hand".to_owned()),
        };
        Problem::new(Step::Copy, code, self, hint)
    }
}

/// Makes the folder `<data>/plugins` if need be, and finds out whether libraries can be loaded from it and nobody
/// else can change it.
///
/// At start, and before each copy: folders are opened up, and file systems mounted anew, while the host runs.
pub fn check_cache_dir(dir: &Path) -> Result<(), CopyError> {
    let unusable = |source| CopyError::Unusable { dir: dir.to_owned(), source };
    make_dir(dir).map_err(unusable)?;
    // Whoever may write to the data directory may put another folder in the place of this one. It may be reached
    // through a link, which is the operator's; what the host makes in it may not.
    if let Some(data) = dir.parent() {
        check_owner(data, &fs::metadata(data).map_err(unusable)?)?;
    }
    let folder = own_folder(dir)?;
    if is_noexec(&folder).map_err(unusable)? {
        return Err(CopyError::NoExec { dir: dir.to_owned() });
    }
    Ok(())
}

/// A folder that the host has made, not a link to one.
fn own_folder(dir: &Path) -> Result<File, CopyError> {
    let unusable = |source| CopyError::Unusable { dir: dir.to_owned(), source };
    let real = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let folder = match OpenOptions::new().read(true).custom_flags(real).open(dir) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTDIR | libc::ELOOP)) => {
            return Err(CopyError::NotAFolder { dir: dir.to_owned() });
        }
        opened => opened.map_err(unusable)?,
    };
    check_owner(dir, &folder.metadata().map_err(unusable)?)?;
    Ok(folder)
}

fn check_owner(dir: &Path, metadata: &Metadata) -> Result<(), CopyError> {
    let dir = dir.to_owned();
    let (owner, host, mode) = (metadata.uid(), permissions::host_user(), metadata.mode() & 0o7777);
    if owner != host {
        return Err(CopyError::Owner { dir, owner, host });
    }
    // Even a private group is too many: nobody has a reason to write here but this process.
    if mode & 0o022 != 0 {
        return Err(CopyError::OthersWrite { dir, mode });
    }
    Ok(())
}

/// Writes the bytes that were hashed and inspected to a path of their own, and answers with that path.
///
/// Written, never linked: a hard link would share its inode with the user's file, and the loader goes by inode.
pub fn store(
    cache: &Path,
    id: &PluginId,
    generation: u64,
    contents: &FileContents,
) -> Result<PathBuf, CopyError> {
    check_cache_dir(cache)?;
    let dir = cache.join(id.as_str());
    make_dir(&dir).map_err(|source| CopyError::Unusable { dir: dir.clone(), source })?;
    own_folder(&dir)?;
    let path = dir.join(format!("{generation}-{}.so", contents.hash.short()));

    // Readable and executable for its owner alone; not even the host writes to it again. `create_new` is O_EXCL,
    // which follows no link that somebody may have left there.
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o500).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(CopyError::Exists { path }),
        Err(source) => return Err(CopyError::Write { path, source }),
    };
    if let Err(source) = file.write_all(&contents.bytes) {
        // A partial copy is of no use; the error that matters is the first one.
        let _ = fs::remove_file(&path);
        return Err(CopyError::Write { path, source });
    }
    Ok(path)
}

/// Removes a copy whose library was closed. That it is gone already is fine.
pub fn remove(path: &Path) -> Result<(), CopyError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(CopyError::Remove { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Removes what a killed host left behind, and answers with how many copies that were.
///
/// Only for the holder of the data directory's lock. Touches nothing but files named like copies, in case the
/// cache was pointed at a folder that holds something else.
pub fn clean_leftovers(cache: &Path) -> Result<usize, CopyError> {
    let mut removed = 0;
    for dir in subfolders(cache).map_err(|source| CopyError::Unusable { dir: cache.to_owned(), source })? {
        let unusable = |source| CopyError::Unusable { dir: dir.clone(), source };
        for entry in fs::read_dir(&dir).map_err(unusable)? {
            let path = entry.map_err(unusable)?.path();
            if path.is_file() && is_copy_name(&path) {
                remove(&path)?;
                removed += 1;
            }
        }
        // Fails when something else lies in it, which is then left alone.
        let _ = fs::remove_dir(&dir);
    }
    Ok(removed)
}

/// Real folders only: a link in the cache could lead anywhere.
fn subfolders(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

/// `<generation>-<16 hexadecimal digits>.so`
fn is_copy_name(path: &Path) -> bool {
    let parts = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".so")?.split_once('-'));
    parts.is_some_and(|(generation, hash)| {
        generation.parse::<u64>().is_ok()
            && hash.len() == 16
            && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn is_noexec(folder: &File) -> io::Result<bool> {
    let mut stats = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the descriptor is open for as long as `folder` is borrowed, and `stats` has room for the answer.
    if unsafe { libc::fstatvfs(folder.as_raw_fd(), stats.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled the whole struct.
    let stats = unsafe { stats.assume_init() };
    Ok(stats.f_flag & libc::ST_NOEXEC != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_copy_is_private_exclusive_and_exactly_the_bytes() {
        let data = tempfile::tempdir().unwrap();
        let cache = data.path().join("deep/plugins");
        let (id, contents) = (PluginId::parse("mock").unwrap(), FileContents::new(b"abc".to_vec()));
        check_cache_dir(&cache).unwrap();
        assert_eq!(mode(&cache), 0o700);

        let path = store(&cache, &id, 7, &contents).unwrap();
        assert_eq!(path, cache.join("mock/7-ba7816bf8f01cfea.so"));
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o500, 0o700));

        let error = store(&cache, &id, 7, &contents).unwrap_err();
        assert_eq!(error.to_string(), format!("the copy {} already exists", path.display()));
        remove(&path).unwrap();
        remove(&path).unwrap();
        symlink("/nowhere", &path).unwrap();
        assert!(matches!(store(&cache, &id, 7, &contents), Err(CopyError::Exists { .. })));
    }

    #[test]
    fn a_cache_that_others_can_change_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let (cache, elsewhere) = (data.path().join("plugins"), data.path().join("elsewhere"));
        let (id, contents) = (PluginId::parse("mock").unwrap(), FileContents::new(b"abc".to_vec()));
        store(&cache, &id, 1, &contents).unwrap();
        // While the host runs, too.
        let check = |dir: &Path, expected: &str| {
            let problem = store(&cache, &id, 2, &contents).unwrap_err().problem();
            assert_eq!(problem.message, format!("the host's folder {} {expected}", dir.display()));
        };
        for (dir, mode) in
            [(data.path(), 0o770), (data.path(), 0o1777), (&cache, 0o702), (&cache.join("mock"), 0o720)]
        {
            fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
            check(dir, &format!("can be written by other users (mode {mode:04o})"));
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for dir in [&cache.join("mock"), &cache] {
            fs::rename(dir, &elsewhere).unwrap();
            symlink(&elsewhere, dir).unwrap();
            check(dir, "is not a folder, or only a link to one");
            fs::remove_file(dir).unwrap();
            fs::rename(&elsewhere, dir).unwrap();
        }
        store(&cache, &id, 2, &contents).unwrap();
        let file = data.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(check_cache_dir(&file), Err(CopyError::Unusable { .. })));
    }

    #[test]
    fn a_mount_without_execution_is_noticed() {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let noexec = mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            fields[3].split(',').any(|option| option == "noexec").then(|| fields[1].to_owned())
        });
        // Where no such mount exists there is nothing to notice.
        if let Some(folder) = noexec.and_then(|path| File::open(path).ok()) {
            assert!(is_noexec(&folder).unwrap());
        }
        assert!(!is_noexec(&File::open(std::env::current_exe().unwrap()).unwrap()).unwrap());
    }

    #[test]
    fn leftovers_go_and_nothing_else() {
        let data = tempfile::tempdir().unwrap();
        let cache = data.path().join("plugins");
        let outside = data.path().join("1-ba7816bf8f01cfea.so");
        fs::create_dir_all(cache.join("mock")).unwrap();
        fs::create_dir_all(cache.join("mixed")).unwrap();
        fs::write(&outside, "").unwrap();
        fs::write(cache.join("mock/1-ba7816bf8f01cfea.so"), "").unwrap();
        fs::write(cache.join("mock/12-0000000000000000.so"), "").unwrap();
        fs::write(cache.join("mixed/3-0000000000000000.so"), "").unwrap();
        fs::write(cache.join("mixed/libother.so"), "").unwrap();
        symlink(data.path(), cache.join("link")).unwrap();

        assert_eq!(clean_leftovers(&cache).unwrap(), 3);

        assert!(!cache.join("mock").exists());
        assert!(cache.join("mixed/libother.so").exists());
        assert!(outside.exists());
        assert_eq!(clean_leftovers(&cache).unwrap(), 0);
    }
}

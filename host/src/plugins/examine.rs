//! Every candidate looked at without running any of it: read, hashed, inspected, its manifest checked.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::discover::{Candidate, DirCategory};
use super::file::{self, ContentHash, FileContents, FileError, FileRules};
use super::inspect::{self, Inspection};
use super::manifest::Manifest;
use super::platform::Platform;
use super::problem::Problem;

/// What is known of a candidate's content. Two files with the same bytes have the same.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) hash: ContentHash,
    pub(super) size: u64,
    /// What it says of itself, or why it cannot be used.
    pub(super) plugin: Result<Plugin, Problem>,
}

/// A library that may be loaded, as far as looking can tell.
#[derive(Debug, Clone)]
pub(super) struct Plugin {
    pub(super) manifest: Arc<Manifest>,
    /// The manifest's text, to be compared with what the library's code says.
    pub(super) text: Arc<str>,
    /// Why it must never be unmapped, if so.
    pub(super) keep: Option<&'static str>,
}

/// How much of what was read is kept for loading it. What is beyond is read once more when it is loaded.
const HELD_BYTES: usize = 64 << 20;

/// A candidate that was looked at.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) path: PathBuf,
    pub(super) dir: usize,
    pub(super) category: DirCategory,
    pub(super) content: Result<Arc<Content>, Problem>,
    /// The bytes, when they were read just now, may be loaded, and do not take up too much memory.
    pub(super) bytes: Option<FileContents>,
}

impl Examined {
    /// What it says of itself, where that could be read.
    pub(super) fn plugin(&self) -> Option<&Plugin> {
        self.content.as_ref().ok()?.plugin.as_ref().ok()
    }

    /// Why it cannot be used, if so.
    pub(super) fn problem(&self) -> Option<&Problem> {
        match &self.content {
            Err(problem) => Some(problem),
            Ok(content) => content.plugin.as_ref().err(),
        }
    }
}

/// Remembers the files it has seen: a file that did not change is not read again.
#[derive(Debug)]
pub(super) struct Examiner {
    rules: FileRules,
    platform: Platform,
    seen: HashMap<PathBuf, Seen>,
}

/// What a look at a file found.
#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    at: SystemTime,
    content: Arc<Content>,
}

impl Seen {
    /// Whether the file is sure to be what it was. A stamp that was fresh when it was taken proves nothing: what is
    /// written at the same tick of the clock, or through a mapping that was written to before, leaves it as it is.
    fn still_holds(&self, now: Option<Stamp>) -> bool {
        Some(self.stamp) == now && self.stamp.latest().is_some_and(|latest| latest + SETTLED <= self.at)
    }
}

/// How old a stamp must be to be relied on; file systems count in steps of up to two seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// What changes whenever a file's content or permissions do. The change time cannot be set by a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Whoever may write to a folder may replace the file: the one it was found in, and where a link leads to.
    folders: (Folder, Option<Folder>),
}

/// Who may write to a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Folder {
    mode: u32,
    owner: (u32, u32),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let is_link = fs::symlink_metadata(path).ok()?.is_symlink();
        let real = is_link.then(|| fs::canonicalize(path)).transpose().ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            folders: (Folder::of(path)?, real.as_deref().and_then(Folder::of)),
        })
    }
}

impl Stamp {
    /// When anything about the file was last changed; none before 1970.
    fn latest(&self) -> Option<SystemTime> {
        let (seconds, nanoseconds) = self.modified.max(self.changed);
        let since = Duration::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }
}

impl Folder {
    /// The one that a file lies in.
    fn of(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file.parent()?).ok()?;
        Some(Self { mode: metadata.mode(), owner: (metadata.uid(), metadata.gid()) })
    }
}

impl Examiner {
    pub(super) fn new(rules: FileRules) -> Self {
        Self { rules, platform: Platform::host(), seen: HashMap::new() }
    }

    /// Looks at every candidate, and forgets the files that are no candidates any more.
    pub(super) fn examine(&mut self, candidates: Vec<Candidate>) -> Vec<Examined> {
        let there: HashSet<&Path> = candidates.iter().map(|candidate| candidate.path.as_path()).collect();
        self.seen.retain(|path, _| there.contains(path.as_path()));
        let mut room = HELD_BYTES;
        let look = |candidate| {
            let mut file = self.look_at(candidate);
            let size = file.bytes.as_ref().map_or(0, |bytes| bytes.bytes.len());
            match room.checked_sub(size) {
                Some(left) => room = left,
                None => file.bytes = None,
            }
            file
        };
        candidates.into_iter().map(look).collect()
    }

    fn look_at(&mut self, candidate: Candidate) -> Examined {
        let Candidate { path, dir, category, .. } = candidate;
        let (at, stamp) = (SystemTime::now(), Stamp::of(&path));
        if let Some(seen) = self.seen.get(&path)
            && seen.still_holds(stamp)
        {
            return Examined { path, dir, category, content: Ok(Arc::clone(&seen.content)), bytes: None };
        }
        let is_library =
            |head: &[u8]| inspect::begins_well(head, &self.platform).map_err(|error| error.problem());
        match file::read_if(&path, &self.rules, is_library) {
            Err(problem) => {
                self.seen.remove(&path);
                Examined { path, dir, category, content: Err(problem), bytes: None }
            }
            Ok(bytes) => {
                let content = Arc::new(self.read(&bytes));
                if let Some(stamp) = stamp {
                    self.seen.insert(path.clone(), Seen { stamp, at, content: Arc::clone(&content) });
                }
                let bytes = content.plugin.is_ok().then_some(bytes);
                Examined { path, dir, category, content: Ok(content), bytes }
            }
        }
    }

    /// The bytes of a file again, which must be the ones it was examined by. If not, its stamp has lied, and the
    /// next look is a thorough one.
    pub(super) fn read_again(&mut self, path: &Path, hash: ContentHash) -> Result<FileContents, Problem> {
        let read = file::read(path, &self.rules);
        let same =
            read.and_then(|bytes| if bytes.hash == hash { Ok(bytes) } else { Err(FileError::Changing) });
        same.map_err(|error| {
            self.seen.remove(path);
            error.problem()
        })
    }

    fn read(&self, bytes: &FileContents) -> Content {
        let plugin = inspect::inspect(&bytes.bytes, &self.platform).map_err(|error| error.problem());
        let plugin = plugin.and_then(|inspection| {
            let manifest = Manifest::parse(&inspection.manifest_json, &self.platform);
            let manifest = manifest.map_err(|error| error.problem())?;
            let keep = stays(&manifest, &inspection);
            Ok(Plugin {
                manifest: Arc::new(manifest),
                text: String::from_utf8_lossy(&inspection.manifest_json).into(),
                keep,
            })
        });
        Content { hash: bytes.hash, size: bytes.bytes.len() as u64, plugin }
    }
}

/// Why a library must never be unmapped, if so.
pub(super) fn stays(manifest: &Manifest, inspection: &Inspection) -> Option<&'static str> {
    if manifest.threads {
        Some("its manifest says that it has threads of its own")
    } else if inspection.nodelete {
        Some("it was linked with -z nodelete")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions};
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::plugins::discover::{self, PluginDir};

    /// A file that is written as linkers do, through memory: what is written there may leave no trace.
    struct Mapped(*mut u8);

    impl Mapped {
        fn of(path: &Path) -> Self {
            let file = File::options().read(true).write(true).open(path).unwrap();
            let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
            // SAFETY: a new mapping of an open file, which stays there to the end of the process.
            let start =
                unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, shared, file.as_raw_fd(), 0) };
            assert_ne!(start, libc::MAP_FAILED);
            Self(start.cast())
        }

        fn write(&self, byte: u8) {
            // SAFETY: the file has more bytes than this, and nothing else in the process looks at them.
            unsafe { self.0.add(1000).write_volatile(byte) };
        }
    }

    #[test]
    fn what_leaves_no_trace_is_found_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.so");
        // Something that begins like a library.
        let mut bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
        bytes.truncate(4096);
        fs::write(&path, bytes).unwrap();
        let mapped = Mapped::of(&path);
        mapped.write(1);
        let mut examiner = Examiner::new(FileRules::default());
        let hash = |examiner: &mut Examiner| {
            let dirs = [PluginDir { path: dir.path().to_owned(), category: DirCategory::Custom }];
            let examined = examiner.examine(discover::scan(&dirs).candidates);
            examined[0].content.as_ref().unwrap().hash
        };
        let one = hash(&mut examiner);
        mapped.write(2);
        let two = hash(&mut examiner);
        assert_ne!(one, two, "a fresh stamp is not relied on");

        // As if some time had gone by.
        let later = Duration::from_secs(10);
        examiner.seen.get_mut(&path).unwrap().at += later;
        assert_eq!(hash(&mut examiner), two);
        mapped.write(3);
        let stale = examiner.seen[&path].still_holds(Stamp::of(&path));
        assert!(examiner.read_again(&path, two).is_err());
        let three = hash(&mut examiner);
        assert_ne!(two, three, "a stamp that lied ({stale}) is forgotten");
        assert!(examiner.read_again(&path, three).is_ok());
    }

    #[test]
    fn only_what_may_be_loaded_is_held_and_not_all_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let built = std::env::current_exe().unwrap().with_file_name("libmock.so");
        let put = |name: &str, bytes: &[u8]| {
            fs::write(dir.path().join(name), bytes).unwrap();
            File::options().write(true).open(dir.path().join(name)).unwrap().set_len(40 << 20).unwrap();
        };
        let library = fs::read(built).unwrap();
        put("1.so", b"junk");
        put("2.so", &library[..4096]);
        put("3.so", &library);
        put("4.so", &library);
        let mut examiner = Examiner::new(FileRules::default());
        let dirs = [PluginDir { path: dir.path().to_owned(), category: DirCategory::Custom }];
        let mut examined = examiner.examine(discover::scan(&dirs).candidates);
        let code = |file: &Examined| file.problem().map(|problem| problem.code.word());
        assert_eq!(
            examined.iter().map(code).collect::<Vec<_>>(),
            [Some("not_a_library"), Some("file_damaged"), None, None]
        );
        let held = examined.iter().map(|file| file.bytes.is_some()).collect::<Vec<_>>();
        assert_eq!(held, [false, false, true, false]);
        let last = examined.pop().unwrap();
        assert!(examiner.read_again(&last.path, last.content.unwrap().hash).is_ok());
    }

    #[test]
    fn whoever_may_replace_a_file_is_part_of_its_stamp() {
        let root = tempfile::tempdir().unwrap();
        let (plugins, store) = (root.path().join("plugins"), root.path().join("store"));
        fs::create_dir(&plugins).unwrap();
        fs::create_dir(&store).unwrap();
        let (file, link) = (store.join("a.so"), plugins.join("a.so"));
        fs::write(&file, "abc").unwrap();
        symlink(&file, &link).unwrap();
        for folder in [&plugins, &store] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
            let before = Stamp::of(&link);
            assert_eq!(before, Stamp::of(&link));
            fs::set_permissions(folder, Permissions::from_mode(0o777)).unwrap();
            assert_ne!(before, Stamp::of(&link), "{}", folder.display());
        }
    }
}

//! Looks into the plugin folders: every file is either a candidate, or listed with the reason why not.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file::FileError;

/// A folder that is searched, not recursively.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginDir {
    pub path: PathBuf,
    pub category: DirCategory,
}

/// Whose folder it is; decides who wins when several hold the same plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DirCategory {
    /// `plugins/builtin`: came with the host.
    Builtin,
    /// `plugins/custom`: dropped in by the operator.
    Custom,
    /// Named in the configuration.
    Extra,
}

/// What was found, in the order of the folders and then by name.
#[derive(Debug, Default)]
pub struct Scan {
    pub candidates: Vec<Candidate>,
    pub ignored: Vec<(PathBuf, Ignored)>,
    pub refused: Vec<(PathBuf, FileError)>,
    /// Folders that do not exist, which is fine: nobody has to have custom plugins.
    pub missing: Vec<PathBuf>,
}

/// A file that may be a plugin, as it was at the moment of the scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub path: PathBuf,
    /// Index into the folders that were searched.
    pub dir: usize,
    pub category: DirCategory,
    pub size: u64,
    pub mtime: Option<SystemTime>,
    pub inode: u64,
}

/// Why a file is none of the host's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    Hidden,
    Temporary,
    OtherSuffix,
    Folder,
}

impl fmt::Display for Ignored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden => formatter.write_str("its name begins with a dot"),
            Self::Temporary => formatter.write_str("its name is that of a temporary file"),
            Self::OtherSuffix => {
                write!(
                    formatter,
                    "its name does not end in {}, as libraries do here",
                    std::env::consts::DLL_SUFFIX
                )
            }
            Self::Folder => {
                formatter.write_str("it is a folder, and plugin folders are not searched recursively")
            }
        }
    }
}

/// Looks at every entry of every folder. What cannot be looked at is refused, never a reason to stop.
pub fn scan(dirs: &[PluginDir]) -> Scan {
    let mut scan = Scan::default();
    for (index, dir) in dirs.iter().enumerate() {
        let paths = match list(&dir.path) {
            Ok(paths) => paths,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                scan.missing.push(dir.path.clone());
                continue;
            }
            Err(source) => {
                scan.refused.push((dir.path.clone(), FileError::FolderUnreadable(source)));
                continue;
            }
        };
        for path in paths {
            scan.look_at(path, index, dir.category);
        }
    }
    scan
}

/// Sorted, because the order in which a file system lists its entries is nobody's choice.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

impl Scan {
    fn look_at(&mut self, path: PathBuf, dir: usize, category: DirCategory) {
        if let Some(reason) = ignored_name(&path) {
            // Crate folders lie beside the libraries; calling them badly named files would puzzle people.
            let reason =
                if reason == Ignored::OtherSuffix && path.is_dir() { Ignored::Folder } else { reason };
            return self.ignored.push((path, reason));
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => self.ignored.push((path, Ignored::Folder)),
            Ok(metadata) => match FileError::unless_regular(&metadata) {
                Ok(()) => self.candidates.push(Candidate::new(path, dir, category, &metadata)),
                Err(error) => self.refused.push((path, error)),
            },
            Err(source) => self.refused.push((path, FileError::Unreadable(source))),
        }
    }
}

impl Candidate {
    fn new(path: PathBuf, dir: usize, category: DirCategory, metadata: &Metadata) -> Self {
        let (size, mtime, inode) = (metadata.len(), metadata.modified().ok(), metadata.ino());
        Self { path, dir, category, size, mtime, inode }
    }
}

/// Judges a name alone, so that files of editors, copies and downloads under way are not even opened.
pub fn ignored_name(path: &Path) -> Option<Ignored> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    if name.starts_with(b".") {
        // Among them `.#name`, the lock of an editor.
        return Some(Ignored::Hidden);
    }
    if [&b".tmp"[..], b".part", b"~"].iter().any(|ending| name.ends_with(ending)) {
        return Some(Ignored::Temporary);
    }
    (!name.ends_with(std::env::consts::DLL_SUFFIX.as_bytes())).then_some(Ignored::OtherSuffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Option<Ignored>) {
        assert_eq!(ignored_name(&Path::new("/plugins").join(name)), expected, "{name}");
    }

    #[test]
    fn names_tell_what_to_leave_alone() {
        check("libmock.so", None);
        check("mock.so", None);
        check(".libmock.so", Some(Ignored::Hidden));
        check(".#libmock.so", Some(Ignored::Hidden));
        check("libmock.so.tmp", Some(Ignored::Temporary));
        check("libmock.so.part", Some(Ignored::Temporary));
        check("libmock.so~", Some(Ignored::Temporary));
        check("libmock.so.1", Some(Ignored::OtherSuffix));
        check("mock.dll", Some(Ignored::OtherSuffix));
        check("README.md", Some(Ignored::OtherSuffix));
        assert_eq!(Ignored::OtherSuffix.to_string(), "its name does not end in .so, as libraries do here");
    }

    #[test]
    fn every_file_is_accounted_for() {
        let root = tempfile::tempdir().unwrap();
        let (builtin, custom) = (root.path().join("builtin"), root.path().join("custom"));
        fs::create_dir_all(builtin.join("mock/src")).unwrap();
        fs::create_dir_all(builtin.join("odd.so")).unwrap();
        fs::write(builtin.join("b.so"), "bb").unwrap();
        fs::write(builtin.join("a.so"), "a").unwrap();
        fs::write(builtin.join("notes.txt"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", builtin.join("dangling.so")).unwrap();
        std::os::unix::fs::symlink("/dev/null", builtin.join("null.so")).unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        let dirs = [
            PluginDir { path: builtin.clone(), category: DirCategory::Builtin },
            PluginDir { path: custom.clone(), category: DirCategory::Custom },
            PluginDir { path: root.path().join("file"), category: DirCategory::Extra },
        ];

        let scan = scan(&dirs);

        let found: Vec<_> = scan.candidates.iter().map(|found| (found.path.clone(), found.size)).collect();
        assert_eq!(found, [(builtin.join("a.so"), 1), (builtin.join("b.so"), 2)]);
        assert_eq!(
            scan.ignored,
            [
                (builtin.join("mock"), Ignored::Folder),
                (builtin.join("notes.txt"), Ignored::OtherSuffix),
                (builtin.join("odd.so"), Ignored::Folder),
            ]
        );
        let refused: Vec<_> =
            scan.refused.iter().map(|(path, error)| (path.clone(), error.to_string())).collect();
        assert_eq!(
            refused,
            [
                (builtin.join("dangling.so"), "the file cannot be read".to_owned()),
                (builtin.join("null.so"), "it is a device, not a regular file".to_owned()),
                (root.path().join("file"), "the folder cannot be listed".to_owned()),
            ]
        );
        assert_eq!(scan.missing, [custom]);
    }
}

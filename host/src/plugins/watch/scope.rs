//! Which files count, and one look at all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::env::consts::DLL_SUFFIX;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::WatchOptions;
use super::fingerprint::Fingerprint;

/// Absolute paths only: events carry those.
#[derive(Debug)]
pub(super) struct Scope {
    dirs: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
    trees: BTreeSet<PathBuf>,
}

/// What one look found.
#[derive(Debug, Default)]
pub(super) struct Sight {
    pub(super) files: BTreeMap<PathBuf, Fingerprint>,
    /// Where looking failed: what is there or below may or may not exist. A host that runs out of file
    /// descriptors for a moment must not conclude that all plugins were removed.
    pub(super) unknown: Vec<PathBuf>,
    /// Directories to get events from.
    pub(super) directories: BTreeSet<PathBuf>,
}

impl Scope {
    pub(super) fn new(options: &WatchOptions) -> io::Result<Scope> {
        let absolute = |paths: &[PathBuf]| paths.iter().map(std::path::absolute).collect::<io::Result<_>>();
        Ok(Scope {
            dirs: absolute(&options.dirs)?,
            files: absolute(&options.files)?,
            trees: absolute(&options.trees)?,
        })
    }

    /// Whether an event about this path is worth a look. The folder of the configuration is the folder of
    /// everything else, so most events are not.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        let is_watched_directory = || {
            self.dirs.contains(path)
                || self.trees.contains(path)
                || self.files.iter().any(|file| file.parent() == Some(path))
        };
        let is_library = || {
            path.parent().is_some_and(|parent| self.dirs.contains(parent)) && file_name(path, is_library_name)
        };
        let is_in_tree = || {
            self.trees.iter().any(|tree| {
                path.strip_prefix(tree)
                    .is_ok_and(|below| below.iter().all(|part| part.to_str().is_some_and(is_source_name)))
            })
        };
        self.files.contains(path) || is_watched_directory() || is_library() || is_in_tree()
    }

    pub(super) fn look(&self) -> Sight {
        let mut sight = Sight::default();
        for file in &self.files {
            sight.directories.extend(file.parent().map(Path::to_path_buf));
            sight.note_file(file.clone());
        }
        for dir in &self.dirs {
            sight.directories.insert(dir.clone());
            for path in sight.list(dir) {
                if file_name(&path, is_library_name) {
                    sight.note_file(path);
                }
            }
        }
        for tree in &self.trees {
            sight.note_tree(tree.clone());
        }
        sight
    }
}

impl Sight {
    /// Whether nothing can be concluded from this path's absence.
    pub(super) fn is_unknown(&self, path: &Path) -> bool {
        self.unknown.iter().any(|unknown| path.starts_with(unknown))
    }

    fn note_file(&mut self, path: PathBuf) {
        match fs::metadata(&path) {
            Ok(metadata) => {
                if let Some(fingerprint) = Fingerprint::of(&metadata) {
                    self.files.insert(path, fingerprint);
                }
            }
            Err(error) if is_absence(&error) => {}
            Err(_) => self.unknown.push(path),
        }
    }

    fn list(&mut self, dir: &Path) -> Vec<PathBuf> {
        let list = || fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
        list().unwrap_or_else(|error| {
            if !is_absence(&error) {
                self.unknown.push(dir.to_path_buf());
            }
            Vec::new()
        })
    }

    fn note_tree(&mut self, tree: PathBuf) {
        for path in self.list(&tree) {
            if !file_name(&path, is_source_name) {
                continue;
            }
            // Not followed: a link to a folder above would have no end.
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.note_tree(path),
                _ => self.note_file(path),
            }
        }
        self.directories.insert(tree);
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn file_name(path: &Path, test: impl Fn(&str) -> bool) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(test)
}

/// Hidden names are temporary ones: a library is copied to such a name and then renamed.
fn is_library_name(name: &str) -> bool {
    name.ends_with(DLL_SUFFIX) && !name.starts_with('.')
}

/// Everything but what tools leave behind: `target`, libraries staged beside their sources, editors' copies.
fn is_source_name(name: &str) -> bool {
    !name.starts_with('.') && !name.ends_with('~') && !name.ends_with(DLL_SUFFIX) && name != "target"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope::new(&WatchOptions {
            dirs: vec!["/plugins".into()],
            files: vec!["/etc/patchbay/config.json".into()],
            trees: vec!["/crate".into()],
            ..WatchOptions::default()
        })
        .unwrap()
    }

    #[test]
    fn only_libraries_directly_in_a_directory_and_named_files_concern_it() {
        let library = format!("/plugins/libmock{DLL_SUFFIX}");
        for path in ["/plugins", "/etc/patchbay", "/etc/patchbay/config.json", &library] {
            assert!(scope().concerns(Path::new(path)), "{path}");
        }
        let hidden = format!("/plugins/.libmock{DLL_SUFFIX}");
        let below = format!("/plugins/mock/libmock{DLL_SUFFIX}");
        for path in ["/", "/etc/patchbay/other.json", "/plugins/README.md", &hidden, &below] {
            assert!(!scope().concerns(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn sources_at_any_depth_concern_it_but_not_what_tools_leave_behind() {
        for path in ["/crate", "/crate/Cargo.toml", "/crate/src/deep/lib.rs"] {
            assert!(scope().concerns(Path::new(path)), "{path}");
        }
        for path in ["/crate/target/debug/build.rs", "/crate/src/.lib.rs.swp", "/crate/src/lib.rs~"] {
            assert!(!scope().concerns(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn absence_is_known_and_failure_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let options =
            |name: String| WatchOptions { dirs: vec![folder.path().join(name)], ..Default::default() };

        let sight = Scope::new(&options("absent".into())).unwrap().look();
        assert!(!sight.is_unknown(&folder.path().join("absent/libmock.so")));

        // Too long for any file system: an error that is not "not found", for root too.
        let too_long = "x".repeat(300);
        let sight = Scope::new(&options(too_long.clone())).unwrap().look();
        assert!(sight.is_unknown(&folder.path().join(too_long).join("libmock.so")));
    }
}

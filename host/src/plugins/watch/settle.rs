//! Decides when a difference between two looks is a change: pure, so that time can be made up in tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::fingerprint::{Content, Fingerprint};
use super::scope::Sight;

/// What is known of every file that is or was there.
#[derive(Debug)]
pub(super) struct Settling {
    settle: Duration,
    files: BTreeMap<PathBuf, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// What the last look saw; none when there was no file.
    seen: Option<Fingerprint>,
    /// Since when looks have seen that, until it has been judged.
    unsettled_since: Option<Instant>,
    /// What the receiver knows of; none for no file.
    reported: Option<Content>,
}

impl Settling {
    /// What is there at the start is known: only what differs from it is ever reported.
    pub(super) fn begin(
        settle: Duration,
        now: Instant,
        sight: Sight,
        read: impl Fn(&Path) -> Option<(Fingerprint, Content)>,
    ) -> Settling {
        let entry = |(path, seen): (PathBuf, Fingerprint)| {
            let (read_as, reported) = read(&path).unzip();
            // Written while it was read: the content is of no state that the file ever settled in.
            let unsettled_since = (read_as != Some(seen)).then_some(now);
            (path, Entry { seen: Some(seen), unsettled_since, reported })
        };
        Settling { settle, files: sight.files.into_iter().map(entry).collect() }
    }

    /// Takes in what a look found. A file that looks different starts to settle anew.
    pub(super) fn compare(&mut self, now: Instant, sight: &Sight) {
        for (path, entry) in &mut self.files {
            let seen = sight.files.get(path).copied();
            if entry.seen != seen && !(seen.is_none() && sight.is_unknown(path)) {
                entry.seen = seen;
                entry.unsettled_since = Some(now);
            }
        }
        for (path, fingerprint) in &sight.files {
            self.files.entry(path.clone()).or_insert_with(|| Entry {
                seen: Some(*fingerprint),
                unsettled_since: Some(now),
                reported: None,
            });
        }
    }

    /// The files that were written to and have settled by now, also when their content is what was last reported:
    /// somebody else may have made the host read what was there in between. They then count as reported.
    pub(super) fn settled(
        &mut self,
        now: Instant,
        read: impl Fn(&Path) -> Option<(Fingerprint, Content)>,
    ) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (path, entry) in &mut self.files {
            if entry.due(self.settle).is_none_or(|due| now < due) {
                continue;
            }
            let (read_as, content) = if entry.seen.is_some() { read(path).unzip() } else { (None, None) };
            if read_as != entry.seen {
                entry.seen = read_as;
                entry.unsettled_since = Some(now);
                continue;
            }
            entry.unsettled_since = None;
            // What came and went within one settling was never there.
            if entry.reported.is_some() || content.is_some() {
                entry.reported = content;
                changed.push(path.clone());
            }
        }
        self.files.retain(|_, entry| entry.seen.is_some() || entry.unsettled_since.is_some());
        changed
    }

    /// When the next file will have settled, should it stay as it is.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.files.values().filter_map(|entry| entry.due(self.settle)).min()
    }
}

impl Entry {
    fn due(&self, settle: Duration) -> Option<Instant> {
        // Many tools replace a file by removing it first, so an absence has to last longer.
        let patience = if self.seen.is_some() { settle } else { settle * 2 };
        self.unsettled_since.map(|since| since + patience)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;

    use super::*;
    use crate::plugins::watch::fingerprint;

    const SETTLE: Duration = Duration::from_millis(100);

    /// One file whose looks come at made-up times.
    struct Rig {
        _folder: tempfile::TempDir,
        path: PathBuf,
        start: Instant,
        settling: Settling,
        reads: RefCell<u32>,
    }

    impl Rig {
        fn holding(bytes: Option<&str>) -> Rig {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            if let Some(bytes) = bytes {
                fs::write(&path, bytes).unwrap();
            }
            let start = Instant::now();
            let settling = Settling::begin(SETTLE, start, sight(&path), fingerprint::read);
            Rig { _folder: folder, path, start, settling, reads: RefCell::new(0) }
        }

        /// A look so many milliseconds after the start: whether it reported the file.
        fn look(&mut self, after: u64) -> bool {
            self.look_at(after, &sight(&self.path))
        }

        fn look_at(&mut self, after: u64, sight: &Sight) -> bool {
            let now = self.start + Duration::from_millis(after);
            self.settling.compare(now, sight);
            let changed = self.settling.settled(now, |path| {
                *self.reads.borrow_mut() += 1;
                fingerprint::read(path)
            });
            assert!(changed.is_empty() || changed == [self.path.clone()]);
            !changed.is_empty()
        }
    }

    fn sight(path: &Path) -> Sight {
        let fingerprint = fs::metadata(path).ok().as_ref().and_then(Fingerprint::of);
        let files = fingerprint.map(|fingerprint| (path.to_path_buf(), fingerprint)).into_iter().collect();
        Sight { files, ..Sight::default() }
    }

    #[test]
    fn a_file_counts_when_two_looks_apart_saw_the_same() {
        let mut rig = Rig::holding(None);
        fs::write(&rig.path, "half").unwrap();
        assert!(!rig.look(0));
        assert!(!rig.look(90));
        fs::write(&rig.path, "whole file").unwrap();
        assert!(!rig.look(110), "it was still being written");
        assert!(!rig.look(209));
        assert!(rig.look(210));
        assert!(!rig.look(1000), "it was reported already");
        assert_eq!(rig.settling.next_due(), None);
    }

    #[test]
    fn what_was_written_is_reported_and_read_once_whatever_it_was() {
        let mut rig = Rig::holding(Some("bytes"));
        let file = fs::File::open(&rig.path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let looks = [0, 100, 200, 300].map(|after| rig.look(after));
        assert_eq!(looks, [false, true, false, false]);
        assert_eq!(*rig.reads.borrow(), 1);
    }

    #[test]
    fn a_removal_has_to_last_twice_as_long() {
        let mut rig = Rig::holding(Some("bytes"));
        fs::remove_file(&rig.path).unwrap();
        assert!(!rig.look(0));
        assert!(!rig.look(199));
        assert!(rig.look(200));
        assert!(!rig.look(1000));
        assert!(rig.settling.files.is_empty(), "what is gone for good is not remembered");
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_removed() {
        let mut rig = Rig::holding(Some("bytes"));
        let unknown = Sight { unknown: vec![rig.path.parent().unwrap().into()], ..Sight::default() };
        for after in [0, 200, 1000] {
            assert!(!rig.look_at(after, &unknown));
        }
    }

    #[test]
    fn a_file_written_while_it_is_read_settles_anew() {
        let mut rig = Rig::holding(Some("old"));
        fs::write(&rig.path, "new bytes").unwrap();
        let seen = sight(&rig.path);
        assert!(!rig.look_at(0, &seen));
        // The look still saw the file as it was before this.
        fs::write(&rig.path, "newer and longer bytes").unwrap();
        assert!(!rig.look_at(100, &seen));
        assert!(!rig.look(150));
        assert!(rig.look(250));
    }

    #[test]
    fn a_file_that_came_and_went_was_never_there() {
        let mut rig = Rig::holding(None);
        fs::write(&rig.path, "bytes").unwrap();
        assert!(!rig.look(0));
        fs::remove_file(&rig.path).unwrap();
        assert!(!rig.look(50));
        assert!(!rig.look(1000));
    }
}

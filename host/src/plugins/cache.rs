//! Where a host's private copies lie. Two hosts of which one takes over from the other have a folder each, for both
//! count their generations from the beginning.

use std::fs;
use std::path::{Path, PathBuf};

use super::copy::{self, CopyError};

/// What the folder of a host is called that has not taken over from another.
const FIRST: &str = "plugins";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    data_dir: PathBuf,
    term: u64,
}

impl Cache {
    /// That of a host; the term counts those that it has taken over from, one after the other.
    pub fn of(data_dir: &Path, term: u64) -> Self {
        Self { data_dir: data_dir.to_owned(), term }
    }

    pub(super) fn dir(&self) -> PathBuf {
        match self.term {
            0 => self.data_dir.join(FIRST),
            term => self.data_dir.join(format!("{FIRST}.{term}")),
        }
    }

    /// Makes the folder, checks it, and cleans up what killed hosts have left. Only for a holder of the data
    /// directory's lock: who has not taken over from another holds it alone.
    pub(super) fn prepare(&self) -> Result<(), CopyError> {
        let own = self.dir();
        copy::check_cache_dir(&own)?;
        copy::clean_leftovers(&own)?;
        if self.term == 0 {
            for dir in self.later() {
                copy::clean_leftovers(&dir)?;
                // Fails when something else lies in it, which is then left alone.
                let _ = fs::remove_dir(&dir);
            }
        }
        Ok(())
    }

    /// Removes the folder of a host that ends, unless everybody has the same.
    pub fn leave(&self) {
        if self.term > 0 {
            // What is still mapped needs no name. And what stays is cleaned up by the next one that begins alone.
            let _ = copy::clean_leftovers(&self.dir()).map(|_| fs::remove_dir(self.dir()));
        }
    }

    /// The folders of hosts that had taken over.
    fn later(&self) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(&self.data_dir).into_iter().flatten().flatten();
        let real = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        real.map(|entry| entry.path()).filter(|path| {
            let term =
                path.file_name().and_then(|name| name.to_str()?.strip_prefix(FIRST)?.strip_prefix('.'));
            term.is_some_and(|term| term.parse::<u64>().is_ok())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_alone_cleans_up_after_all_and_who_takes_over_only_its_own() {
        let data = tempfile::tempdir().unwrap();
        let leave_behind = |term: u64| {
            let file = Cache::of(data.path(), term).dir().join("mock/1-ba7816bf8f01cfea.so");
            copy::check_cache_dir(&Cache::of(data.path(), term).dir()).unwrap();
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            file
        };
        let [first, second, third] = [0, 1, 2].map(leave_behind);
        fs::create_dir(data.path().join("plugins.mine")).unwrap();
        Cache::of(data.path(), 1).prepare().unwrap();
        assert_eq!([&first, &second, &third].map(|file| file.exists()), [true, false, true]);
        Cache::of(data.path(), 1).leave();
        assert!(!data.path().join("plugins.1").exists() && first.exists());
        Cache::of(data.path(), 0).prepare().unwrap();
        assert!(!first.exists() && !data.path().join("plugins.2").exists());
        assert!(data.path().join("plugins.mine").exists() && data.path().join("plugins").exists());
    }
}

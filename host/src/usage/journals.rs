//! The files of a data directory. While one host takes over from another there are two hosts, and more where one of
//! them has taken over itself before the first had ended: each takes a file that nobody has, and what it leaves there is
//! collected by whoever is there then.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::journal::{Journal, JournalError};

/// More hosts than ever drain at one time.
const MOST: usize = 100;

/// The first file that no host has.
pub(super) fn open(data_dir: &Path, bound: u64) -> Result<Journal, JournalError> {
    for number in 0..MOST {
        if let Some(journal) = Journal::open(&path(data_dir, number), bound)? {
            return Ok(journal);
        }
    }
    Err(JournalError { path: path(data_dir, MOST - 1), source: io::ErrorKind::ResourceBusy.into() })
}

/// Takes what stands in all others that no host has; says how many lines. Nothing is removed: another host may open a
/// file just then.
pub(super) fn collect(data_dir: &Path, journal: &mut Journal) -> io::Result<u64> {
    let mut taken = 0;
    for number in 0..MOST {
        let file = match there(&path(data_dir, number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            file => file?,
        };
        // This one's own is somebody's, too.
        if let Some(mut other) = Journal::claim(file, u64::MAX)? {
            taken += journal.absorb(&mut other)?;
        }
    }
    Ok(taken)
}

fn there(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn path(data_dir: &Path, number: usize) -> PathBuf {
    data_dir.join(match number {
        0 => "usage.journal".to_owned(),
        _ => format!("usage.journal.{number}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::UsageRecord;
    use super::super::testing::record;
    use super::*;

    fn append(journal: &mut Journal, records: &[UsageRecord]) {
        assert_eq!(journal.append(records).unwrap(), records.len());
    }

    #[test]
    fn each_host_has_its_own_and_gets_what_others_leave_once_they_have_gone() {
        let data = tempfile::tempdir().unwrap();
        let open = || open(data.path(), u64::MAX).unwrap();
        let size = |number| std::fs::metadata(path(data.path(), number)).unwrap().len();
        let records: Vec<_> = (0..6).map(record).collect();
        let (mut first, mut second, mut third) = (open(), open(), open());
        append(&mut first, &records[3..]);
        append(&mut second, &records[1..3]);
        append(&mut third, &records[..1]);
        assert_eq!(collect(data.path(), &mut third).unwrap(), 0, "whoever is there keeps its own");
        second.release().unwrap();
        assert_eq!(second.append(&records).unwrap(), 0, "it is another's now");
        assert_eq!((collect(data.path(), &mut third).unwrap(), third.waiting(), size(1)), (2, 3, 0));
        drop(first);
        assert_eq!((collect(data.path(), &mut third).unwrap(), third.waiting(), size(0)), (3, 6, 0));
        assert_eq!(third.next(usize::MAX).unwrap().records, records);
        // And its own is there for the next one, which takes the first that is free.
        drop((second, third));
        let mut next = open();
        assert_eq!((next.waiting(), collect(data.path(), &mut next).unwrap(), size(2)), (0, 6, 0));
    }

    #[test]
    fn what_there_is_no_room_for_stays() {
        let data = tempfile::tempdir().unwrap();
        let mut first = open(data.path(), u64::MAX).unwrap();
        append(&mut first, &[record(1), record(2)]);
        let mut second = open(data.path(), 10).unwrap();
        drop(first);
        assert_eq!(collect(data.path(), &mut second).unwrap(), 0);
        drop(second);
        assert_eq!(open(data.path(), u64::MAX).unwrap().waiting(), 2);
    }
}

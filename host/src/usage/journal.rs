//! The file between the queue and the store: a line for each record, behind a checksum of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::UsageRecord;
use crate::hex::hex;

/// What is read at one time; no line is nearly as long.
const CHUNK: usize = 1 << 20;

/// Digits of the checksum, which a space follows.
const CHECKSUM: usize = 8;

/// Why there is no such file.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used: look at its permissions and the space on its disk", path.display())]
pub struct JournalError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// What stands behind it was not written to its end.
    end: u64,
    /// Up to here the store has everything.
    done: u64,
    /// How many lines there are in between.
    waiting: u64,
    /// How much may wait.
    bound: u64,
}

/// The next lines.
#[derive(Debug, Default)]
pub(super) struct Portion {
    /// What stands in them.
    pub(super) records: Vec<UsageRecord>,
    /// How many lines these were.
    pub(super) lines: u64,
    bytes: u64,
}

impl Portion {
    pub(super) fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// Lines that no record could be made of.
    pub(super) fn damaged(&self) -> u64 {
        self.lines - self.records.len() as u64
    }
}

/// See [`Journal::rest`].
#[derive(Debug)]
pub(super) struct Rest {
    file: File,
    at: u64,
    end: u64,
}

impl Rest {
    /// The next lines of it; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Portion> {
        let portion = portion(&self.file, self.at, self.end, usize::MAX)?;
        self.at += portion.bytes;
        Ok(portion)
    }
}

impl Journal {
    /// Opens what an earlier host left, or begins one.
    pub(super) fn open(path: &Path, bound: u64) -> Result<Self, JournalError> {
        Self::read(path, bound).map_err(|source| JournalError { path: path.to_owned(), source })
    }

    fn read(path: &Path, bound: u64) -> io::Result<Self> {
        // What requests were asked for, and by whom, is for the host's user alone.
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let (mut at, mut end, mut waiting) = (0, 0, 0);
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = read_at(&file, &mut chunk, at)?;
            if read == 0 {
                break;
            }
            waiting += memchr::memchr_iter(b'\n', &chunk[..read]).count() as u64;
            if let Some(last) = memchr::memrchr(b'\n', &chunk[..read]) {
                end = at + last as u64 + 1;
            }
            at += read as u64;
        }
        // A host was killed in the middle of this line.
        file.set_len(end)?;
        Ok(Self { file, end, done: 0, waiting, bound })
    }

    /// How many records are there that the store may not have yet.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Takes as many records as there is room for, all or none of which are then in the file; says how many.
    pub(super) fn append(&mut self, records: &[UsageRecord]) -> io::Result<usize> {
        let room = self.bound.saturating_sub(self.end - self.done);
        let (mut lines, mut count) = (Vec::new(), 0);
        for record in records {
            let before = lines.len();
            put_line(&mut lines, record)?;
            if lines.len() as u64 > room {
                lines.truncate(before);
                break;
            }
            count += 1;
        }
        // Half of them would be a torn line in the middle, and all of them twice the next time.
        if let Err(error) = self.file.write_all_at(&lines, self.end) {
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += lines.len() as u64;
        self.waiting += count as u64;
        Ok(count)
    }

    /// Up to so many lines that the store does not have.
    pub(super) fn next(&self, most: usize) -> io::Result<Portion> {
        portion(&self.file, self.done, self.end, most)
    }

    /// All that the store does not have, for whoever reads it while more is put behind it. None of it may be taken out
    /// meanwhile.
    pub(super) fn rest(&self) -> io::Result<Rest> {
        Ok(Rest { file: self.file.try_clone()?, at: self.done, end: self.end })
    }

    /// The store has these.
    pub(super) fn advance(&mut self, portion: &Portion) -> io::Result<()> {
        self.done += portion.bytes;
        self.waiting = self.waiting.saturating_sub(portion.lines);
        let left = self.end - self.done;
        if left == 0 {
            self.start_anew()?;
        } else if self.done >= left.max(CHUNK as u64) {
            self.move_up(left)?;
        }
        Ok(())
    }

    /// Puts what is left in place of what the store has, which is no shorter. So the file is never more than twice as
    /// long as what may wait in it, and no byte is moved often. A host that is killed meanwhile has all of it in the file,
    /// some of it twice.
    fn move_up(&mut self, left: u64) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        let mut moved = 0;
        while moved < left {
            let length = (left - moved).min(CHUNK as u64) as usize;
            let read = read_at(&self.file, &mut chunk[..length], self.done + moved)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.file.write_all_at(&chunk[..read], moved)?;
            moved += read as u64;
        }
        self.file.set_len(left)?;
        (self.end, self.done) = (left, 0);
        Ok(())
    }

    /// Lets go of everything; says how many lines there were.
    pub(super) fn start_anew(&mut self) -> io::Result<u64> {
        self.file.set_len(0)?;
        (self.end, self.done) = (0, 0);
        Ok(std::mem::take(&mut self.waiting))
    }
}

/// Up to so many of the lines in this part of a file.
fn portion(file: &File, begin: u64, end: u64, most: usize) -> io::Result<Portion> {
    let length = (end - begin).min(CHUNK as u64) as usize;
    let mut chunk = vec![0; length];
    let read = read_at(file, &mut chunk, begin)?;
    let mut portion = Portion::default();
    for line in chunk[..read].split_inclusive(|byte| *byte == b'\n').take(most) {
        // Cut by the end of the chunk, unless it is longer than any record.
        if !line.ends_with(b"\n") && line.len() < CHUNK {
            break;
        }
        portion.lines += 1;
        portion.bytes += line.len() as u64;
        portion.records.extend(record_in(line.trim_ascii_end()));
    }
    // Somebody has cut the file.
    if portion.is_empty() && length > 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(portion)
}

/// Fills the buffer as far as there is anything.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn checksum(json: &[u8]) -> String {
    hex(&Sha256::digest(json)[..CHECKSUM / 2])
}

fn put_line(lines: &mut Vec<u8>, record: &UsageRecord) -> io::Result<()> {
    let json = serde_json::to_vec(record)?;
    lines.extend_from_slice(checksum(&json).as_bytes());
    lines.push(b' ');
    lines.extend_from_slice(&json);
    lines.push(b'\n');
    Ok(())
}

fn record_in(line: &[u8]) -> Option<UsageRecord> {
    let (sum, json) = line.split_at_checked(CHECKSUM)?;
    let json = json.strip_prefix(b" ")?;
    (checksum(json).as_bytes() == sum).then(|| serde_json::from_slice(json).ok())?
}

#[cfg(test)]
mod tests {
    use super::super::testing::record;
    use super::*;

    fn file(dir: &tempfile::TempDir) -> PathBuf {
        dir.path().join("usage.journal")
    }

    fn all(journal: &mut Journal) -> Vec<UsageRecord> {
        let mut records = Vec::new();
        loop {
            let portion = journal.next(2).unwrap();
            if portion.is_empty() {
                return records;
            }
            journal.advance(&portion).unwrap();
            records.extend(portion.records);
        }
    }

    #[test]
    fn records_come_out_in_order_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let records: Vec<_> = (0..5).map(record).collect();
        let mut journal = Journal::open(&file(&dir), u64::MAX).unwrap();
        assert_eq!(journal.append(&records[..3]).unwrap(), 3);
        assert_eq!(journal.append(&records[3..]).unwrap(), 2);
        // A host that was killed, and one that goes on.
        let mut journal = Journal::open(&file(&dir), u64::MAX).unwrap();
        assert_eq!(journal.waiting(), 5);
        assert_eq!(all(&mut journal), records);
        assert_eq!((journal.waiting(), std::fs::metadata(file(&dir)).unwrap().len()), (0, 0));
    }

    #[test]
    fn only_what_is_damaged_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let records: Vec<_> = (0..4).map(record).collect();
        Journal::open(&file(&dir), u64::MAX).unwrap().append(&records).unwrap();
        let mut bytes = std::fs::read(file(&dir)).unwrap();
        let line = bytes.len() / 4;
        // A digit of the second, and the end of the last.
        let digit = bytes[line..].iter().position(|byte| *byte == b':').unwrap() + line + 2;
        bytes[digit] ^= 1;
        bytes.truncate(bytes.len() - 10);
        std::fs::write(file(&dir), &bytes).unwrap();
        let mut journal = Journal::open(&file(&dir), u64::MAX).unwrap();
        assert_eq!(journal.next(9).unwrap().damaged(), 1);
        // What comes behind a torn line is not torn with it.
        assert_eq!(journal.append(&records[3..]).unwrap(), 1);
        assert_eq!(all(&mut journal), [&records[..1], &records[2..]].concat());
    }

    #[test]
    fn it_takes_no_more_than_it_has_room_for() {
        let dir = tempfile::tempdir().unwrap();
        let records: Vec<_> = (0..9).map(record).collect();
        let mut journal = Journal::open(&file(&dir), 1_000).unwrap();
        let taken = journal.append(&records).unwrap();
        assert!((1..9).contains(&taken), "{taken}");
        assert_eq!(journal.append(&records[taken..]).unwrap(), 0);
        assert!(std::fs::metadata(file(&dir)).unwrap().len() <= 1_000);
        assert_eq!(all(&mut journal), records[..taken]);
        assert_eq!(journal.append(&records[taken..taken + 1]).unwrap(), 1);
    }

    #[test]
    fn what_was_taken_out_makes_room_before_the_last_of_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (bound, mut number) = (3 << 20, 0..);
        let mut journal = Journal::open(&file(&dir), bound).unwrap();
        let mut some = |count| {
            number.by_ref().take(count).map(|number| record(1_800_000_000_000 + number)).collect::<Vec<_>>()
        };
        let mut put = Vec::new();
        loop {
            let more = some(500);
            let taken = journal.append(&more).unwrap();
            put.extend_from_slice(&more[..taken]);
            if taken < more.len() {
                break;
            }
        }
        // A long drain, into which as much comes as goes.
        let mut seen = Vec::new();
        for _ in 0..40 {
            let portion = journal.next(500).unwrap();
            journal.advance(&portion).unwrap();
            let more = some(portion.records.len() - 1);
            seen.extend(portion.records);
            assert_eq!(journal.append(&more).unwrap(), more.len(), "there is room for it");
            put.extend(more);
            assert!(std::fs::metadata(file(&dir)).unwrap().len() <= 2 * bound);
        }
        // And a host that goes on from there.
        let waiting = journal.waiting();
        drop(journal);
        let mut journal = Journal::open(&file(&dir), bound).unwrap();
        let left = all(&mut journal);
        assert!(left.len() as u64 >= waiting && left.ends_with(&put[seen.len()..]));
        assert!(seen == put[..seen.len()]);
    }
}

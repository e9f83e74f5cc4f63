//! The file between the queue and the store: a line for each record, behind a checksum of it. While two hosts are there
//! each has one for itself.

use std::fs::{File, OpenOptions, TryLockError};
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
    pub(super) path: PathBuf,
    #[source]
    pub(super) source: io::Error,
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
    /// Begins one, or goes on with what a host left that has ended. None where it is another host's.
    pub(super) fn open(path: &Path, bound: u64) -> Result<Option<Self>, JournalError> {
        let unusable = |source| JournalError { path: path.to_owned(), source };
        // What requests were asked for, and by whom, is for the host's user alone.
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        Self::claim(options.open(path).map_err(unusable)?, bound).map_err(unusable)
    }

    /// Of an open file, unless another host has it.
    pub(super) fn claim(file: File, bound: u64) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Self::read(file, bound).map(Some),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn read(file: File, bound: u64) -> io::Result<Self> {
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
        let room = self.room();
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
        self.write(&lines)?;
        self.waiting += count as u64;
        Ok(count)
    }

    /// Takes what another one has, as far as there is room; says how many lines. Whoever is killed meanwhile has some of
    /// them in both, where each record is known by its id.
    pub(super) fn absorb(&mut self, other: &mut Self) -> io::Result<u64> {
        let mut taken = 0;
        loop {
            let portion = other.next(usize::MAX)?;
            if portion.is_empty() || portion.bytes > self.room() {
                return Ok(taken);
            }
            let mut lines = vec![0; portion.bytes as usize];
            read_at(&other.file, &mut lines, other.done)?;
            self.write(&lines)?;
            self.waiting += portion.lines;
            taken += portion.lines;
            // The other's may be gone from the disk before these are on it.
            self.file.sync_data()?;
            other.advance(&portion)?;
        }
    }

    /// Lets another host have the file, and takes nothing more.
    pub(super) fn release(&mut self) -> io::Result<()> {
        self.bound = 0;
        self.file.unlock()
    }

    fn room(&self) -> u64 {
        self.bound.saturating_sub(self.end - self.done)
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        // Half of them would be a torn line in the middle, and all of them twice the next time.
        if let Err(error) = self.file.write_all_at(lines, self.end) {
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += lines.len() as u64;
        Ok(())
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
mod tests;

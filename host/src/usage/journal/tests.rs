use super::*;
use crate::usage::testing::record;

fn file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("usage.journal")
}

fn open(dir: &tempfile::TempDir, bound: u64) -> Journal {
    Journal::open(&file(dir), bound).unwrap().unwrap()
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
    let mut journal = open(&dir, u64::MAX);
    assert_eq!(journal.append(&records[..3]).unwrap(), 3);
    assert_eq!(journal.append(&records[3..]).unwrap(), 2);
    assert!(Journal::open(&file(&dir), u64::MAX).unwrap().is_none(), "it is somebody's");
    drop(journal);
    // A host that was killed, and one that goes on.
    let mut journal = open(&dir, u64::MAX);
    assert_eq!(journal.waiting(), 5);
    assert_eq!(all(&mut journal), records);
    assert_eq!((journal.waiting(), std::fs::metadata(file(&dir)).unwrap().len()), (0, 0));
}

#[test]
fn only_what_is_damaged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let records: Vec<_> = (0..4).map(record).collect();
    open(&dir, u64::MAX).append(&records).unwrap();
    let mut bytes = std::fs::read(file(&dir)).unwrap();
    let line = bytes.len() / 4;
    // A digit of the second, and the end of the last.
    let digit = bytes[line..].iter().position(|byte| *byte == b':').unwrap() + line + 2;
    bytes[digit] ^= 1;
    bytes.truncate(bytes.len() - 10);
    std::fs::write(file(&dir), &bytes).unwrap();
    let mut journal = open(&dir, u64::MAX);
    assert_eq!(journal.next(9).unwrap().damaged(), 1);
    // What comes behind a torn line is not torn with it.
    assert_eq!(journal.append(&records[3..]).unwrap(), 1);
    assert_eq!(all(&mut journal), [&records[..1], &records[2..]].concat());
}

#[test]
fn it_takes_no_more_than_it_has_room_for() {
    let dir = tempfile::tempdir().unwrap();
    let records: Vec<_> = (0..9).map(record).collect();
    let mut journal = open(&dir, 1_000);
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
    let mut journal = open(&dir, bound);
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
    let mut journal = open(&dir, bound);
    let left = all(&mut journal);
    assert!(left.len() as u64 >= waiting && left.ends_with(&put[seen.len()..]));
    assert!(seen == put[..seen.len()]);
}

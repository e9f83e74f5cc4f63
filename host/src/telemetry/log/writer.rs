//! Log lines on their way to stderr: whoever logs never waits for a reader of it that is slow.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tracing_subscriber::fmt::MakeWriter;

/// So much waits for its reader; of more only the number of lines is told.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// Takes lines, and has a thread of its own write them. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct LineWriter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write.
    filled: Condvar,
    /// Everything has been written.
    emptied: Condvar,
    limit: usize,
    /// How it is told that there was no room for so many.
    lost: fn(u64) -> String,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines that there was no room for.
    lost: u64,
    is_writing: bool,
}

impl LineWriter {
    /// Starts the thread.
    pub(super) fn start(to: impl Write + Send + 'static, lost: fn(u64) -> String) -> io::Result<Self> {
        Self::with_limit(to, lost, MAX_WAITING_BYTES)
    }

    fn with_limit(
        to: impl Write + Send + 'static,
        lost: fn(u64) -> String,
        limit: usize,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            limit,
            lost,
        });
        let writing = Arc::clone(&shared);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writing.write_all_to(to))?;
        Ok(Self(shared))
    }

    /// Waits until everything so far is written, and no longer than this.
    pub(super) fn flush(&self, within: Duration) {
        let until = Instant::now() + within;
        let mut waiting = self.0.lock();
        while waiting.is_writing || !waiting.lines.is_empty() || waiting.lost > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let woken = self.0.emptied.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.lines.len() + line.len() > self.limit {
            waiting.lost += 1;
        } else {
            waiting.lines.extend_from_slice(line);
        }
        drop(waiting);
        self.filled.notify_one();
    }

    /// For as long as the process lives: many lines in one go, if they came meanwhile.
    fn write_all_to(&self, mut to: impl Write) {
        let mut taken = Vec::new();
        loop {
            let mut waiting = self.lock();
            waiting.is_writing = false;
            while waiting.lines.is_empty() && waiting.lost == 0 {
                self.emptied.notify_all();
                waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            waiting.is_writing = true;
            // The two change places: neither is made anew, unless it grew beyond what is usual.
            std::mem::swap(&mut taken, &mut waiting.lines);
            let lost = std::mem::take(&mut waiting.lost);
            drop(waiting);
            if lost > 0 {
                taken.extend_from_slice((self.lost)(lost).as_bytes());
                taken.push(b'\n');
            }
            // There is nobody to tell that nobody reads.
            let _ = to.write_all(&taken).and_then(|()| to.flush());
            taken.clear();
            taken.shrink_to(64 * 1024);
        }
    }
}

/// That lines were lost, in words.
pub(super) fn lost_as_text(lost: u64) -> String {
    format!("{lost} log lines were lost here: stderr is read too slowly")
}

/// And as every other line is written where a program reads them.
pub(super) fn lost_as_json(lost: u64) -> String {
    let line = serde_json::json!({
        "timestamp": humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
        "level": "WARN",
        "message": "log lines were lost here: stderr is read too slowly",
        "lost": lost,
        "target": module_path!(),
    });
    line.to_string()
}

/// One whole line for each call, which is how the formatter writes.
impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A reader that takes what it is given when it is told to.
    struct Slow {
        may: mpsc::Receiver<()>,
        seen: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // At the end of the test it may do as it likes.
            let _ = self.may.recv();
            self.seen.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a reader gets that reads nothing for a while: a thousand lines, and the last.
    fn read_slowly(lost: fn(u64) -> String) -> String {
        let (go, may) = mpsc::channel();
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let mut writer = LineWriter::with_limit(Slow { may, seen: Arc::clone(&seen) }, lost, 100).unwrap();
        // More than there is room for, while nothing is read.
        for _ in 0..1000 {
            writer.write_all(b"a line\n").unwrap();
        }
        writer.flush(Duration::from_millis(1));
        drop(go);
        writer.0.add(b"the last\n");
        LineWriter::flush(&writer, Duration::from_secs(10));
        String::from_utf8(seen.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn nobody_waits_for_a_slow_reader_and_what_is_lost_is_told() {
        let text = read_slowly(lost_as_text);
        let lines = text.lines().filter(|line| *line == "a line").count();
        let lost: usize = text
            .lines()
            .filter_map(|line| line.strip_suffix(" log lines were lost here: stderr is read too slowly"))
            .map(|count| count.parse::<usize>().unwrap())
            .sum();
        let last = usize::from(!text.contains("the last"));
        assert_eq!(lines + lost, 1000 + last, "{text}");
        assert!(lost > 900, "{text}");
    }

    #[test]
    fn where_a_program_reads_the_log_it_can_read_that_too() {
        let text = read_slowly(lost_as_json);
        let lost = text.lines().filter(|line| line.starts_with('{')).map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(humantime::parse_rfc3339(line["timestamp"].as_str().unwrap()).is_ok(), "{line}");
            assert_eq!(line["level"], "WARN");
            line["lost"].as_u64().unwrap()
        });
        assert!(lost.sum::<u64>() > 900, "{text}");
        assert!(!text.contains("log lines were lost here: stderr is read too slowly\n"), "{text}");
    }
}

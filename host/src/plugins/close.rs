//! The end of a generation: join its thread, close the library, see whether it really went.
//!
//! Unloading is an optimisation that is tried and verified; nothing rests on it. Each ending has a thread of its
//! own, because each step can be held up by plugin code, and one plugin's must not hold up another's.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tracing::{debug, error, warn};

use super::place::Fate;
use super::record::{Life, Record};
use super::runner::Remains;

/// How long a plugin's own threads may take to end once everything of it was dropped.
const THREADS_PATIENCE: Duration = Duration::from_millis(500);

/// What is left of a generation that nothing uses any more.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) thread: JoinHandle<Option<Remains>>,
    /// The private copy, to be removed.
    pub(super) copy: Option<PathBuf>,
    /// Why the library must stay mapped, if so.
    pub(super) keep: Option<String>,
    pub(super) record: Arc<Record>,
}

/// Ends this process with that code, and without running anybody's destructors: libraries that stayed mapped have
/// some, and their threads may still be running. Everything worth keeping was written before.
pub fn end_process(code: u8) -> ! {
    use std::io::Write as _;
    // Nobody is left to tell.
    let _ = std::io::stdout().flush();
    // SAFETY: ends the process.
    unsafe { libc::_exit(code.into()) }
}

/// Starts the ending and returns at once.
pub(super) fn begin(ending: Ending) {
    let (record, copy) = (Arc::clone(&ending.record), ending.copy.clone());
    step(&record, "waiting for its thread to end");
    let started = std::thread::Builder::new().name("close".to_owned()).spawn(move || finish(ending));
    if let Err(error) = started {
        error!(%error, "no thread to close a plugin's library with");
        remove(copy);
        record
            .set_life(Life::Resident { reason: format!("no thread could be started to close it: {error}") });
    }
}

fn step(record: &Record, step: &'static str) {
    record.set_life(Life::Closing { since: SystemTime::now(), step });
}

fn finish(ending: Ending) {
    let Ending { thread, copy, keep, record } = ending;
    let life = end(thread, keep, &record);
    match &life {
        Life::Resident { reason } => {
            warn!(generation = record.generation, reason, "plugin library stays mapped");
        }
        _ => debug!(generation = record.generation, "plugin library unloaded"),
    }
    remove(copy);
    record.set_life(life);
}

/// Removes the private copy of a library that nobody will open again. One that is mapped does without its file.
pub(super) fn remove(copy: Option<PathBuf>) {
    if let Some(Err(error)) = copy.map(|copy| super::copy::remove(&copy)) {
        warn!(%error, "private copy not removed");
    }
}

fn end(thread: JoinHandle<Option<Remains>>, keep: Option<String>, record: &Record) -> Life {
    let remains = match thread.join() {
        Ok(Some(remains)) => remains,
        // It never was mapped, or the loader let go of it by itself.
        Ok(None) => return Life::Unloaded,
        Err(_) => return Life::Resident { reason: "its thread ended in a panic of the host".to_owned() },
    };
    if let Some(reason) = keep {
        // What is mapped for ever must have its contexts for ever.
        std::mem::forget(remains);
        return Life::Resident { reason };
    }
    let (instances, operations) = record.pulse.alive();
    if instances + operations > 0 {
        std::mem::forget(remains);
        return Life::Resident {
            reason: format!("{instances} instances and {operations} operations of it were never dropped"),
        };
    }
    step(record, "waiting for threads it started");
    let threads = match remains.library.threads_left(THREADS_PATIENCE) {
        Ok(threads) => threads,
        Err(fault) => {
            std::mem::forget(remains);
            return Life::Resident { reason: fault.to_string() };
        }
    };
    if threads > 0 {
        std::mem::forget(remains);
        let reason = match threads {
            1 => "a thread that it started is still running".to_owned(),
            more => format!("{more} threads that it started are still running"),
        };
        return Life::Resident { reason };
    }
    let Remains { _lenders: lenders, library } = remains;
    step(record, "running its destructors");
    // A fresh thread, as destructors register more of the same that keeps a library mapped; joined before the
    // library is looked for.
    let closed = std::thread::Builder::new().name("dlclose".to_owned()).spawn(move || library.close());
    let closed = match closed.map(JoinHandle::join) {
        Ok(Ok(closed)) => closed,
        Ok(Err(_)) => return Life::Resident { reason: "closing it panicked".to_owned() },
        Err(error) => {
            return Life::Resident { reason: format!("no thread could be started to close it: {error}") };
        }
    };
    // Too late for this one, if it went; but it is the probe that sees it first, and has such a library kept.
    if closed.threads_left(THREADS_PATIENCE) > 0 {
        std::mem::forget(lenders);
        return Life::Resident {
            reason: "a thread that its destructors started is still running".to_owned(),
        };
    }
    let fate = closed.fate();
    drop(lenders);
    match fate {
        Fate::Gone => Life::Unloaded,
        Fate::Mapped => Life::Resident {
            reason: "the system's loader kept it mapped: the library, or one it depends on, asked to stay \
                     (NODELETE, thread-local destructors on a thread of its own, or a unique symbol)"
                .to_owned(),
        },
        Fate::Unknown(why) => {
            Life::Resident { reason: format!("whether it was unmapped could not be verified: {why}") }
        }
    }
}

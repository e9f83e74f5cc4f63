//! Notices when plugin libraries, the configuration or `.env` have changed, and settled.
//!
//! The file system's events are only hints that it is worth looking. What counts is what a look finds, and a
//! look is taken every few seconds anyway: events get lost, are never sent by some file systems, and say
//! "removed" about a file that is being replaced.

// 1. Which files count, and what they look like now.
mod fingerprint;
mod scope;
// 2. When a difference is a change.
mod settle;
// 3. Who says that it is worth looking.
mod hints;
// 4. The thread that goes round and does all that.
mod rounds;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use self::hints::Hints;
use self::rounds::Rounds;
use self::scope::Scope;

/// What to watch, and how patiently.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// Plugin directories: every library directly in them counts, nothing else does.
    pub dirs: Vec<PathBuf>,
    /// Single files, wherever they are; they need not exist.
    pub files: Vec<PathBuf>,
    /// Source trees: every file at any depth counts but hidden ones, build output and libraries.
    pub trees: Vec<PathBuf>,
    /// How long a file must look the same before it counts; a removal must last twice as long.
    pub settle: Duration,
    /// How often everything is looked at although nothing hinted at a change.
    pub rescan_every: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            dirs: Vec::new(),
            files: Vec::new(),
            trees: Vec::new(),
            settle: Duration::from_millis(300),
            rescan_every: Duration::from_secs(5),
        }
    }
}

/// Files that were written to, replaced or removed since they were last reported, or since the watcher started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Absolute, sorted; a removed file is among them.
    pub files: Vec<PathBuf>,
}

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    outbox: Arc<Outbox>,
    stop: Arc<AtomicBool>,
    wake: SyncSender<()>,
}

impl Watcher {
    /// Starts to watch. What the files hold now is what later changes are measured against, so start the
    /// watcher *before* loading them: a change in between is then reported and not lost.
    ///
    /// # Errors
    ///
    /// When the watching thread cannot be started. A platform or a limit that denies file system events is no
    /// error: it is logged, and the periodic look does the work.
    pub async fn start(options: WatchOptions) -> io::Result<Watcher> {
        Self::start_with(options, Hints::listen).await
    }

    async fn start_with(
        options: WatchOptions,
        listen: impl FnOnce(&Arc<Scope>, SyncSender<()>) -> Hints + Send + 'static,
    ) -> io::Result<Watcher> {
        let scope = Arc::new(Scope::new(&options)?);
        let outbox = Arc::new(Outbox::default());
        let stop = Arc::new(AtomicBool::new(false));
        // One waiting wake-up says as much as a hundred.
        let (wake, woken) = sync_channel(1);
        let (ready, started) = oneshot::channel();
        // A thread of its own: it waits for the disk, and hashes libraries of many megabytes.
        let thread = {
            let (outbox, stop, wake) = (Arc::clone(&outbox), Arc::clone(&stop), wake.clone());
            move || {
                let hints = listen(&scope, wake);
                let mut rounds = Rounds::begin(scope, hints, &options);
                // A watcher that was dropped while it started has set `stop`, so nobody needs to hear this.
                let _ = ready.send(());
                rounds.walk(&woken, &stop, &outbox);
            }
        };
        let watcher = Watcher { outbox, stop, wake };
        thread::Builder::new().name("patchbay-watch".into()).spawn(thread)?;
        started.await.map_err(|_| io::Error::other("the watching thread ended while it started"))?;
        Ok(watcher)
    }

    /// Waits for the next change. Changes that nobody waited for are put together into one.
    ///
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Changed {
        loop {
            let files = self.outbox.take();
            if !files.is_empty() {
                return Changed { files: files.into_iter().collect() };
            }
            self.outbox.filled.notified().await;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Full means that the thread is about to wake up anyway, closed that it has ended.
        let _ = self.wake.try_send(());
    }
}

/// What has changed and was not fetched yet. Its bound is the number of watched files.
#[derive(Debug, Default)]
struct Outbox {
    files: Mutex<BTreeSet<PathBuf>>,
    filled: Notify,
}

impl Outbox {
    fn put(&self, files: Vec<PathBuf>) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).extend(files);
        self.filled.notify_one();
    }

    fn take(&self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut *self.files.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

//! File system events, as hints that it is worth looking.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tracing::warn;

use super::scope::Scope;

pub(super) struct Hints {
    /// None where the platform denies events altogether: then only the periodic look finds changes.
    events: Option<RecommendedWatcher>,
    /// Device and inode of every directory events come from, to notice when another took its place.
    armed: HashMap<PathBuf, (u64, u64)>,
    /// The limit is reached again and again; it is worth one warning.
    warned: bool,
}

impl Hints {
    /// Wakes up whoever holds the other end of `wake` at every event that concerns the scope.
    pub(super) fn listen(scope: &Arc<Scope>, wake: SyncSender<()>) -> Hints {
        let scope = Arc::clone(scope);
        let handler = move |event: notify::Result<Event>| {
            if is_worth_a_look(&scope, &event) {
                // Full means that somebody has called already.
                let _ = wake.try_send(());
            }
        };
        let mut hints = Hints::none();
        match notify::recommended_watcher(handler) {
            Ok(events) => hints.events = Some(events),
            Err(error) => hints.warn(&error),
        }
        hints
    }

    /// No events ever.
    pub(super) fn none() -> Hints {
        Hints { events: None, armed: HashMap::new(), warned: false }
    }

    /// Asks for events from exactly these directories, and says whether one of them is new.
    pub(super) fn arm(&mut self, directories: &BTreeSet<PathBuf>) -> bool {
        let Some(events) = &mut self.events else { return false };
        let present: HashMap<&PathBuf, (u64, u64)> =
            directories.iter().filter_map(|path| Some((path, identity(path)?))).collect();

        self.armed.retain(|path, armed| {
            let still = present.get(path) == Some(armed);
            if !still {
                // Fails when the directory is gone, and its watch with it.
                let _ = events.unwatch(path);
            }
            still
        });

        let mut failure = None;
        let mut has_new = false;
        for (path, identity) in present {
            // Also what is armed already: a directory that was removed and made again may have got the same
            // inode, and then looks armed. Arming twice changes nothing.
            match events.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => has_new |= self.armed.insert(path.clone(), identity).is_none(),
                // Gone since it was seen: the next look will say so.
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            self.warn(&error);
        }
        has_new
    }

    fn warn(&mut self, error: &notify::Error) {
        if !std::mem::replace(&mut self.warned, true) {
            warn!(%error, hint = hint(error), "no file system events, changes are found by looking every few seconds");
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_dir).map(|found| (found.dev(), found.ino()))
}

fn is_worth_a_look(scope: &Scope, event: &notify::Result<Event>) -> bool {
    match event {
        // Events were lost, so anything may have happened.
        Err(_) => true,
        Ok(event) if event.need_rescan() => true,
        // Reading is no change, and a look reads: it would be the cause of the next.
        Ok(event) if event.kind.is_access() => false,
        Ok(event) => event.paths.iter().any(|path| scope.concerns(path)),
    }
}

fn hint(error: &notify::Error) -> &'static str {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => "raise the limit: sysctl fs.inotify.max_user_watches=524288",
        notify::ErrorKind::Io(error) if error.raw_os_error() == Some(libc::EMFILE) => {
            "raise the limit: sysctl fs.inotify.max_user_instances=1024"
        }
        _ => "check that the directory can be read by this user",
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, Flag};
    use notify::{EventKind, event::AccessMode};

    use super::*;
    use crate::plugins::watch::WatchOptions;

    fn is_worth(event: &notify::Result<Event>) -> bool {
        let options = WatchOptions { files: vec!["/etc/config.json".into()], ..WatchOptions::default() };
        is_worth_a_look(&Scope::new(&options).unwrap(), event)
    }

    fn event(kind: EventKind, path: &str) -> Event {
        Event::new(kind).add_path(path.into())
    }

    #[test]
    fn changes_of_what_counts_are_worth_a_look() {
        let created = EventKind::Create(CreateKind::File);
        assert!(is_worth(&Ok(event(created, "/etc/config.json"))));
        assert!(!is_worth(&Ok(event(created, "/etc/passwd"))));
    }

    #[test]
    fn reading_is_not() {
        for kind in [AccessKind::Read, AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read)]
        {
            assert!(!is_worth(&Ok(event(EventKind::Access(kind), "/etc/config.json"))));
        }
    }

    #[test]
    fn lost_events_and_errors_are() {
        assert!(is_worth(&Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan))));
        assert!(is_worth(&Err(notify::Error::generic("the queue is full"))));
    }

    #[test]
    fn a_limit_comes_with_the_setting_that_mends_it() {
        let watches = notify::Error::new(notify::ErrorKind::MaxFilesWatch);
        assert!(hint(&watches).contains("fs.inotify.max_user_watches"));
        let instances = notify::Error::io(std::io::Error::from_raw_os_error(libc::EMFILE));
        assert!(hint(&instances).contains("fs.inotify.max_user_instances"));
    }
}

//! The watcher on a real file system. Nothing here sleeps and then looks: changes are awaited, and that nothing
//! was reported is shown by what is reported next.

use std::env::consts::DLL_SUFFIX;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;

const SETTLE: Duration = Duration::from_millis(200);
/// Longer than any test: what is found is found because of an event.
const NEVER: Duration = Duration::from_secs(3600);

struct Rig {
    folder: TempDir,
    watcher: Watcher,
    sentinels: u32,
}

impl Rig {
    /// Watches `plugins/`, which holds one library, and `config.json` beside it.
    async fn new() -> Rig {
        Self::with(NEVER, Hints::listen).await
    }

    async fn with(
        rescan_every: Duration,
        listen: impl FnOnce(&Arc<Scope>, SyncSender<()>) -> Hints + Send + 'static,
    ) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        fs::write(library_in(folder.path(), "mock"), "first build").unwrap();
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        let options = WatchOptions {
            dirs: vec![folder.path().join("plugins"), folder.path().join("later")],
            files: vec![folder.path().join("config.json")],
            trees: vec![folder.path().join("crate")],
            settle: SETTLE,
            rescan_every,
        };
        let watcher = Watcher::start_with(options, listen).await.unwrap();
        Rig { folder, watcher, sentinels: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn library(&self, name: &str) -> PathBuf {
        library_in(self.folder.path(), name)
    }

    async fn next(&mut self) -> Vec<PathBuf> {
        let changed = tokio::time::timeout(Duration::from_secs(30), self.watcher.changed());
        changed.await.expect("nothing was reported").files
    }

    async fn reports(&mut self, path: &Path) {
        assert_eq!(self.next().await, [path]);
    }

    /// Nothing but later changes are reported. Twice, because a removal would take twice as long to come.
    async fn reports_nothing(&mut self) {
        for _ in 0..2 {
            self.sentinels += 1;
            let sentinel = self.library(&format!("sentinel{}", self.sentinels));
            fs::write(&sentinel, "sentinel").unwrap();
            self.reports(&sentinel).await;
        }
    }
}

fn library_in(folder: &Path, name: &str) -> PathBuf {
    folder.join("plugins").join(format!("lib{name}{DLL_SUFFIX}"))
}

#[tokio::test]
async fn a_slow_writer_in_place_is_reported_once_when_it_is_done() {
    let mut rig = Rig::new().await;
    let path = rig.library("mock");
    let mut file = File::create(&path).unwrap();
    for _ in 0..10 {
        file.write_all(b"a part ").unwrap();
        let early = tokio::time::timeout(SETTLE / 4, rig.watcher.changed()).await;
        // On a machine that slept for longer than the settle time, an early report would be right.
        assert!(early.is_err(), "{early:?} was reported before it was whole");
    }
    rig.reports(&path).await;
    rig.reports_nothing().await;
}

#[tokio::test]
async fn a_replacement_by_rename_is_reported_once() {
    let mut rig = Rig::new().await;
    fs::write(rig.path("plugins/.mock.tmp"), "second build").unwrap();
    fs::rename(rig.path("plugins/.mock.tmp"), rig.library("mock")).unwrap();
    let path = rig.library("mock");
    rig.reports(&path).await;
    rig.reports_nothing().await;
}

#[tokio::test]
async fn a_replacement_by_removing_first_is_no_removal() {
    let mut rig = Rig::new().await;
    let path = rig.library("mock");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "first build").unwrap();
    rig.reports(&path).await;
    rig.reports_nothing().await;

    fs::remove_file(&path).unwrap();
    fs::write(&path, "second build").unwrap();
    rig.reports(&path).await;
    assert!(path.exists());
    rig.reports_nothing().await;
}

#[tokio::test]
async fn a_removal_is_reported() {
    let mut rig = Rig::new().await;
    let path = rig.library("mock");
    fs::remove_file(&path).unwrap();
    rig.reports(&path).await;
    rig.reports_nothing().await;
}

#[tokio::test]
async fn a_directory_that_was_removed_and_made_again_is_watched_on() {
    let mut rig = Rig::new().await;
    let path = rig.library("mock");
    for build in 0..3 {
        fs::remove_dir_all(rig.path("plugins")).unwrap();
        rig.reports(&path).await;
        fs::create_dir(rig.path("plugins")).unwrap();
        // No event can come from a directory that is not there; one about something beside it wakes it up.
        fs::write(rig.path("config.json"), format!("[{build}]")).unwrap();
        let config = rig.path("config.json");
        rig.reports(&config).await;

        fs::write(&path, "the next build").unwrap();
        rig.reports(&path).await;
    }
}

#[tokio::test]
async fn a_directory_that_was_replaced_by_another_is_watched_on() {
    let mut rig = Rig::new().await;
    let path = rig.library("mock");
    fs::create_dir(rig.path("prepared")).unwrap();
    fs::write(rig.path("prepared").join(path.file_name().unwrap()), "second build").unwrap();
    fs::rename(rig.path("plugins"), rig.path("old")).unwrap();
    fs::rename(rig.path("prepared"), rig.path("plugins")).unwrap();
    rig.reports(&path).await;

    fs::write(&path, "third build").unwrap();
    rig.reports(&path).await;
}

#[tokio::test]
async fn a_directory_that_appears_later_is_found_by_the_periodic_look() {
    let mut rig = Rig::with(SETTLE, Hints::listen).await;
    fs::create_dir(rig.path("later")).unwrap();
    let path = rig.path("later").join(format!("libnew{DLL_SUFFIX}"));
    fs::write(&path, "first build").unwrap();
    rig.reports(&path).await;
}

#[tokio::test]
async fn what_was_written_is_reported_once_whatever_it_was() {
    // The host may have read, at somebody's request, what the file held for a moment in between.
    let mut rig = Rig::new().await;
    let path = rig.library("mock");
    fs::write(&path, "first build").unwrap();
    rig.reports(&path).await;

    File::open(&path).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    rig.reports(&path).await;

    fs::write(rig.path("plugins/.mock.tmp"), "first build").unwrap();
    fs::rename(rig.path("plugins/.mock.tmp"), &path).unwrap();
    rig.reports(&path).await;
    rig.reports_nothing().await;
}

#[tokio::test]
async fn a_hard_link_is_a_file_of_its_own() {
    let mut rig = Rig::new().await;
    let (path, link) = (rig.library("mock"), rig.library("link"));
    fs::hard_link(&path, &link).unwrap();
    rig.reports(&link).await;

    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b", changed through either name").unwrap();
    let mut both = vec![path, link];
    both.sort();
    assert_eq!(rig.next().await, both);
}

#[tokio::test]
async fn a_configuration_edited_by_rename_is_reported() {
    let mut rig = Rig::new().await;
    let config = rig.path("config.json");
    for text in ["[1]", "[2]"] {
        // As editors do: the old file becomes the backup, the new one takes its name.
        fs::rename(&config, rig.path("config.json~")).unwrap();
        fs::write(rig.path("4913"), text).unwrap();
        fs::rename(rig.path("4913"), &config).unwrap();
        rig.reports(&config).await;
    }
    rig.reports_nothing().await;
}

#[tokio::test]
async fn what_is_no_library_is_not_reported() {
    let mut rig = Rig::new().await;
    fs::write(rig.path("plugins/README.md"), "text").unwrap();
    fs::write(rig.path(&format!("plugins/.hidden{DLL_SUFFIX}")), "temporary").unwrap();
    fs::create_dir(rig.library("folder")).unwrap();
    fs::write(rig.path("other.json"), "{}").unwrap();
    rig.reports_nothing().await;
}

#[tokio::test]
async fn sources_in_new_folders_are_reported() {
    let mut rig = Rig::with(SETTLE, Hints::listen).await;
    fs::create_dir_all(rig.path("crate/src/deep")).unwrap();
    fs::create_dir_all(rig.path("crate/target")).unwrap();
    fs::write(rig.path("crate/target/output"), "").unwrap();
    fs::write(rig.path("crate/src/deep/mod.rs"), "").unwrap();
    let source = rig.path("crate/src/deep/mod.rs");
    rig.reports(&source).await;
}

#[tokio::test]
async fn changes_that_nobody_waited_for_come_together() {
    let mut rig = Rig::new().await;
    let mut expected = vec![rig.path("config.json"), rig.library("mock"), rig.library("new")];
    expected.sort();
    for path in &expected {
        fs::write(path, "changed").unwrap();
    }
    let mut reported = Vec::new();
    while reported.len() < expected.len() {
        reported.extend(rig.next().await);
    }
    reported.sort();
    assert_eq!(reported, expected);
}

#[tokio::test]
async fn without_events_the_periodic_look_finds_changes() {
    let mut rig = Rig::with(SETTLE, |_, _| Hints::none()).await;
    let path = rig.library("mock");
    fs::write(&path, "second build").unwrap();
    rig.reports(&path).await;
}

#[tokio::test]
async fn a_dropped_watcher_ends_its_thread() {
    let rig = Rig::new().await;
    let outbox = Arc::downgrade(&rig.watcher.outbox);
    drop(rig.watcher);
    tokio::time::timeout(Duration::from_secs(30), async {
        while outbox.upgrade().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the thread still holds the outbox");
}

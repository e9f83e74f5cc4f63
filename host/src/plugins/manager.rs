//! The handle through which everybody else asks for reloads and for what is loaded.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::cache::Cache;
use super::catalog::Catalog;
use super::copy::CopyError;
use super::engine::{EditError, Engine, ProviderEdit, ProviderView, Shown};
use super::examine::Examiner;
use super::file::FileRules;
use super::load::Loader;
use super::record::Life;
use super::report::ReloadReport;
use super::resolve::Offer;
use super::shown::{PluginList, PluginView};
use super::sources::Sources;
use super::vitals::{Reloads, Vitals};
use crate::config::{ChangeFile, ChangeFileError, LoaderSettings};
use crate::events::Bus;
use crate::providers::{Registry, Shelf, Snapshot};
use crate::services::http::HttpClient;

/// How many requests for a reload may wait; further ones wait for a place.
const WAITING: usize = 64;

/// What the loader is made from.
#[derive(Debug)]
pub struct ManagerOptions {
    /// Where configuration and libraries come from.
    pub sources: Sources,
    /// The data directory; its lock is the caller's.
    pub data_dir: PathBuf,
    /// Where in it the private copies lie.
    pub cache: Cache,
    /// The `loader` section.
    pub settings: LoaderSettings,
    /// What is started as a probe: this very program, unless it is a test or a benchmark.
    pub probe_program: PathBuf,
    /// Where the snapshots are published.
    pub registry: Arc<Registry>,
    /// The way to upstreams.
    pub client: HttpClient,
    /// Where it is told what happens.
    pub events: Bus,
}

/// What a reload is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadOptions {
    /// Only report what would happen.
    pub dry_run: bool,
    /// Only this plugin, even if its file did not change.
    pub only: Option<String>,
    /// For the log: `api`, `watch`, `signal`, `start`.
    pub reason: &'static str,
}

/// No library has a plugin of this id.
#[derive(Debug, thiserror::Error)]
#[error("there is no plugin \"{0}\"")]
pub struct UnknownPlugin(pub String);

/// The loader could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// The folder for private copies.
    #[error(transparent)]
    Cache(#[from] CopyError),
    /// What was changed at run time.
    #[error(transparent)]
    Changes(#[from] ChangeFileError),
    /// Its thread.
    #[error("the loader's thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// Loads, swaps and unloads. Cheap to clone; when the last clone is dropped, everything is unloaded.
#[derive(Clone, Debug)]
pub struct Manager {
    commands: mpsc::Sender<Command>,
    catalog: Arc<Catalog>,
    shown: Arc<ArcSwap<Shown>>,
    events: Bus,
}

#[derive(Debug)]
enum Command {
    Reload(Box<Wish>),
    /// Changes a provider.
    Edit(Box<ProviderEdit>, oneshot::Sender<Result<u64, EditError>>),
    /// Lets every plugin go.
    Close,
}

#[derive(Debug)]
struct Wish {
    options: ReloadOptions,
    /// Switches the plugin of `only` on or off first.
    enable: Option<bool>,
    reply: oneshot::Sender<Arc<ReloadReport>>,
}

impl Manager {
    /// Starts the loader's thread. Nothing is loaded before the first [`Self::reload`].
    pub fn start(options: ManagerOptions) -> Result<Self, ManagerError> {
        options.cache.prepare()?;
        let cache = options.cache.dir();
        let change_file = ChangeFile::within(&options.data_dir);
        let changes = change_file.read()?;
        let catalog = Arc::new(Catalog::new(Arc::clone(&options.registry)));
        let shown = Arc::new(ArcSwap::default());
        let main = Handle::current();
        let rules = FileRules {
            max_bytes: options.settings.max_file_bytes,
            allow_unsafe_permissions: options.settings.allow_unsafe_permissions,
        };
        let loader = Loader::new(
            options.probe_program,
            cache,
            options.settings,
            main.clone(),
            Arc::clone(&catalog),
            options.events.clone(),
        );
        let engine = Engine {
            sources: options.sources,
            examiner: Examiner::new(rules),
            loader,
            registry: options.registry,
            catalog: Arc::clone(&catalog),
            client: options.client,
            offer: Offer::of_this_host(),
            plugins: std::collections::BTreeMap::new(),
            published: 0,
            config: None,
            first: None,
            changes,
            change_file,
            events: options.events.clone(),
            shelf: Arc::new(Shelf::within(&options.data_dir)),
            shown: Arc::clone(&shown),
        };
        let (commands, queue) = mpsc::channel(WAITING);
        // A thread of its own, for as long as the host lives: probes die with the thread that started them.
        std::thread::Builder::new()
            .name("loader".to_owned())
            .spawn(move || main.block_on(serve(engine, queue)))
            .map_err(ManagerError::Thread)?;
        Ok(Self { commands, catalog, shown, events: options.events })
    }

    /// A manager without a loader, for tests of other modules.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        Self {
            commands: mpsc::channel(1).0,
            catalog: Arc::default(),
            shown: Arc::default(),
            events: Bus::default(),
        }
    }

    /// Scans, loads, publishes. Whoever asks for the same while a run has not begun shares that run.
    pub async fn reload(&self, options: ReloadOptions) -> Arc<ReloadReport> {
        self.command(options, None).await
    }

    /// One plugin, loaded anew, even if its file did not change.
    pub async fn reload_plugin(&self, id: &str) -> Result<Arc<ReloadReport>, UnknownPlugin> {
        let options = self.only(id)?;
        Ok(self.command(options, None).await)
    }

    /// Turns a plugin on or off; its providers come or go.
    pub async fn set_enabled(&self, id: &str, enabled: bool) -> Result<Arc<ReloadReport>, UnknownPlugin> {
        let options = self.only(id)?;
        Ok(self.command(options, Some(enabled)).await)
    }

    fn only(&self, id: &str) -> Result<ReloadOptions, UnknownPlugin> {
        let known = self.catalog.get(id).is_some();
        let options = ReloadOptions { only: Some(id.to_owned()), reason: "api", ..ReloadOptions::default() };
        known.then_some(options).ok_or_else(|| UnknownPlugin(id.to_owned()))
    }

    async fn command(&self, options: ReloadOptions, enable: Option<bool>) -> Arc<ReloadReport> {
        let (reply, report) = oneshot::channel();
        // The loader's thread ends only after the last `Manager`: if it is gone, it has panicked. A command that nobody
        // took comes back with the reply in it, so it is let go before anybody waits for that.
        drop(self.commands.send(Command::Reload(Box::new(Wish { options, enable, reply }))).await);
        report.await.unwrap_or_else(|_| Arc::new(ReloadReport::of_a_dead_loader()))
    }

    /// Changes a provider, one change at a time; answers with its new version.
    pub async fn edit(&self, edit: ProviderEdit) -> Result<u64, EditError> {
        let (reply, outcome) = oneshot::channel();
        let sent = self.commands.send(Command::Edit(Box::new(edit), reply)).await;
        sent.map_err(|_| EditError::NoLoader)?;
        outcome.await.unwrap_or(Err(EditError::NoLoader))
    }

    /// One provider's configuration, as it is in force.
    pub fn provider(&self, name: &str) -> Option<ProviderView> {
        self.shown.load().provider(name)
    }

    /// Where it is told what happens.
    pub fn events(&self) -> &Bus {
        &self.events
    }

    /// Every library, those that are not in use too.
    pub fn list(&self) -> PluginList {
        self.catalog.list()
    }

    /// One plugin, with its history.
    pub fn get(&self, id: &str) -> Option<PluginView> {
        self.catalog.get(id)
    }

    /// How every plugin does, and how reloads went, in numbers.
    pub fn vitals(&self) -> (Vec<Vitals>, Reloads) {
        self.catalog.vitals()
    }

    /// Lets everything go, and waits until it is unloaded, or stays for a reason, or the time is over. Answers
    /// with how many generations are still mapped.
    pub async fn unload(self, registry: &Registry, patience: Duration) -> usize {
        let Self { commands, catalog, .. } = self;
        // If it is not there to hear it, nothing is loaded either.
        let _ = commands.send(Command::Close).await;
        drop(registry.publish(Snapshot::default));
        let living = catalog.living();
        let ended = futures_util::future::join_all(living.iter().map(|record| record.ended()));
        // What has not ended by then is counted as still there.
        let _ = tokio::time::timeout(patience, ended).await;
        living.iter().filter(|record| record.life() != Life::Unloaded).count()
    }
}

async fn serve(mut engine: Engine, mut queue: mpsc::Receiver<Command>) {
    let (mut commands, mut waiting) = (Vec::new(), Vec::new());
    while queue.recv_many(&mut commands, WAITING).await > 0 {
        for command in commands.drain(..) {
            match command {
                Command::Reload(wish) => waiting.push(*wish),
                Command::Edit(edit, reply) => {
                    // Whoever asked may have gone away.
                    let _ = reply.send(engine.edit(*edit).await);
                }
                Command::Close => return,
            }
        }
        while !waiting.is_empty() {
            let first = waiting.remove(0);
            let shared = share(&first, &mut waiting);
            let report = Arc::new(run(&mut engine, &first).await);
            engine.catalog.note_reload(&report);
            for reply in shared.into_iter().map(|wish| wish.reply).chain([first.reply]) {
                // Whoever asked may have gone away.
                let _ = reply.send(Arc::clone(&report));
            }
        }
    }
}

async fn run(engine: &mut Engine, wish: &Wish) -> ReloadReport {
    if let (Some(enable), Some(id)) = (wish.enable, &wish.options.only)
        && let Err(error) = engine.switch(id, enable)
    {
        return ReloadReport::of_a_failure(&error, "make room, or let the host's user write there");
    }
    engine.reload(&wish.options).await
}

/// Those that wait for the same: they asked before the run began, so it finds whatever they had in mind.
fn share(first: &Wish, waiting: &mut Vec<Wish>) -> Vec<Wish> {
    let same = |wish: &mut Wish| {
        first.enable.is_none()
            && wish.enable.is_none()
            && wish.options.dry_run == first.options.dry_run
            && wish.options.only == first.options.only
    };
    waiting.extract_if(.., same).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::ReloadStatus;

    #[tokio::test]
    async fn where_the_loader_is_gone_nobody_waits_for_it() {
        let manager = Manager::detached();
        let reload = manager.reload(ReloadOptions::default());
        let report = tokio::time::timeout(Duration::from_secs(30), reload).await.unwrap();
        assert_eq!(report.status, ReloadStatus::Failed);
        assert!(report.config.as_ref().unwrap().message.contains("the loader has ended"));
    }
}

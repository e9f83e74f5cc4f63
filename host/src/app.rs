//! The gateway as one value: started, reloaded, drained.

use std::fmt::Write as _;
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info};

use crate::access::{KeyBook, OpenError};
use crate::accounts::{Bookkeeper, Books};
use crate::audit::Trail;
use crate::config::{
    ChangeFile, ChangeFileError, CommandLineLayer, Config, ConfigFiles, ConfigProblems, Environment,
    RuntimeLayer,
};
use crate::dev::Places;
use crate::events::Bus;
use crate::http::{self, AppState, Counts, Outcome, Parts, Readiness, Reception, Server};
use crate::limits::{keep_recalled, recall};
use crate::plugins::watch::{WatchOptions, Watcher};
use crate::plugins::{Manager, ManagerError, ManagerOptions, PluginState, ReloadOptions, Sources, probe};
use crate::providers::{Registry, Waiting, keep_checking, keep_listed};
use crate::services::http::HttpClient;
use crate::store::{SqliteStore, StoreError};
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::log;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::{self, Tracing};
use crate::usage::{JournalError, UsageBook};

/// How long libraries may take to be unloaded when the host ends. What is not by then goes with the process.
const UNLOAD_PATIENCE: Duration = Duration::from_secs(2);

/// And the last traces to be sent.
const TRACES_PATIENCE: Duration = Duration::from_secs(2);

/// Where pages are served from while they are written.
const DEVELOPMENT_ORIGINS: [&str; 4] =
    ["http://localhost:3000", "http://127.0.0.1:3000", "http://localhost:5173", "http://127.0.0.1:5173"];

/// What the command line says; what is none is left to the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppOptions {
    /// The configuration file; `plugin_config.json` in the working directory, if it is there.
    pub config_file: Option<PathBuf>,
    /// The address to listen on.
    pub host: Option<String>,
    /// The port; 0 picks a free one.
    pub port: Option<u16>,
    /// Further plugin directories.
    pub plugin_dirs: Vec<PathBuf>,
    /// Where the host keeps what it has to remember.
    pub data_dir: Option<PathBuf>,
    /// Whether to reload by itself.
    pub watch: bool,
    /// Whether it is for whoever writes a plugin or a page: pages of the usual servers for that may ask it.
    pub development: bool,
    /// How long streams may take to finish at the end.
    pub drain_timeout: Duration,
    /// The variables that the host was started with.
    pub environment: Environment,
}

/// Why the gateway did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Something that the operator wrote; every problem of it is in the text.
    #[error("{0}")]
    Configuration(String),
    /// The working directory is gone.
    #[error("the working directory is not there")]
    WorkingDirectory(#[source] io::Error),
    /// The data directory.
    #[error("the data directory {} cannot be used", .0.display())]
    DataDirectory(PathBuf, #[source] io::Error),
    /// Somebody else's data directory.
    #[error(
        "the data directory {} is in use by another host: stop that one, or set PATCHBAY_DATA_DIR to another folder",
        .0.display()
    )]
    Locked(PathBuf),
    /// What was changed at run time.
    #[error(transparent)]
    Changes(#[from] ChangeFileError),
    /// The loader.
    #[error("the loader could not be started")]
    Manager(#[from] ManagerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The virtual keys.
    #[error(transparent)]
    Keys(#[from] OpenError),
    /// The file in which usage waits.
    #[error(transparent)]
    Usage(#[from] JournalError),
    /// The port.
    #[error("cannot listen on {0}")]
    Bind(String, #[source] io::Error),
    /// The watcher.
    #[error("the plugin directories cannot be watched")]
    Watch(#[source] io::Error),
}

impl From<ConfigProblems> for StartError {
    fn from(problems: ConfigProblems) -> Self {
        Self::Configuration(problems.to_string())
    }
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainOutcome {
    /// Every request was served to its end.
    Finished,
    /// The grace was over before these requests were.
    Cut {
        /// How many.
        requests: usize,
    },
}

/// What a host that starts now would be configured with.
#[derive(Debug)]
pub struct Setup {
    /// Where configuration and libraries come from.
    pub sources: Sources,
    /// What is in force.
    pub config: Config,
    /// Where the host keeps what it has to remember.
    pub data_dir: PathBuf,
}

impl Setup {
    /// Reads the configuration, and over it what was changed while a host ran.
    pub fn read(options: &AppOptions) -> Result<Self, StartError> {
        let here = std::env::current_dir().map_err(StartError::WorkingDirectory)?;
        let sources = sources(options, &here);
        // Where the changes are kept is itself configured, though never by them.
        let config = sources.read_config(&RuntimeLayer::default())?;
        let data_dir = options.data_dir.as_ref().map(|dir| here.join(dir)).unwrap_or_else(|| {
            sources.base.join(config.data_dir.as_deref().unwrap_or(Path::new(".patchbay")))
        });
        let changes = ChangeFile::within(&data_dir).read()?;
        let config = sources.read_config(&changes.layer())?;
        Ok(Self { sources, config, data_dir })
    }

    /// Whether a host would start with it.
    pub fn check(&self) -> Result<(), StartError> {
        let refused = |error: &dyn std::error::Error| StartError::Configuration(error.to_string());
        http::start_check(&self.config.server).map_err(|error| refused(&error))?;
        traces::check(&self.config.telemetry.traces).map_err(|error| refused(&error))
    }
}

/// A gateway that serves.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    manager: Manager,
    registry: Arc<Registry>,
    readiness: Readiness,
    shutdown: CancellationToken,
    server: JoinHandle<Outcome>,
    _watching: Option<AbortOnDropHandle<()>>,
    checking: AbortOnDropHandle<()>,
    listing: AbortOnDropHandle<()>,
    recalling: AbortOnDropHandle<()>,
    tracing: Option<Tracing>,
    usage: UsageBook,
    events: Bus,
    trail: Trail,
    store: SqliteStore,
    /// Last: nobody else may use the data directory before everything above is gone.
    _lock: File,
}

impl App {
    /// Reads the configuration, loads the plugins, and listens.
    pub async fn start(options: AppOptions) -> Result<App, StartError> {
        let setup = Setup::read(&options)?;
        setup.check()?;
        let Setup { sources, config, data_dir } = setup;
        let mut settings = config.server.clone();
        if options.development && settings.cors_origins.is_empty() {
            settings.cors_origins = DEVELOPMENT_ORIGINS.map(str::to_owned).to_vec();
        }
        let settings = &settings;
        let lock = lock(&data_dir)?;

        let store = SqliteStore::open(&data_dir.join("store.sqlite")).await?;
        let keys = Arc::new(KeyBook::open(Arc::new(store.clone()), &data_dir).await?);
        let usage = UsageBook::open(Arc::new(store.clone()), &data_dir, &config.usage)?;
        usage.catch_up().await;
        let events = Bus::default();
        let trail = Trail::start(Arc::new(store.clone()), events.clone());

        let (registry, client) = (Arc::new(Registry::default()), HttpClient::default());
        recall(&registry.limiter, &keys, &store).await?;
        let recalling = keep_recalled(Arc::clone(&registry), Arc::clone(&keys), Arc::new(store.clone()));
        let recalling = AbortOnDropHandle::new(tokio::spawn(recalling));
        let traces = traces::start(&config.telemetry.traces, client.clone())
            .map_err(|error| StartError::Configuration(error.to_string()))?;
        let manager = Manager::start(ManagerOptions {
            sources: sources.clone(),
            data_dir,
            settings: config.loader.clone(),
            probe_program: probe::PROGRAM.into(),
            registry: Arc::clone(&registry),
            client: client.clone(),
            events: events.clone(),
        })?;
        let address = format!("{}:{}", settings.host, settings.port);
        let server = Server::bind((unbracketed(&settings.host), settings.port))
            .await
            .map_err(|e| StartError::Bind(address.clone(), e))?;
        let address = server.local_addr().map_err(|error| StartError::Bind(address, error))?;
        let (server, tracing, counts) = told_of(server, &config, &usage, traces);
        let readiness = Readiness::default();
        let parts = Parts {
            registry: Arc::clone(&registry),
            http: client,
            manager: manager.clone(),
            keys,
            usage: usage.clone(),
            readiness: readiness.clone(),
            counts,
            trail: trail.clone(),
        };
        let state = AppState::new(settings, parts);

        // The watcher first: what changes while the first load runs is then a change.
        let watching = if options.watch { Some(start_watching(&sources, &manager).await?) } else { None };
        manager.reload(ReloadOptions { reason: "start", ..ReloadOptions::default() }).await;
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(server.run(http::router(state), shutdown.clone(), options.drain_timeout));
        readiness.ready();
        let checking = AbortOnDropHandle::new(tokio::spawn(keep_checking(Arc::clone(&registry))));
        let listing = AbortOnDropHandle::new(tokio::spawn(keep_listed(Arc::clone(&registry))));
        Ok(App {
            address,
            manager,
            registry,
            readiness,
            shutdown,
            server,
            _watching: watching,
            checking,
            listing,
            recalling,
            tracing,
            usage,
            events,
            trail,
            store,
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Providers and plugins as a short table, and what to try next.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let snapshot = self.registry.snapshot();
        let plugins = self.manager.list().plugins;
        // Writing to a string does not fail.
        for provider in snapshot.by_priority() {
            let (name, plugin) = (provider.name(), &provider.plugin);
            let _ = writeln!(text, "  {name:<20} {} {}", plugin.id, plugin.version);
        }
        for plugin in plugins.iter().filter(|plugin| plugin.state != PluginState::Active) {
            let Some(problem) = &plugin.problem else { continue };
            let _ = writeln!(text, "  {} was not used: {}", plugin.file.display(), problem.message);
        }
        for Waiting { name, variable, .. } in snapshot.waiting() {
            let _ = writeln!(text, "  {name:<20} waits for a key: {variable}");
        }
        for plugin in plugins.iter().filter(|plugin| plugin.state == PluginState::Unused) {
            let Some(id) = plugin.id.as_deref().filter(|_| plugin.problem.is_none()) else { continue };
            if snapshot.waiting().iter().any(|waiting| waiting.plugin == id) {
                continue;
            }
            let _ = writeln!(
                text,
                "  {id:<20} loaded, and no provider uses it: \"{id}\": {{}} under \"plugins\" in plugin_config.json"
            );
        }
        if snapshot.by_priority().is_empty() {
            text.push_str("  no providers yet: put a plugin's library into plugins/custom, name it in plugin_config.json,\n");
            let _ = write!(text, "  and curl -X POST http://{}/api/providers/reload", self.address);
            if std::env::current_dir().is_ok_and(|here| Places::hold_crates(&Places::standard(&here))) {
                text.push_str("\n  there are plugins' sources here: `patchbay dev` builds them, and serves what comes of it");
            }
        } else {
            if snapshot.by_priority().iter().all(|provider| provider.plugin.id == "mock") {
                text.push_str("  nothing else is configured, so the mock provider answers\n");
            }
            let _ = write!(
                text,
                "try: curl -N http://{}/api/chat -H 'content-type: application/json' \\\n       \
                 -d '{{\"messages\": [{{\"role\": \"user\", \"content\": \"hello\"}}]}}'",
                self.address
            );
        }
        text
    }

    /// Reads configuration and directories again. The run goes on when the future is dropped.
    pub async fn reload(&self, reason: &'static str) {
        self.manager.reload(ReloadOptions { reason, ..ReloadOptions::default() }).await;
    }

    /// Takes no more requests, waits for those under way, and unloads.
    pub async fn drain(self) -> DrainOutcome {
        let Self {
            manager,
            registry,
            readiness,
            shutdown,
            server,
            checking,
            listing,
            recalling,
            tracing,
            usage,
            events,
            trail,
            store,
            _lock,
            ..
        } = self;
        readiness.draining();
        // Whoever listens would do so for ever.
        events.close();
        drop((checking, listing, recalling));
        shutdown.cancel();
        let outcome = server.await.unwrap_or_else(|error| {
            error!(%error, "the server ended unexpectedly");
            Outcome::Drained
        });
        let left = manager.unload(&registry, UNLOAD_PATIENCE).await;
        info!(still_mapped = left, "plugins unloaded");
        if let Some(tracing) = tracing {
            tracing.end(TRACES_PATIENCE).await;
        }
        trail.finish().await;
        usage.close().await;
        store.close().await;
        match outcome {
            Outcome::Drained => DrainOutcome::Finished,
            Outcome::Cut(requests) => DrainOutcome::Cut { requests },
        }
    }
}

/// Has the server's requests told of: to whoever counts, in the log, and in traces where these go somewhere.
fn told_of(
    server: Server,
    config: &Config,
    usage: &UsageBook,
    traces: Option<traces::Parts>,
) -> (Server, Option<Tracing>, Counts) {
    let log = log::control();
    log.configure_access_log(config.telemetry.access_log);
    let metrics = Arc::new(Metrics::new(http::asking_paths(), &config.telemetry.metrics));
    let mut books: Vec<Box<dyn Bookkeeper>> =
        vec![Box::new(Arc::clone(&metrics)), Box::new(usage.clone()), Box::new(AccessLog::new(log.clone()))];
    let (mut sampler, mut tracing) = (None, None);
    if let Some(parts) = traces {
        sampler = Some(parts.sampler);
        books.push(Box::new(parts.tracer));
        tracing = Some(parts.tracing);
    }
    let reception = Reception::new(sampler, log, &config.server.trusted_proxies);
    let books = Arc::new(Books::of(books));
    let counts = Counts { metrics, books: Arc::clone(&books), connections: server.connections() };
    (server.with_books(books).with_reception(reception), tracing, counts)
}

fn sources(options: &AppOptions, here: &Path) -> Sources {
    let config_file = here.join(options.config_file.as_deref().unwrap_or(Path::new("plugin_config.json")));
    let base = config_file.parent().unwrap_or(here).to_owned();
    // On the command line, relative means relative to the working directory.
    let plugin_dirs = options.plugin_dirs.iter().map(|dir| here.join(dir)).collect();
    Sources {
        config_file,
        config_named: options.config_file.is_some(),
        files: ConfigFiles::default(),
        base,
        plugin_dirs,
        environment: options.environment.clone(),
        command_line: CommandLineLayer { host: options.host.clone(), port: options.port },
    }
}

/// `[::1]` is how an address stands in a URL, not how the system wants it.
fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Makes the data directory and keeps everybody else out of it.
fn lock(dir: &Path) -> Result<File, StartError> {
    let unusable = |error| StartError::DataDirectory(dir.to_owned(), error);
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unusable)?;
    let file =
        File::options().create(true).truncate(false).write(true).open(dir.join("lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

async fn start_watching(sources: &Sources, manager: &Manager) -> Result<AbortOnDropHandle<()>, StartError> {
    let (sources, manager) = (sources.clone(), manager.clone());
    let mut watched = folders(&sources);
    let mut watcher = watch(&sources, &watched).await.map_err(StartError::Watch)?;
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            watcher.changed().await;
            // The configuration may name other folders now.
            let folders = folders(&sources);
            if folders != watched {
                match watch(&sources, &folders).await {
                    Ok(anew) => (watcher, watched) = (anew, folders),
                    Err(error) => error!(%error, "new plugin directories cannot be watched"),
                }
            }
            manager.reload(ReloadOptions { reason: "watch", ..ReloadOptions::default() }).await;
        }
    })))
}

/// The plugin folders of now; a configuration that cannot be read adds none.
fn folders(sources: &Sources) -> Vec<PathBuf> {
    let dirs = match sources.read_config(&RuntimeLayer::default()) {
        Ok(config) => sources.dirs(&config.plugin_dirs),
        Err(_) => sources.dirs(&[]),
    };
    dirs.into_iter().map(|dir| dir.path).collect()
}

async fn watch(sources: &Sources, folders: &[PathBuf]) -> io::Result<Watcher> {
    let files = vec![sources.config_file.clone(), sources.base.join(".env")];
    Watcher::start(WatchOptions { dirs: folders.to_vec(), files, ..WatchOptions::default() }).await
}

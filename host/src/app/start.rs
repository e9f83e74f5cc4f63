//! From the command line to a host that serves.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::kept::Kept;
use super::listen::{self, Socket};
use super::{App, AppOptions, Setup, StartError, Stop, watching};
use crate::accounts::{Bookkeeper, Books};
use crate::config::{Config, ServerSettings};
use crate::http::{self, AppState, Counts, Frozen, LINGER, Readiness, Reception, Server};
use crate::limits::{keep_recalled, recall_again, recall_first};
use crate::plugins::problem::chain;
use crate::plugins::{Cache, Manager, ManagerOptions, ReloadOptions, Sources, probe};
use crate::providers::{Registry, keep_checking, keep_listed};
use crate::services::http::HttpClient;
use crate::store::StoreError;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::log;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::{self, Tracing};
use crate::upgrade::{self, Control, Estate, Handed, Inheritance, Predecessor};
use crate::usage::UsageBook;

/// Where pages are served from while they are written.
const DEVELOPMENT_ORIGINS: [&str; 4] =
    ["http://localhost:3000", "http://127.0.0.1:3000", "http://localhost:5173", "http://127.0.0.1:5173"];

impl App {
    /// Reads the configuration, loads the plugins, and listens.
    pub async fn start(options: AppOptions) -> Result<App, StartError> {
        let began = Instant::now();
        let Setup { sources, config, data_dir } = Setup::read(&options)?;
        let Beginning { mut inheritance, lock, socket } = begin(&options, &data_dir).await?;
        let settings = decide(&options, &config, &socket)?;
        let (term, opened) = (inheritance.as_ref().map_or(0, |it| it.term), socket.is_opened());

        let (listener, address) = socket.listen(&settings).await?;
        let parts = Parts::assemble(&sources, &config, &data_dir, Cache::of(&data_dir, term)).await?;
        let Parts { kept, registry, client, cache, manager } = parts;
        let traces = traces::start(&config.telemetry.traces, client.clone())
            .map_err(|error| StartError::Configuration(error.to_string()))?;
        let stop = Stop::default();
        let server = listen::serve(&listener)?.until(stop.leaving.clone());
        let (server, tracing, counts) = told_of(server, &config, &kept.usage, traces);
        let readiness = Readiness::default();
        let shared = http::Parts {
            registry: Arc::clone(&registry),
            http: client,
            manager: manager.clone(),
            keys: Arc::clone(&kept.keys),
            usage: kept.usage.clone(),
            readiness: readiness.clone(),
            counts,
            trail: kept.trail.clone(),
        };
        let attempt = http::attempt(address, &settings, &kept.keys);
        let state = AppState::new(&settings, shared);

        // These first: what changes while the first load runs is then a change.
        let mut background = vec![recalling(&registry, &kept).await?];
        if options.watch {
            background.push(watching::start(&sources, &state).await?);
        }
        let report = manager.reload(ReloadOptions { reason: "start", ..ReloadOptions::default() }).await;
        if let Some(inheritance) = &mut inheritance {
            inheritance.is_served(report.providers.failed.iter().map(|failed| failed.name.as_str()))?;
            inheritance.ready().await?;
        }
        // The other host begins requests until it rests, and would not know of what is changed here.
        let frozen = if inheritance.is_some() { Some(readiness.freeze(LINGER).await) } else { None };
        let server =
            tokio::spawn(server.run(http::router(state.clone()), stop.now.clone(), options.drain_timeout));
        readiness.ready();
        if let Some(inheritance) = inheritance {
            let seeing_off = see_off(inheritance.taken().await, frozen, kept.clone(), Arc::clone(&registry));
            background.push(AbortOnDropHandle::new(tokio::spawn(seeing_off)));
        }
        let handed = lock.try_clone().map(|lock| Handed { listener, lock, opened });
        let control = handed.and_then(|handed| {
            let (readiness, registry) = (readiness.clone(), Arc::clone(&registry));
            let started_within = began.elapsed();
            Control::listen(&data_dir, Estate { handed, term, readiness, registry, started_within })
        });
        let control =
            control.inspect_err(|error| warn!(%error, "no other host will be able to take over")).ok();
        background.push(AbortOnDropHandle::new(tokio::spawn(keep_checking(Arc::clone(&registry)))));
        background.push(AbortOnDropHandle::new(tokio::spawn(keep_listed(Arc::clone(&registry)))));
        let _lock = lock;
        Ok(App {
            address,
            attempt,
            state,
            manager,
            registry,
            readiness,
            stop,
            server,
            background,
            tracing,
            kept,
            control,
            cache,
            data_dir,
            _lock,
        })
    }
}

/// What a host serves with.
struct Parts {
    kept: Kept,
    registry: Arc<Registry>,
    client: HttpClient,
    cache: Cache,
    manager: Manager,
}

impl Parts {
    async fn assemble(
        sources: &Sources,
        config: &Config,
        data_dir: &Path,
        cache: Cache,
    ) -> Result<Self, StartError> {
        let kept = Kept::open(data_dir, &config.usage).await?;
        let (registry, client) = (Arc::new(Registry::default()), HttpClient::default());
        let manager = Manager::start(ManagerOptions {
            sources: sources.clone(),
            data_dir: data_dir.to_owned(),
            cache: cache.clone(),
            settings: config.loader.clone(),
            probe_program: probe::PROGRAM.into(),
            registry: Arc::clone(&registry),
            client: client.clone(),
            events: kept.events.clone(),
        })?;
        Ok(Self { kept, registry, client, cache, manager })
    }
}

/// What a host begins with.
struct Beginning {
    /// None where it begins alone.
    inheritance: Option<Inheritance>,
    /// Of the data directory.
    lock: File,
    socket: Socket,
}

/// The data directory for this host, and the socket: from another host that lets go of both, or for the first time.
async fn begin(options: &AppOptions, data_dir: &Path) -> Result<Beginning, StartError> {
    let inherited = if options.take_over { upgrade::ask(data_dir).await? } else { None };
    let mut beginning = match inherited {
        Some((inheritance, Handed { listener, lock, opened })) => {
            let socket = if opened { Socket::Opened(listener) } else { Socket::Handed(listener) };
            Beginning { inheritance: Some(inheritance), lock, socket }
        }
        None => Beginning { inheritance: None, lock: lock(data_dir)?, socket: Socket::None },
    };
    if let Some(opened) = &options.listener {
        let opened = opened.try_clone().map_err(|e| StartError::Bind("what was opened".into(), e))?;
        beginning.socket = Socket::Opened(opened);
    }
    Ok(beginning)
}

/// The settings that are in force, with the address that is certain; none that would let strangers in.
fn decide(options: &AppOptions, config: &Config, socket: &Socket) -> Result<ServerSettings, StartError> {
    let mut settings = config.server.clone();
    if options.development && settings.cors_origins.is_empty() {
        settings.cors_origins = DEVELOPMENT_ORIGINS.map(str::to_owned).to_vec();
    }
    socket.decide(&mut settings)?;
    http::start_check(&settings).map_err(|error| StartError::Configuration(error.to_string()))?;
    Ok(settings)
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

/// Sees the host off that was taken over from.
async fn see_off(mut it: Predecessor, frozen: Option<Frozen>, kept: Kept, registry: Arc<Registry>) {
    it.rests().await;
    drop(frozen);
    it.gone().await;
    kept.usage.collect().await;
    kept.usage.catch_up().await;
    // What its last requests have cost is in the store now.
    if let Err(problem) = recall_again(&registry.limiter, &kept.keys, &kept.usage).await {
        warn!(
            problem = chain(&problem),
            "what the host before this one spent last is not counted for budgets"
        );
    }
}

/// Budgets know what was spent before the first request comes, if that can be read.
async fn recalling(registry: &Arc<Registry>, kept: &Kept) -> Result<AbortOnDropHandle<()>, StoreError> {
    let Kept { keys, usage, .. } = kept;
    let is_recalled = recall_first(&registry.limiter, keys, usage).await?;
    let recalling = keep_recalled(Arc::clone(registry), Arc::clone(keys), usage.clone(), is_recalled);
    Ok(AbortOnDropHandle::new(tokio::spawn(recalling)))
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

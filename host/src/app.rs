//! The gateway as one value: started, reloaded, drained.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::kept::Kept;
use crate::audit::Who;
use crate::config::{ChangeFile, CommandLineLayer, Config, ConfigFiles, Environment, RuntimeLayer};
use crate::http::{self, AppState, Outcome, Readiness};
use crate::plugins::{Cache, Manager, Sources};
use crate::providers::Registry;
use crate::telemetry::traces::{self, Tracing};
use crate::upgrade::{Control, Successor};

// 1. From the command line to a host that serves, or why not.
mod error;
mod start;
// The socket that connections come from, whoever has opened it.
mod listen;
// What is there after a restart.
mod kept;
// Reloads that nobody asks for.
mod watching;
// 2. What it says of itself then.
mod summary;
// 3. Its end.
mod end;

pub use end::DrainOutcome;
pub use error::StartError;

/// The configuration, unless the operator names another one.
pub const CONFIG_FILE: &str = "plugin_config.json";

/// What the command line says; what is none is left to the configuration.
#[derive(Debug, Clone, Default)]
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
    /// Whether to take over from the host that runs on the data directory, if one does.
    pub take_over: bool,
    /// Whether it is for whoever writes a plugin or a page: pages of the usual servers for that may ask it.
    pub development: bool,
    /// How long streams may take to finish at the end.
    pub drain_timeout: Duration,
    /// The variables that the host was started with.
    pub environment: Environment,
    /// The socket to listen on, where whoever started the host has opened it; then that is the address.
    pub listener: Option<Arc<TcpListener>>,
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

    /// Whether a host would start with it, where no socket is handed to it.
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
    /// What to try first.
    attempt: String,
    state: AppState,
    manager: Manager,
    registry: Arc<Registry>,
    readiness: Readiness,
    stop: Stop,
    server: JoinHandle<Outcome>,
    /// What goes on whether anybody asks or not.
    background: Vec<AbortOnDropHandle<()>>,
    tracing: Option<Tracing>,
    kept: Kept,
    /// None where nobody can take over.
    control: Option<Control>,
    cache: Cache,
    data_dir: PathBuf,
    /// Last: nobody else may use the data directory before everything above is gone.
    _lock: File,
}

/// Ends serving: with the connections that are there, or with those that another host takes.
#[derive(Debug, Default)]
struct Stop {
    now: CancellationToken,
    leaving: CancellationToken,
}

impl App {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads configuration and directories again, because of a signal. The run goes on when the future is dropped.
    pub async fn reload(&self) {
        http::reload(&self.state, Who::Signal).await;
    }

    /// Returns when another host has taken over: then this one has to [leave](Self::leave).
    pub async fn taken_over(&self) -> Arc<Successor> {
        match &self.control {
            Some(control) => control.taken().await,
            None => std::future::pending().await,
        }
    }
}

fn sources(options: &AppOptions, here: &Path) -> Sources {
    let config_file = here.join(options.config_file.as_deref().unwrap_or(Path::new(CONFIG_FILE)));
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

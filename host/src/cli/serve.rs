//! `patchbay serve`: the gateway, from start to drain.

use clap::Args;
use tracing::info;

use super::hosting::Hosting;
use super::signals::{Signals, Stop};
use super::{Failure, open_files, output};
use crate::app::{App, AppOptions, DrainOutcome};
use crate::config::Environment;
use crate::plugins;
use crate::telemetry::log;

/// Serve the providers that are configured
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    #[command(flatten)]
    hosting: Hosting,

    /// Reload by itself when a library, the configuration or .env changes
    #[arg(long)]
    watch: bool,
}

const EXAMPLES: &str = "\
Examples:
  patchbay serve
  patchbay serve --config /etc/patchbay/plugin_config.json --watch
  GROQ_API_KEY=... patchbay serve --port 8080

SIGTERM and Ctrl-C let streams finish, a second signal ends at once, SIGHUP reloads.";

impl Serve {
    pub(super) fn hosting(&self) -> &Hosting {
        &self.hosting
    }
}

pub(super) async fn run(command: Serve, environment: Environment) -> Result<u8, Failure> {
    let options = command.hosting.options(environment);
    serve(AppOptions { watch: command.watch, ..options }).await
}

pub(super) async fn serve(options: AppOptions) -> Result<u8, Failure> {
    open_files::allow_as_many_as_possible();
    let grace = options.drain_timeout;
    let mut signals =
        Signals::listen().map_err(|error| Failure::failed(format!("signals cannot be received: {error}")))?;
    let app = tokio::select! {
        started = App::start(options) => started?,
        stop = signals.stop() => return Ok(stop.code()),
    };
    // Scripts wait for exactly this line.
    output::line(&format!("listening on http://{}", app.address()));
    output::line(&app.summary());

    let stop = until_stopped(&app, &mut signals).await;
    info!(signal = stop.name(), timeout_seconds = grace.as_secs(), "draining");
    // In a task of its own, because what it is there for is a drain that does not end.
    tokio::spawn(async move {
        let second = signals.stop().await;
        log::flush();
        plugins::end_process(second.code());
    });
    match app.drain().await {
        DrainOutcome::Finished => Ok(0),
        DrainOutcome::Cut { requests } => Err(Failure::failed(format!(
            "{requests} requests were cut after {} s of draining",
            grace.as_secs()
        ))),
    }
}

async fn until_stopped(app: &App, signals: &mut Signals) -> Stop {
    loop {
        if let Some(stop) = signals.next().await {
            return stop;
        }
        tokio::select! {
            () = app.reload("SIGHUP") => {}
            // A reload that hangs does not keep the host from ending.
            stop = signals.stop() => return stop,
        }
    }
}

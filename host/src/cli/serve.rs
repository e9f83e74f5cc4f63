//! `patchbay serve`: the gateway, from start to drain.

use std::sync::Arc;

use clap::Args;
use tracing::{info, warn};

use super::hosting::Hosting;
use super::signals::{Signals, Stop, Wish};
use super::successor::NextHost;
use super::{Failure, open_files, output};
use crate::app::{App, AppOptions, DrainOutcome};
use crate::config::Environment;
use crate::plugins;
use crate::supervisor::{self, Supervisor};
use crate::telemetry::log;
use crate::upgrade::Successor;

/// Serve the providers that are configured
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    #[command(flatten)]
    hosting: Hosting,

    /// Reload by itself when a library, the configuration or .env changes
    #[arg(long)]
    watch: bool,

    /// Take over from the host that runs on the same data directory, if one does: it hands over the connections and
    /// ends when its requests have; should this one not come up, it goes on
    #[arg(long)]
    take_over: bool,
}

const EXAMPLES: &str = "\
Examples:
  patchbay serve
  patchbay serve --config /etc/patchbay/plugin_config.json --watch
  GROQ_API_KEY=... patchbay serve --port 8080
  patchbay serve --take-over

SIGTERM and Ctrl-C let streams finish, a second signal ends at once, SIGHUP reloads. SIGUSR2 starts the program anew, as \
it is on disk now, with the same arguments and --take-over: no request is lost.";

impl Serve {
    pub(super) fn hosting(&self) -> &Hosting {
        &self.hosting
    }
}

pub(super) async fn run(command: Serve, environment: Environment) -> Result<u8, Failure> {
    let listener = supervisor::inherited_listener(&environment)
        .map_err(|error| Failure::failed(format!("the socket of LISTEN_FDS cannot be used: {error}")))?;
    let options = command.hosting.options(environment);
    let (watch, take_over, listener) = (command.watch, command.take_over, listener.map(Arc::new));
    serve(AppOptions { watch, take_over, listener, ..options }).await
}

/// Why a host does not go on.
enum End {
    Stopped(Stop),
    Succeeded(Arc<Successor>),
}

pub(super) async fn serve(options: AppOptions) -> Result<u8, Failure> {
    open_files::allow_as_many_as_possible();
    let grace = options.drain_timeout;
    let supervisor = Supervisor::find(&options.environment);
    let mut signals =
        Signals::listen().map_err(|error| Failure::failed(format!("signals cannot be received: {error}")))?;
    let app = tokio::select! {
        started = App::start(options) => started?,
        stop = signals.stop() => return Ok(stop.code()),
    };
    // Scripts wait for exactly this line.
    output::line(&format!("listening on http://{}", app.address()));
    output::line(&app.summary());
    supervisor.ready();

    let end = until_ended(&app, &mut signals, &supervisor).await;
    // In a task of its own, because what it is there for is a drain that does not end.
    let is_leaving = matches!(end, End::Succeeded(_));
    tokio::spawn(async move {
        if is_leaving {
            // It is meant for both hosts, and this one does it already.
            let first = signals.stop().await;
            info!(signal = first.name(), "draining already; once more ends at once");
        }
        let second = signals.stop().await;
        log::flush();
        plugins::end_process(second.code());
    });
    let drained = match end {
        End::Stopped(stop) => {
            info!(signal = stop.name(), timeout_seconds = grace.as_secs(), "draining");
            supervisor.stopping();
            app.drain().await
        }
        End::Succeeded(successor) => {
            info!(process = successor.process, timeout_seconds = grace.as_secs(), "succeeded, draining");
            if let Some(process) = successor.process {
                supervisor.succeeded_by(process);
            }
            app.leave(successor).await
        }
    };
    match drained {
        DrainOutcome::Finished => Ok(0),
        DrainOutcome::Cut { requests } => Err(Failure::failed(format!(
            "{requests} requests were cut after {} s of draining",
            grace.as_secs()
        ))),
    }
}

async fn until_ended(app: &App, signals: &mut Signals, supervisor: &Supervisor) -> End {
    // Taken from the environment as it is now; without it, nothing but this signal is lost.
    let next = NextHost::of_this_process();
    loop {
        let wish = tokio::select! {
            wish = signals.next() => wish,
            successor = app.taken_over() => return End::Succeeded(successor),
        };
        match (wish, &next) {
            (Wish::Stop(stop), _) => return End::Stopped(stop),
            (Wish::Upgrade, Ok(next)) => next.start(),
            (Wish::Upgrade, Err(error)) => warn!(%error, "where this program lies is not known"),
            (Wish::Reload, _) => {
                supervisor.reloading();
                tokio::select! {
                    () = app.reload() => {}
                    // A reload that hangs does not keep the host from ending.
                    stop = signals.stop() => return End::Stopped(stop),
                }
                supervisor.ready();
            }
        }
    }
}

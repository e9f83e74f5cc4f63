//! From a host that serves to none.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info};

use super::App;
use crate::http::Outcome;
use crate::upgrade::{self, Control, Successor};

/// How long libraries may take to be unloaded when the host ends. What is not by then goes with the process.
const UNLOAD_PATIENCE: Duration = Duration::from_secs(2);

/// And the last traces to be sent.
const TRACES_PATIENCE: Duration = Duration::from_secs(2);

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

impl App {
    /// Takes no more requests, waits for those under way, and unloads.
    pub async fn drain(self) -> DrainOutcome {
        // A signal may come just then; the socket is another's already.
        if !self.control.as_ref().is_some_and(Control::is_taken) {
            upgrade::forget(&self.data_dir);
        }
        self.stop.now.cancel();
        self.end(None).await
    }

    /// Leaves connections to the host that has taken over, waits for the requests under way, and unloads.
    pub async fn leave(self, successor: Arc<Successor>) -> DrainOutcome {
        self.stop.leaving.cancel();
        self.end(Some(successor)).await
    }

    async fn end(self, successor: Option<Arc<Successor>>) -> DrainOutcome {
        let Self {
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
            _lock,
            ..
        } = self;
        readiness.draining();
        // Whoever listens would do so for ever.
        kept.events.close();
        // With the socket that it would hand on: who connects from now on is not left waiting there.
        drop((background, control, state));
        let resting = successor.clone().map(|successor| {
            AbortOnDropHandle::new(tokio::spawn(async move {
                // By the server, as soon as there is no reason to wait any longer.
                stop.now.cancelled().await;
                successor.rest().await;
            }))
        });
        let outcome = server.await.unwrap_or_else(|error| {
            error!(%error, "the server ended unexpectedly");
            Outcome::Drained
        });
        let left = manager.unload(&registry, UNLOAD_PATIENCE).await;
        info!(still_mapped = left, "plugins unloaded");
        cache.leave();
        if let Some(tracing) = tracing {
            tracing.end(TRACES_PATIENCE).await;
        }
        kept.close().await;
        // Hears by that that it may read what is left behind.
        drop((resting, successor));
        match outcome {
            Outcome::Drained => DrainOutcome::Finished,
            Outcome::Cut(requests) => DrainOutcome::Cut { requests },
        }
    }
}

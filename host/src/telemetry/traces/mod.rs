//! Traces of requests, for whoever takes them over OTLP. Off unless somebody says where they go.
//!
//! A request's spans are made when it is over, of what its books say, and away from whoever serves: on its way a
//! request only has ids.

// Which traces are kept.
mod sampler;
// What is told of a request, by OpenTelemetry's conventions.
mod attributes;
mod spans;
// As it goes over the wire.
mod json;
mod protobuf;
mod span;
// On its way.
mod export;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::accounts::{Bookkeeper, Record};
use crate::config::TraceSettings;
use crate::services::http::HttpClient;

pub use sampler::Sampler;
pub use target::TargetError;

/// So many requests wait to be sent; of more nothing is told. As many spans as OpenTelemetry's own programs keep.
const QUEUE: usize = 2048;

/// Sends traces until it is ended.
#[derive(Debug)]
pub struct Tracing {
    end: CancellationToken,
    sending: AbortOnDropHandle<()>,
}

/// Who tells [`Tracing`] of each request that is over.
#[derive(Debug)]
pub struct Tracer {
    queue: mpsc::Sender<Record>,
    lost: Arc<AtomicU64>,
}

/// What a host with traces needs.
#[derive(Debug)]
pub struct Parts {
    /// Decides, when a request comes.
    pub sampler: Sampler,
    /// Takes it down, when it is over.
    pub tracer: Tracer,
    /// Sends it.
    pub tracing: Tracing,
}

/// Whether traces could go where it is configured.
///
/// # Errors
///
/// When what is configured is nowhere.
pub fn check(settings: &TraceSettings) -> Result<(), TargetError> {
    target::Target::of(settings, HttpClient::default()).map(drop)
}

/// Begins, if it is configured where traces go.
///
/// # Errors
///
/// As [`check`].
pub fn start(settings: &TraceSettings, client: HttpClient) -> Result<Option<Parts>, TargetError> {
    let Some(target) = target::Target::of(settings, client)? else { return Ok(None) };
    let (queue, waiting) = mpsc::channel(QUEUE);
    let (end, lost) = (CancellationToken::new(), Arc::default());
    let exporter = export::Exporter::new(target, waiting, end.clone(), Arc::clone(&lost));
    let sending = AbortOnDropHandle::new(tokio::spawn(exporter.run()));
    let sampler = Sampler::new(settings.sample, settings.follow_parent);
    Ok(Some(Parts { sampler, tracer: Tracer { queue, lost }, tracing: Tracing { end, sending } }))
}

impl Bookkeeper for Tracer {
    fn note(&self, record: &Record) {
        // Who was not let in has decided nothing.
        let is_kept = record.route.is_some() && record.trace.as_ref().is_some_and(|trace| trace.sampled);
        if is_kept && self.queue.try_send(record.clone()).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Tracing {
    /// Sends what waits, and no longer than this.
    pub async fn end(self, within: Duration) {
        self.end.cancel();
        if timeout(within, self.sending).await.is_err() {
            warn!(?within, "the last traces could not be sent in time");
        }
    }
}

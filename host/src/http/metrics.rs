//! `/metrics`: what Prometheus is told.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;

use super::error::ApiError;
use super::serve::Connections;
use super::state::AppState;
use crate::accounts::Books;
use crate::telemetry::metrics::{Metrics, Now, Traffic};

/// The format of the text.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is counted while the host serves.
#[derive(Clone, Debug)]
pub struct Counts {
    /// What requests came to.
    pub metrics: Arc<Metrics>,
    /// The requests under way.
    pub books: Arc<Books>,
    /// Those who are connected.
    pub connections: Connections,
}

#[cfg(test)]
impl Counts {
    /// For tests of something else.
    pub(super) fn of_nobody() -> Self {
        let metrics = Metrics::new(Vec::new(), &crate::config::MetricsSettings::default());
        Self { metrics: Arc::new(metrics), books: Arc::default(), connections: Connections::default() }
    }
}

/// Everything that is counted, and everything that is now.
pub(super) async fn tell(State(state): State<AppState>) -> Result<Response, ApiError> {
    // The system's files may be slow to read where thousands of connections are open.
    let text = tokio::task::spawn_blocking(move || {
        let Counts { metrics, books, connections } = &state.counts;
        let (plugins, reloads) = state.manager.vitals();
        let usage = state.usage.counts();
        metrics.text(&Now {
            snapshot: &state.registry.snapshot(),
            plugins: &plugins,
            reloads,
            traffic: Traffic {
                connections: connections.open(),
                requests: books.requests(),
                streams: books.streams(),
            },
            usage: &usage,
            uptime: state.started.elapsed(),
        })
    });
    let text = text.await.map_err(|_| ApiError::internal())?;
    Ok(([(CONTENT_TYPE, PROMETHEUS)], text).into_response())
}

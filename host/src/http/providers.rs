//! `/api/providers`: who is configured, and how they do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::error::{ApiError, timestamp};
use super::layers::RequestId;
use super::state::AppState;
use crate::gateway::find_provider;
use crate::plugins::{Feature, Features};
use crate::providers::{BreakerState, Checked, Condition, Provider};

/// All of them, by priority, then by name.
pub(super) async fn list(State(state): State<AppState>) -> Response {
    let snapshot = state.registry.snapshot();
    let providers: Vec<View<'_>> = snapshot.by_priority().iter().map(|provider| View::of(provider)).collect();
    let body = List {
        total_count: providers.len(),
        healthy_count: providers.iter().filter(|provider| provider.status.can_serve()).count(),
        default_strategy: snapshot.rules.routing.default_strategy.word(),
        providers,
    };
    Json(body).into_response()
}

/// The models of one of them, by its own account: the plugin is asked.
pub(super) async fn models(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    // Only the provider is kept while it answers, not the whole set that it is in.
    let provider = Arc::clone(find_provider(&state.registry.snapshot(), &name)?);
    let list = provider.refresh_models(&state.registry, &request_id).await;
    let list = list.map_err(|error| ApiError::of_provider(provider.name(), &error))?;
    let models: Vec<_> = list.models().iter().map(|model| &**model).collect();
    Ok(Json(json!({ "models": models })).into_response())
}

/// How one of them is: its plugin is asked now.
pub(super) async fn check(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let (provider, limit) = {
        let snapshot = state.registry.snapshot();
        (Arc::clone(find_provider(&snapshot, &name)?), snapshot.rules.health.timeout)
    };
    if !provider.can_be_checked() {
        let details = format!("The plugin of {name} does not support health_check");
        return Err(ApiError::unsupported(details));
    }
    let Checked { condition, reason, took } = provider.check(limit).await;
    let body = json!({
        "name": provider.name(),
        "status": condition,
        "reason": reason,
        "latency_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "timestamp": timestamp(SystemTime::now()),
    });
    Ok(Json(body).into_response())
}

#[derive(Serialize)]
struct List<'a> {
    providers: Vec<View<'a>>,
    total_count: usize,
    healthy_count: usize,
    default_strategy: &'static str,
}

#[derive(Serialize)]
struct View<'a> {
    name: &'a str,
    display_name: &'a str,
    r#type: &'a str,
    plugin: &'a str,
    plugin_version: String,
    generation: u64,
    status: Condition,
    priority: i32,
    models: &'a [String],
    capabilities: Capabilities,
    features: Vec<String>,
    default_model: Option<&'a str>,
    weight: u32,
    api_keys_count: usize,
    api_keys_resting: usize,
    current_key_index: Option<usize>,
    last_rotation: Option<String>,
    breaker: BreakerState,
    in_flight: u64,
    requests_total: u64,
    errors_total: u64,
    latency_ms: Latency,
}

#[derive(Serialize)]
struct Capabilities {
    streaming: bool,
    function_calling: bool,
    vision: bool,
    embeddings: bool,
}

#[derive(Serialize)]
struct Latency {
    p50: Option<f64>,
    p99: Option<f64>,
}

impl<'a> View<'a> {
    fn of(provider: &'a Provider) -> Self {
        let (settings, counters, now) = (&provider.settings, &provider.counters, Instant::now());
        let times = provider.standing.latency.percentiles();
        Self {
            name: &settings.name,
            display_name: &settings.display_name,
            r#type: &provider.plugin.id,
            plugin: &provider.plugin.id,
            plugin_version: provider.plugin.version.to_string(),
            generation: provider.plugin.generation,
            status: provider.condition(),
            priority: settings.priority,
            weight: settings.weight,
            models: &settings.models,
            capabilities: Capabilities::of(&provider.features),
            features: provider.features.words().map(str::to_owned).collect(),
            default_model: settings.model.as_deref(),
            api_keys_count: provider.keys.count(),
            api_keys_resting: provider.keys.resting_count(now),
            current_key_index: provider.keys.current(),
            last_rotation: provider.keys.last_rotation().map(timestamp),
            breaker: provider.standing.breaker.state(now),
            in_flight: counters.in_flight.load(Ordering::Relaxed),
            requests_total: counters.requests.load(Ordering::Relaxed),
            errors_total: counters.errors.load(Ordering::Relaxed),
            latency_ms: Latency { p50: times.map(|times| times.p50), p99: times.map(|times| times.p99) },
        }
    }
}

impl Capabilities {
    fn of(features: &Features) -> Self {
        Self {
            streaming: features.has(Feature::Streaming),
            function_calling: features.has(Feature::FunctionCalling),
            vision: features.has(Feature::Vision),
            embeddings: features.has(Feature::Embeddings),
        }
    }
}

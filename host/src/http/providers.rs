//! `/api/providers`: who is configured, and how they do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use super::error::{ApiError, timestamp};
use super::named::Named;
use super::state::AppState;
use crate::gateway::find_provider;
use crate::plugins::{Feature, Features};
use crate::providers::{BreakerState, Checked, Condition, ModelList, Provider};

/// All of them, by priority, then by name.
pub(super) async fn list(State(state): State<AppState>) -> Response {
    let snapshot = state.registry.snapshot();
    let providers: Vec<View<'_>> = snapshot.by_priority().iter().map(|provider| View::of(provider)).collect();
    let body = List {
        total_count: providers.len(),
        healthy_count: providers.iter().filter(|provider| provider.moment.status.can_serve()).count(),
        default_strategy: snapshot.rules.routing.default_strategy.word(),
        disabled: snapshot.disabled(),
        providers,
    };
    Json(body).into_response()
}

/// How one of them is: its plugin is asked now.
pub(super) async fn check(State(state): State<AppState>, Named(name): Named) -> Result<Response, ApiError> {
    let (provider, limit) = {
        let snapshot = state.registry.snapshot();
        (Arc::clone(find_provider(&snapshot, &name)?), snapshot.rules.health.timeout)
    };
    if !provider.can_be_checked() {
        let details = format!("The plugin of {name} does not support health_check");
        return Err(ApiError::unsupported(details));
    }
    let Checked { condition, reason, took } = provider.check(limit).await;
    let body = Check {
        name: provider.name(),
        status: condition,
        reason,
        latency_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        timestamp: timestamp(SystemTime::now()),
    };
    Ok(Json(body).into_response())
}

/// What came of asking a provider how it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProviderCheck")]
pub(super) struct Check<'a> {
    name: &'a str,
    status: Condition,
    /// Why it is no better.
    reason: Option<String>,
    latency_ms: u64,
    timestamp: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProviderList")]
pub(super) struct List<'a> {
    providers: Vec<View<'a>>,
    total_count: usize,
    healthy_count: usize,
    default_strategy: &'static str,
    /// Those that are switched off, or wait for a key: their names.
    disabled: &'a [String],
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Provider")]
struct View<'a> {
    #[serde(flatten)]
    moment: Moment<'a>,
    display_name: &'a str,
    r#type: &'a str,
    plugin: &'a str,
    plugin_version: String,
    generation: u64,
    priority: i32,
    #[schemars(with = "Vec<String>")]
    models: Models<'a>,
    capabilities: Capabilities,
    features: Vec<String>,
    default_model: Option<&'a str>,
    weight: u32,
    api_keys_count: usize,
    api_keys_resting: usize,
    current_key_index: Option<usize>,
    last_rotation: Option<String>,
}

/// What is another thing in a moment.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProviderMoment")]
pub(super) struct Moment<'a> {
    name: &'a str,
    status: Condition,
    /// Why it is not available.
    reason: Option<String>,
    /// And until when, where that is known.
    until: Option<String>,
    breaker: BreakerState,
    in_flight: u64,
    requests_total: u64,
    errors_total: u64,
    latency_ms: Latency,
}

/// Their ids: those that are configured, else those that its vendor lists.
enum Models<'a> {
    Configured(&'a [String]),
    Listed(Option<Arc<ModelList>>),
}

impl<'a> Models<'a> {
    fn of(provider: &'a Provider) -> Self {
        match &provider.settings.models[..] {
            [] => Self::Listed(provider.listed()),
            configured => Self::Configured(configured),
        }
    }
}

impl Serialize for Models<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Configured(ids) => serializer.collect_seq(*ids),
            Self::Listed(list) => serializer.collect_seq(list.iter().flat_map(|list| list.ids())),
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Capabilities {
    streaming: bool,
    function_calling: bool,
    vision: bool,
    embeddings: bool,
}

#[derive(Serialize, JsonSchema)]
struct Latency {
    p50: Option<f64>,
    p99: Option<f64>,
}

impl<'a> View<'a> {
    fn of(provider: &'a Provider) -> Self {
        let settings = &provider.settings;
        Self {
            moment: Moment::of(provider),
            display_name: &settings.display_name,
            r#type: &provider.plugin.id,
            plugin: &provider.plugin.id,
            plugin_version: provider.plugin.version.to_string(),
            generation: provider.plugin.generation,
            priority: settings.priority,
            weight: settings.weight,
            models: Models::of(provider),
            capabilities: Capabilities::of(&provider.features),
            features: provider.features.words().map(str::to_owned).collect(),
            default_model: settings.model.as_deref(),
            api_keys_count: provider.keys.count(),
            api_keys_resting: provider.keys.resting_count(Instant::now()),
            current_key_index: provider.keys.current(),
            last_rotation: provider.keys.last_rotation().map(timestamp),
        }
    }
}

impl<'a> Moment<'a> {
    pub(super) fn of(provider: &'a Provider) -> Self {
        let (counters, times) = (&provider.counters, provider.standing.latency.percentiles());
        let now = Instant::now();
        let (reason, wait) = provider.why(now).unzip();
        Self {
            name: provider.name(),
            status: provider.condition(),
            reason,
            until: wait.flatten().map(|wait| timestamp(SystemTime::now() + wait)),
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

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
    /// The name of the provider.
    name: &'a str,
    /// How it is.
    status: Condition,
    /// Why it is no better.
    reason: Option<String>,
    /// How long it took to find out, in milliseconds.
    latency_ms: u64,
    /// When it was found out.
    timestamp: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProviderList")]
pub(super) struct List<'a> {
    /// The providers, by priority, then by name.
    providers: Vec<View<'a>>,
    /// How many they are.
    total_count: usize,
    /// How many of them can serve.
    healthy_count: usize,
    /// How one is chosen where a request does not say.
    default_strategy: &'static str,
    /// Those that are switched off, or wait for a key: their names.
    disabled: &'a [String],
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Provider")]
struct View<'a> {
    #[serde(flatten)]
    moment: Moment<'a>,
    /// What people call it.
    display_name: &'a str,
    /// The same as `plugin`.
    r#type: &'a str,
    /// The id of the plugin that it is made from.
    plugin: &'a str,
    /// The plugin's version.
    plugin_version: String,
    /// Which load of the plugin serves it.
    generation: u64,
    /// Those with a smaller one are asked first.
    priority: i32,
    /// The ids of its models: those that are configured, else those that its vendor lists.
    #[schemars(with = "Vec<String>")]
    models: Models<'a>,
    /// What it can do, of what most ask about.
    capabilities: Capabilities,
    /// All that its plugin says that it can do.
    features: Vec<String>,
    /// The model that is asked where a request names none.
    default_model: Option<&'a str>,
    /// Its share of the requests where the strategy is `weighted`.
    weight: u32,
    /// How many keys it has.
    api_keys_count: usize,
    /// How many of them are not used for a while, because upstream refused them or limits them.
    api_keys_resting: usize,
    /// The place of the key that is used next, from 0.
    current_key_index: Option<usize>,
    /// When another key came into use last.
    last_rotation: Option<String>,
}

/// What is another thing in a moment.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProviderMoment")]
pub(super) struct Moment<'a> {
    /// Its name.
    name: &'a str,
    /// How it is.
    status: Condition,
    /// Why it is not available.
    reason: Option<String>,
    /// And until when, where that is known.
    until: Option<String>,
    /// Whether requests go through to it.
    breaker: BreakerState,
    /// Requests under way.
    in_flight: u64,
    /// Requests so far, since the host was started.
    requests_total: u64,
    /// How many of them failed.
    errors_total: u64,
    /// How long its latest answers took, in milliseconds.
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
    /// To answer in pieces.
    streaming: bool,
    /// To call tools.
    function_calling: bool,
    /// To look at pictures.
    vision: bool,
    /// To make vectors of texts.
    embeddings: bool,
}

#[derive(Serialize, JsonSchema)]
struct Latency {
    /// Half of them took no longer.
    p50: Option<f64>,
    /// Of a hundred 99 took no longer.
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

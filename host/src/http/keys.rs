//! `/api/keys`: the keys that this host gives out.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::Value;
use tracing::{info, warn};

use super::audit;
use super::body::{WholeBody, object};
use super::error::{ApiError, Code, timestamp};
use super::named::Named;
use super::state::AppState;
use crate::access::{BookError, KeyPatch, Limits, NewKey, Permits, Rotated, Scope, VirtualKey};
use crate::gateway::find_provider;
use crate::limits::{Spent, recall_again, spent_with_keys};
use crate::plugins::problem::chain;
use crate::providers::Cost;

/// All of them, without what would let anybody in.
pub(super) async fn list(State(state): State<AppState>) -> Response {
    let keys = state.keys.list();
    // What is counted while requests are served is what budgets need; of other keys only the store knows.
    let written = spent_with_keys(&state.usage, SystemTime::now()).await.unwrap_or_else(|error| {
        tracing::warn!(
            problem = chain(&error),
            "what was spent with keys is known without what was written down"
        );
        HashMap::new()
    });
    let spent = |key: &VirtualKey| {
        let written = written.get(key.id.as_str()).copied().unwrap_or_default();
        state.registry.limiter.spent_with(key.hash).max(written)
    };
    let keys: Vec<View<'_>> = keys.iter().map(|key| View::of(key, None, spent(key))).collect();
    Json(List { total_count: keys.len(), keys }).into_response()
}

/// A new one. Its text is in this answer and nowhere else.
pub(super) async fn create(
    State(state): State<AppState>,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let wanted: NewKey = object(&body).map_err(|error| {
        let details = format!("The body is no key to be made: {error}");
        ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidKey, details)
    })?;
    let mut warnings = Vec::new();
    if let Some(other) = state.keys.list().iter().find(|key| key.name == wanted.name.trim()) {
        let (name, id) = (&other.name, &other.id);
        warnings.push(format!("{name:?} is what {id} is called, too: only ids tell them apart"));
    }
    if !state.keys.is_in_use() && state.access.lets_locals_in() {
        warnings.push("From now on applications need a key, on this machine too".to_owned());
    }
    let (key, token) = state.keys.create(wanted, SystemTime::now()).await?;
    info!(id = key.id, name = key.name, scopes = ?key.scopes, "virtual key made");
    warnings.splice(0..0, unheard_of(&state, &key.permits));
    let made = Made { key: View::of(&key, Some(token.expose_secret()), Spent::default()), warnings };
    let id = Extension(audit::Made(key.id.clone()));
    Ok((StatusCode::CREATED, id, Json(made)).into_response())
}

/// Changes a part of one, for the next request that comes with it.
pub(super) async fn change(
    State(state): State<AppState>,
    Named(id): Named,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let refused = |details: String| ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidKey, details);
    let patch: KeyPatch =
        object(&body).map_err(|error| refused(format!("The body changes nothing of a key: {error}")))?;
    if patch.is_empty() {
        let members = "name, scopes, models, providers, limits, expires_in";
        return Err(refused(format!("Say what to change: {members}; null takes a limit away")));
    }
    let limiter = &state.registry.limiter;
    let mut warnings = Vec::new();
    // Before it holds.
    if let Err(problem) = recall_again(limiter, &state.keys, &state.usage).await {
        warn!(problem = chain(&problem), "what was spent with a key could not be read");
        warnings.push("What was spent could not be read: a budget that is new counts from now on".to_owned());
    }
    let key = state.keys.change(&id, &patch, SystemTime::now()).await?;
    info!(id = key.id, name = key.name, scopes = ?key.scopes, "virtual key changed");
    warnings.splice(0..0, unheard_of(&state, &key.permits));
    Ok(Json(Made { key: View::of(&key, None, limiter.spent_with(key.hash)), warnings }).into_response())
}

/// The providers that a key is bound to and that are not there: they may come yet, or be misspelt.
fn unheard_of(state: &AppState, permits: &Permits) -> Vec<String> {
    let snapshot = state.registry.snapshot();
    let in_models = permits.models.iter().filter_map(|model| Some(model.split_once('/')?.0));
    let named = permits.providers.iter().map(String::as_str).chain(in_models);
    let unknown = named.filter_map(|name| find_provider(&snapshot, name).err());
    unknown.map(|error| format!("{error}: the key is good for it once there is one")).collect()
}

/// Gives one another secret, which is in this answer and nowhere else: the next request with the old one is refused.
pub(super) async fn rotate(State(state): State<AppState>, Named(id): Named) -> Result<Response, ApiError> {
    let Rotated { key, before, token } = state.keys.rotate(&id).await?;
    let limiter = &state.registry.limiter;
    limiter.carry_over(before.hash, key.hash);
    info!(id = key.id, name = key.name, "virtual key rotated");
    let view = View::of(&key, Some(token.expose_secret()), limiter.spent_with(key.hash));
    Ok(Json(Made { key: view, warnings: Vec::new() }).into_response())
}

/// Revokes one: the next request that comes with it is refused.
pub(super) async fn revoke(State(state): State<AppState>, Named(id): Named) -> Result<Response, ApiError> {
    let key = state.keys.revoke(&id).await?;
    info!(id = key.id, name = key.name, "virtual key revoked");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A key, without what would let anybody in, and without what is no part of it.
pub(super) fn shown(key: &VirtualKey) -> Value {
    let mut shown = serde_json::to_value(View::of(key, None, Spent::default())).unwrap_or_default();
    if let Some(members) = shown.as_object_mut() {
        members.remove("spent");
    }
    shown
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyList")]
pub(super) struct List<'a> {
    /// The keys, expired ones too.
    keys: Vec<View<'a>>,
    /// How many they are.
    total_count: usize,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MadeKey")]
pub(super) struct Made<'a> {
    #[serde(flatten)]
    key: View<'a>,
    /// What may not be meant.
    warnings: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Key")]
struct View<'a> {
    /// What it is called in paths, and in what was used.
    id: &'a str,
    /// The key itself, where it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    /// What it is called by people.
    name: &'a str,
    /// Enough of it to tell it from others.
    hint: &'a str,
    /// What it is for.
    scopes: &'a [Scope],
    /// The models that it is good for; all where none is named.
    models: &'a [String],
    /// The providers that it is good for; all where none is named.
    providers: &'a [String],
    /// How much may be asked with it.
    limits: Limits,
    /// What was spent with it.
    spent: SpentView,
    /// When it was made.
    created_at: String,
    /// Until when it is good; none where that has no end.
    expires_at: Option<String>,
    /// Whether that is over.
    expired: bool,
}

/// As far as answers had prices.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeySpent")]
struct SpentView {
    /// Since midnight, UTC, in US dollars.
    today_usd: Cost,
    /// Since the first of the month, UTC, in US dollars.
    this_month_usd: Cost,
}

impl<'a> View<'a> {
    fn of(key: &'a VirtualKey, token: Option<&'a str>, spent: Spent) -> Self {
        let time = |millis| timestamp(UNIX_EPOCH + Duration::from_millis(millis));
        Self {
            id: &key.id,
            key: token,
            name: &key.name,
            hint: &key.hint,
            scopes: &key.scopes,
            models: &key.permits.models,
            providers: &key.permits.providers,
            limits: key.limits,
            spent: SpentView { today_usd: spent.day, this_month_usd: spent.month },
            created_at: time(key.created_at),
            expires_at: key.expires_at.map(time),
            expired: key.is_expired(SystemTime::now()),
        }
    }
}

impl From<BookError> for ApiError {
    fn from(error: BookError) -> Self {
        let details = error.to_string();
        match error {
            BookError::Misread(_) => Self::new(StatusCode::BAD_REQUEST, Code::InvalidKey, details),
            BookError::Refused(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidKey, details),
            BookError::Unknown(_) => Self::new(StatusCode::NOT_FOUND, Code::KeyNotFound, details),
            BookError::Store(_) | BookError::Secret(_) | BookError::NoRandom(_) => {
                tracing::error!(problem = chain(&error), "keys not changed");
                let details =
                    "The keys could not be changed: look at the data directory's disk, and at the log";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::StoreUnavailable, details)
            }
        }
    }
}

//! What operators ask of plugins: lists, reloads, on and off.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::audit::Reloaded;
use super::error::{ApiError, Code, query_problem};
use super::named::Named;
use super::state::AppState;
use crate::plugins::{ReloadOptions, ReloadReport, UnknownPlugin};

/// All plugins, refused ones too.
pub(super) async fn list(State(state): State<AppState>) -> Response {
    Json(state.manager.list()).into_response()
}

/// One of them, with its history.
pub(super) async fn one(State(state): State<AppState>, Named(id): Named) -> Result<Response, ApiError> {
    state.manager.get(&id).map(|view| Json(view).into_response()).ok_or_else(|| unknown(&id))
}

/// Nothing else: a misspelt `dry_run` would do what was only to be reported.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReloadQuery {
    /// Only says what would come of it.
    #[serde(default)]
    dry_run: bool,
}

/// Looks at everything anew. The report says what came of it; that the reload ran is a success.
pub(super) async fn reload_all(
    State(state): State<AppState>,
    query: Result<Query<ReloadQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(ReloadQuery { dry_run }) = query.map_err(|error| invalid_query(&error))?;
    let report = state.manager.reload(ReloadOptions { dry_run, only: None, reason: "api" }).await;
    Ok(told(report))
}

/// One plugin is reloaded for real, or not at all.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// Loads one plugin anew.
pub(super) async fn reload(
    State(state): State<AppState>,
    Named(id): Named,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    query.map_err(|error| no_query(&error))?;
    answer(state.manager.reload_plugin(&id).await)
}

/// Turns one plugin on.
pub(super) async fn enable(State(state): State<AppState>, Named(id): Named) -> Result<Response, ApiError> {
    answer(state.manager.set_enabled(&id, true).await)
}

/// Turns one plugin off.
pub(super) async fn disable(State(state): State<AppState>, Named(id): Named) -> Result<Response, ApiError> {
    answer(state.manager.set_enabled(&id, false).await)
}

fn answer(outcome: Result<Arc<ReloadReport>, UnknownPlugin>) -> Result<Response, ApiError> {
    outcome.map(told).map_err(|UnknownPlugin(id)| unknown(&id))
}

fn told(report: Arc<ReloadReport>) -> Response {
    let mut response = Json(&*report).into_response();
    response.extensions_mut().insert(Reloaded(report));
    response
}

fn invalid_query(error: &QueryRejection) -> ApiError {
    let details = format!("{}; dry_run, which is true or false, is all there is", query_problem(error));
    ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, details)
}

fn no_query(error: &QueryRejection) -> ApiError {
    let details = format!("{}; a single plugin has no dry run", query_problem(error));
    ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, details)
}

fn unknown(id: &str) -> ApiError {
    let details = format!("No plugin has the id {id:?}; GET /api/plugins lists them");
    ApiError::new(StatusCode::NOT_FOUND, Code::PluginNotFound, details)
}

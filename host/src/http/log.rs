//! `/api/log`: how much is logged, changed while the host runs.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use super::body::{WholeBody, object};
use super::error::{ApiError, Code, timestamp};
use super::state::AppState;
use crate::telemetry::log::{BadLevel, InForce, Setting};

/// A change for some time that is longer than this was not meant to end.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What is asked for. What is left out stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LogChange")]
pub(super) struct Wanted {
    /// A level, or a filter such as `info,patchbay=debug`.
    level: Option<String>,
    /// Whether there is a line for each request.
    access_log: Option<bool>,
    /// For so long, up to a week, as in `10m`; until the host ends where nothing is said.
    #[serde(rename = "for")]
    within: Option<String>,
}

/// What is set.
pub(super) async fn show(State(state): State<AppState>) -> Response {
    Json(View::of(&state.log.in_force())).into_response()
}

/// Sets it, until the host ends or for some time.
pub(super) async fn change(
    State(state): State<AppState>,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let Wanted { level, access_log, within } = object(&body).map_err(|error| {
        refused(format!("The body says nothing about the log: {error}; send {{\"level\": \"debug\"}}"))
    })?;
    if level.is_none() && access_log.is_none() {
        return Err(refused("Say what to change: \"level\", \"access_log\", or both".to_owned()));
    }
    let within = within.as_deref().map(time).transpose()?;
    // Beforehand: it may be the last line that is written. In JSON a line has a level of its own.
    warn!(filter = level, access_log, within = within.map(tracing::field::debug), "log level is to change");
    let in_force = state.log.change(level.as_deref(), access_log, within)?;
    Ok(Json(View::of(&in_force)).into_response())
}

/// For the audit trail.
pub(super) fn picture(state: &AppState) -> Value {
    serde_json::to_value(View::of(&state.log.in_force())).unwrap_or_default()
}

fn time(text: &str) -> Result<Duration, ApiError> {
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| !time.is_zero() && *time <= LONGEST)
        .ok_or_else(|| refused(format!("{text:?} is not a time of up to a week: write it as in \"10m\"")))
}

fn refused(details: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidLogLevel, details)
}

impl From<BadLevel> for ApiError {
    fn from(error: BadLevel) -> Self {
        refused(error.to_string())
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LogLevel")]
pub(super) struct View<'a> {
    /// The level or filter in force.
    level: &'a str,
    /// Whether there is a line for each request.
    access_log: bool,
    /// What comes back with the next start.
    configured: Part<'a>,
    /// When this ends, if it does.
    until: Option<String>,
    /// And what then comes back.
    then: Option<Part<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LogSetting")]
struct Part<'a> {
    /// The level or filter.
    level: &'a str,
    /// Whether there is a line for each request.
    access_log: bool,
}

impl<'a> View<'a> {
    fn of(in_force: &'a InForce) -> Self {
        let InForce { configured, now, temporary } = in_force;
        let part = |Setting { level, access_log }: &'a Setting| Part { level, access_log: *access_log };
        Self {
            level: &now.level,
            access_log: now.access_log,
            configured: part(configured),
            until: temporary.as_ref().map(|temporary| timestamp(temporary.until)),
            then: temporary.as_ref().map(|temporary| part(&temporary.then)),
        }
    }
}

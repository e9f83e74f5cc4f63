//! The layer in front of operators' routes, which leaves a trail of what they change; and the trail for whoever asks.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{QueryRejection, RawPathParamsRejection};
use axum::extract::{Query, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::request::Parts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{ApiError, Code, query_problem, timestamp};
use super::guesses;
use super::layers::RequestId;
use super::limits;
use super::pictures::Subject;
use super::state::AppState;
use crate::audit::{Change, Entry, Outcome, Seen, Who, changed};
use crate::plugins::{ReloadReport, ReloadStatus};
use crate::services::redact;

/// So many entries are answered with, unless more are asked for.
const USUALLY: u32 = 50;
const AT_MOST: u32 = 500;

/// What the layer knows of the route that it stands in front of.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) state: AppState,
    /// Its method and path.
    pub(super) route: Arc<str>,
    /// What it changes; where it does not say so, its changes are noted without a picture.
    pub(super) subject: Option<Subject>,
}

/// Named by a handler that made something: what it is about was not in the path.
#[derive(Clone, Debug)]
pub(super) struct Made(pub(super) String);

/// Left by a handler that has reloaded: its answer is a success, whatever came of it.
#[derive(Clone, Debug)]
pub(super) struct Reloaded(pub(super) Arc<ReloadReport>);

impl Reloaded {
    /// Adds what the pictures do not show: what is configured otherwise now.
    pub(super) fn complete(&self, before: &mut Value, after: &mut Value) {
        let Self(report) = self;
        if report.dry_run || report.config.is_some() {
            return;
        }
        for setting in report.settings.iter().filter(|setting| !setting.is_known) {
            before["settings"][&setting.pointer] = setting.before.clone();
            after["settings"][&setting.pointer] = setting.after.clone();
        }
    }

    /// Why nothing was changed, if so.
    pub(super) fn failed(&self) -> Option<&'static str> {
        let Self(report) = self;
        let code = if report.config.is_some() { "configuration_invalid" } else { "reload_failed" };
        (report.status == ReloadStatus::Failed).then_some(code)
    }
}

/// Lets operators in; what they change, and whoever is refused, is noted.
pub(super) async fn gate(
    State(gate): State<Gate>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let has_body = !http_body::Body::is_end_stream(&body);
    let target = path.ok().and_then(|path| Some(path.iter().next()?.1.to_owned()));
    let who = match gate.state.access.admin(&parts, has_body) {
        Ok(who) => who,
        Err(refusal) => {
            let who = gate.state.access.who(&parts.headers);
            let mut entry = gate.entry(&parts, who, target.as_deref())?;
            (entry.status, entry.code) = (refusal.status().as_u16(), Some(refusal.code().to_owned()));
            gate.state.trail.note_refusal(entry);
            guesses::hold_back(&gate.state, &parts, &refusal).await;
            return Err(refusal);
        }
    };
    // Whoever goes on for long looks again whether it still may.
    parts.extensions.insert(who.clone());
    if parts.method.is_safe() || gate.subject == Some(Subject::Nothing) {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    let entry = gate.entry(&parts, who, target.as_deref())?;
    let trail = gate.state.trail.clone();
    let change = gate.change(entry, target, Request::from_parts(parts, body), next);
    match trail.see_through(change).await {
        Ok(response) => Ok(response),
        // Whoever is around this contains panics, and tells of them.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ApiError::internal()),
        },
    }
}

impl Gate {
    /// What is known before it is known what comes of it: until then it was refused.
    fn entry(&self, parts: &Parts, who: Who, target: Option<&str>) -> Result<Entry, ApiError> {
        let RequestId(request_id) = parts.extensions.get().ok_or_else(ApiError::internal)?;
        Ok(Entry {
            who,
            address: Some(limits::client(&parts.headers, &parts.extensions, &self.state.trusted_proxies)),
            request_id: Some(request_id.to_string()),
            route: self.route.to_string(),
            // Somebody may have put the key itself where its id belongs.
            target: target.map(|target| redact::clean(target, &[])),
            outcome: Outcome::Refused,
            status: 0,
            code: None,
            change: Change::default(),
            not_noted: 0,
        })
    }

    fn picture(&self, target: Option<&str>) -> Value {
        self.subject.map(|subject| subject.picture(&self.state, target)).unwrap_or_default()
    }

    /// Has the change made. However it ends, there is an entry of it.
    async fn change(self, entry: Entry, target: Option<String>, request: Request, next: Next) -> Response {
        // Held until it is done: another host that takes over waits for that.
        let leave = self.state.readiness.change();
        let before = self.picture(target.as_deref());
        let mut noting = Noting { gate: self, entry: Some(entry) };
        let response = match &leave {
            Ok(_) => next.run(request).await,
            Err(wait) => ApiError::upgrading(*wait).into_response(),
        };
        let made = response.extensions().get::<Made>().map(|Made(name)| name.clone());
        if let Some(mut entry) = noting.entry.take() {
            let target = target.or(made);
            let (mut before, mut after) = (before, noting.gate.picture(target.as_deref()));
            let reloaded = response.extensions().get::<Reloaded>();
            if let Some(reloaded) = reloaded {
                reloaded.complete(&mut before, &mut after);
            }
            let failed = reloaded.and_then(Reloaded::failed);
            entry.change = changed(before, after);
            entry.target = target.map(|target| redact::clean(&target, &[]));
            entry.status = response.status().as_u16();
            let error = response.extensions().get::<ApiError>().map(ApiError::code);
            entry.code = error.or(failed).map(str::to_owned);
            let is_done = response.status().is_success() && failed.is_none();
            entry.outcome = if is_done { Outcome::Done } else { Outcome::Failed };
            noting.gate.state.trail.note(entry);
        }
        response
    }
}

/// An entry that is noted also where the handler panics.
struct Noting {
    gate: Gate,
    entry: Option<Entry>,
}

impl Drop for Noting {
    fn drop(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            let internal = ApiError::internal();
            (entry.status, entry.code) = (internal.status().as_u16(), Some(internal.code().to_owned()));
            entry.outcome = Outcome::Failed;
            self.gate.state.trail.note(entry);
        }
    }
}

/// Nothing else: a misspelt `before` would be answered with the latest.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// So many entries at most; 50 where nothing is said.
    #[schemars(range(min = 1, max = AT_MOST))]
    limit: Option<u32>,
    /// Those before this one: `next_before` of the answer before.
    before: Option<i64>,
}

/// The latest entries, or those before one of them.
pub(super) async fn list(
    State(state): State<AppState>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(ListQuery { limit, before }) = query.map_err(|error| invalid(&query_problem(&error)))?;
    let limit = limit.unwrap_or(USUALLY);
    if !(1..=AT_MOST).contains(&limit) {
        return Err(invalid(&format!("limit is from 1 to {AT_MOST}")));
    }
    // One more than is shown tells whether there are more.
    let mut latest = state.trail.latest(before, limit + 1).await.map_err(|error| {
        tracing::error!(problem = crate::plugins::problem::chain(&error), "audit trail not read");
        let details = "The trail could not be read: look at the data directory's disk, and at the log";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, Code::StoreUnavailable, details)
    })?;
    let is_more = latest.len() > limit as usize;
    latest.truncate(limit as usize);
    let entries: Vec<Listed> = latest.into_iter().map(Listed::from).collect();
    let next_before = entries.last().map(|last| last.id).filter(|_| is_more);
    Ok(Json(List { entries, next_before }).into_response())
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditTrail")]
pub(super) struct List {
    /// The entries, the latest first.
    entries: Vec<Listed>,
    /// What `before` has to be for those that came earlier; none where there are none.
    next_before: Option<i64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
struct Listed {
    /// Later entries have larger ones.
    id: i64,
    /// When it was noted.
    at: String,
    #[serde(flatten)]
    entry: Entry,
}

impl From<(i64, Seen)> for Listed {
    fn from((id, Seen { at, entry }): (i64, Seen)) -> Self {
        Self { id, at: timestamp(at), entry }
    }
}

fn invalid(what: &str) -> ApiError {
    let details = format!("{what}; limit and before, which are numbers, are all there is");
    ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, details)
}

#[cfg(test)]
mod tests;

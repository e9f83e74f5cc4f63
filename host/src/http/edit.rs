//! Providers made, shown, changed and removed while the host runs.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{ETAG, IF_MATCH, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value};

use super::audit::Made;
use super::body::WholeBody;
use super::error::{ApiError, Code};
use super::named::Named;
use super::state::AppState;
use crate::plugins::{EditAction, EditError, ProviderEdit, ProviderView};

/// Makes a provider from an entry as it would stand in the file, with its name beside.
pub(super) async fn create(
    State(state): State<AppState>,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let mut entry = object(&body)?;
    let Some(Value::String(name)) = entry.remove("name") else {
        return Err(bad_request(Code::MissingField, "`name` must be a string"));
    };
    let action = EditAction::Create(entry);
    edit(&state, ProviderEdit { name: name.clone(), action, expected: None }).await?;
    let mut response = show(&state, &name)?;
    *response.status_mut() = StatusCode::CREATED;
    response.extensions_mut().insert(Made(name.clone()));
    if let Ok(location) = HeaderValue::from_str(&format!("/api/providers/{name}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// What is configured for one provider, secrets masked, and where each value comes from.
pub(super) async fn one(State(state): State<AppState>, Named(name): Named) -> Result<Response, ApiError> {
    show(&state, &name)
}

/// Changes some of it; null takes back what was changed before.
pub(super) async fn patch(
    State(state): State<AppState>,
    Named(name): Named,
    headers: HeaderMap,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let action = EditAction::Patch(object(&body)?);
    edit(&state, ProviderEdit { name: name.clone(), action, expected: expected(&headers)? }).await?;
    show(&state, &name)
}

/// Takes one away, for good: one of the file is left out until it is made again.
pub(super) async fn remove(
    State(state): State<AppState>,
    Named(name): Named,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let expected = expected(&headers)?;
    edit(&state, ProviderEdit { name, action: EditAction::Remove, expected }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn edit(state: &AppState, edit: ProviderEdit) -> Result<u64, ApiError> {
    state.manager.edit(edit).await.map_err(ApiError::from)
}

fn show(state: &AppState, name: &str) -> Result<Response, ApiError> {
    let view = state.manager.provider(name).ok_or_else(|| EditError::Unknown(name.to_owned()))?;
    let ProviderView { version, .. } = view;
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).map_err(|_| ApiError::internal())?;
    Ok(([(ETAG, tag)], Json(view)).into_response())
}

fn object(body: &Bytes) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(bad_request(Code::InvalidJson, "The body must be a JSON object")),
        // Without the text itself: there may be a key in it.
        Err(error) => {
            let place = format!("The body is not JSON: line {}, column {}", error.line(), error.column());
            Err(ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidJson, place))
        }
    }
}

/// The version that the client has seen, if it cares.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let value = value.to_str().unwrap_or_default().trim();
    if value == "*" {
        return Ok(None);
    }
    let number = value.trim_matches('"').parse().ok();
    let details = "`If-Match` is the version of the provider, as its `ETag` has it, in quotes, such as \"3\"";
    number.map(Some).ok_or_else(|| bad_request(Code::InvalidIfMatch, details))
}

fn bad_request(code: Code, details: &'static str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, code, details)
}

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        let details = error.to_string();
        let (status, code) = match error {
            EditError::Taken(_) => (StatusCode::CONFLICT, Code::ProviderExists),
            EditError::Unknown(_) => (StatusCode::NOT_FOUND, Code::ProviderNotFound),
            EditError::Stale { .. } => (StatusCode::PRECONDITION_FAILED, Code::StaleVersion),
            EditError::Configuration(_) => (StatusCode::CONFLICT, Code::ConfigurationInvalid),
            EditError::KeyNeeded => (StatusCode::UNPROCESSABLE_ENTITY, Code::KeyNeeded),
            EditError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, Code::EntryInvalid),
            EditError::Refused(problem) => {
                let details = format!("{}: {}", problem.message, problem.hint);
                let code = problem.code.into();
                return Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, details);
            }
            EditError::NotKept(_) | EditError::NoLoader => {
                tracing::error!(problem = crate::plugins::problem::chain(&error), "provider not changed");
                return Self::internal();
            }
        };
        Self::new(status, code, details)
    }
}

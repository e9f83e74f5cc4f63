//! `/api/usage`: who used how much, of what, and when.

// What is asked for.
mod wish;
// What is answered.
mod view;

use std::time::SystemTime;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use self::view::KeyNames;
pub(super) use self::view::{Page, RequestPage};
pub(super) use self::wish::{RecentWish, UsageWish};
use super::error::{ApiError, Code, query_problem};
use super::state::AppState;
use crate::plugins::problem::chain;
use crate::store::StoreError;

/// Sums, by what was asked for.
pub(super) async fn sums(
    State(state): State<AppState>,
    wish: Result<Query<UsageWish>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(wish) = wish.map_err(|error| refused(query_problem(&error)))?;
    let query = wish.query(SystemTime::now(), state.usage.minutes_since()).map_err(refused)?;
    let answer = state.usage.sums(&query).await?;
    let all = answer.groups.iter().map(|(names, _)| names).chain(answer.series.iter().map(|it| &it.names));
    let keys = KeyNames::of(&state, all.filter_map(|names| names.key.as_deref())).await?;
    Ok(Json(Page::of(&query, &answer, &keys)).into_response())
}

/// Single requests, the last that arrived first.
pub(super) async fn requests(
    State(state): State<AppState>,
    wish: Result<Query<RecentWish>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(wish) = wish.map_err(|error| refused(query_problem(&error)))?;
    let found = state.usage.search(&wish.query().map_err(refused)?).await?;
    let keys = KeyNames::of(&state, found.records.iter().filter_map(|record| record.key.as_deref())).await?;
    Ok(Json(RequestPage::of(&found, &keys)).into_response())
}

fn refused(details: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, details)
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let details = match error {
            StoreError::TooMuch => {
                "There is too much in what was asked for: ask for a shorter time, or a longer step"
            }
            _ => "The usage could not be read: look at the data directory's disk, and at the log",
        };
        tracing::warn!(problem = chain(&error), "usage not read");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::StoreUnavailable, details)
    }
}

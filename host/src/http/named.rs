//! Whom or what a path names.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use super::error::{ApiError, not_found};
use super::state::AppState;

/// The one name in a path. What is no text names nothing.
#[derive(Debug)]
pub(super) struct Named(pub(super) String);

impl FromRequestParts<AppState> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(not_found().await),
        }
    }
}

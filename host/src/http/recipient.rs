//! Whoever gets the answer, and what sending it to them takes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, FromRequestParts};
use http::Version;
use http::request::Parts;

use super::connection::Connection;
use super::error::ApiError;
use super::layers::RequestId;
use super::state::AppState;

/// See the module.
#[derive(Debug)]
pub(super) struct Recipient {
    pub(super) request_id: Arc<str>,
    pub(super) connection: Connection,
    pub(super) version: Version,
    /// A stream says that it lives when nothing came for so long.
    pub(super) keep_alive: Duration,
}

impl FromRequestParts<AppState> for Recipient {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        // The listener and the layers give both to every request.
        let missing = |_| ApiError::internal();
        let Extension(RequestId(request_id)) =
            Extension::from_request_parts(parts, state).await.map_err(missing)?;
        let Extension(connection) = Extension::from_request_parts(parts, state).await.map_err(missing)?;
        Ok(Self { request_id, connection, version: parts.version, keep_alive: state.keep_alive })
    }
}

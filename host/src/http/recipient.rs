//! Whoever asks and gets the answer, and what sending it to them takes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, FromRequestParts};
use http::request::Parts;
use http::{StatusCode, Version};

use super::connection::Connection;
use super::error::{ApiError, Code};
use super::layers::RequestId;
use super::state::AppState;
use crate::access::VirtualKey;
use crate::accounts::Tab;
use crate::gateway::Asker;
use crate::limits::Payer;
use crate::services::http::Hops;

/// See the module.
#[derive(Debug)]
pub(super) struct Recipient {
    pub(super) asker: Asker,
    pub(super) connection: Connection,
    pub(super) version: Version,
    /// A stream says that it lives when nothing came for so long.
    pub(super) keep_alive: Duration,
}

/// The virtual key that a request was let in with. Comes as an extension with those that had one.
#[derive(Clone, Debug)]
pub(super) struct LetInBy(pub(super) Arc<VirtualKey>);

/// Whoever asks.
#[derive(Debug)]
pub(super) struct AskedBy(pub(super) Asker);

impl FromRequestParts<AppState> for AskedBy {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, ApiError> {
        // The layers give it to every request.
        let RequestId(request_id) = parts.extensions.get().cloned().ok_or_else(ApiError::internal)?;
        let key = parts.extensions.get::<LetInBy>().map(|LetInBy(key)| Arc::clone(key));
        let tab = parts.extensions.get::<Tab>().cloned().ok_or_else(ApiError::internal)?;
        let payer = parts.extensions.remove::<Payer>();
        let hops = Hops::of(&parts.headers);
        if hops.is_loop() {
            return Err(going_round());
        }
        Ok(Self(Asker { request_id, key, payer, hops, tab }))
    }
}

fn going_round() -> ApiError {
    const DETAILS: &str = "The request has come through this host, or others like it, again and again: some provider's \
                           base_url leads back to where it came from. Take that provider away, or write its vendor's address";
    ApiError::new(StatusCode::LOOP_DETECTED, Code::LoopDetected, DETAILS)
}

impl FromRequestParts<AppState> for Recipient {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        // The listener and the layers give both to every request.
        let missing = |_| ApiError::internal();
        let AskedBy(asker) = AskedBy::from_request_parts(parts, state).await?;
        let Extension(connection) = Extension::from_request_parts(parts, state).await.map_err(missing)?;
        Ok(Self { asker, connection, version: parts.version, keep_alive: state.keep_alive })
    }
}

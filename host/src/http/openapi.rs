//! `/openapi.json`: what may be asked and what is answered, made from the list of routes, the rules in front of
//! them and the types of their bodies. What cannot be made from these is said beside, route by route: without it
//! there is no route.

// What one route is said to be.
mod operation;
// What anybody may be refused with.
mod refusals;
// How refusals look.
mod errors;
// What comes with answers.
mod headers;
// Where in a path somebody is named.
mod paths;
// All of it together.
mod assemble;
// Route by route.
pub(super) mod said;

use std::sync::LazyLock;

use axum::response::Response;
use http::HeaderMap;

pub(super) use self::operation::{Describe, Operation};
use super::all;
use super::dashboard::kept;
use crate::dashboard::Asset;

/// Made when somebody asks first: a host that nobody asks has nothing of it.
static DOCUMENT: LazyLock<Asset> = LazyLock::new(|| {
    let json = serde_json::to_vec(&assemble::document(&all())).unwrap_or_default();
    Asset::new("openapi.json", Box::leak(json.into_boxed_slice()))
});

/// The document's JSON.
pub fn openapi() -> &'static [u8] {
    DOCUMENT.bytes
}

/// The document.
pub(super) async fn document(headers: HeaderMap) -> Response {
    kept(&DOCUMENT, &headers)
}

#[cfg(test)]
mod tests;

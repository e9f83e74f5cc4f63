//! The page at `/`, for people. Its files tell nothing of the host: what they ask for is asked with a token, if need be.

use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};

use super::error::{ApiError, not_found};
use super::named::Named;
use crate::dashboard::{self, Asset};

/// Of this host alone, nothing inline, and no text ever becomes markup or code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The page.
pub(super) async fn page(headers: HeaderMap) -> Result<Response, ApiError> {
    answer(dashboard::asset("index.html"), &headers).await
}

/// The one that shows what may be asked.
pub(super) async fn docs(headers: HeaderMap) -> Result<Response, ApiError> {
    answer(dashboard::asset("docs.html"), &headers).await
}

/// A file that it is made of.
pub(super) async fn asset(Named(name): Named, headers: HeaderMap) -> Result<Response, ApiError> {
    answer(dashboard::asset(&name), &headers).await
}

async fn answer(asset: Option<&'static Asset>, headers: &HeaderMap) -> Result<Response, ApiError> {
    let Some(asset) = asset else { return Err(not_found().await) };
    Ok(([(CONTENT_SECURITY_POLICY, POLICY)], kept(asset, headers)).into_response())
}

/// What is kept, and asked about each time: another version of the host brings other files under the same names.
pub(super) fn kept(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let common =
        [(ETAG, asset.etag.as_str()), (CACHE_CONTROL, "no-cache"), (CONTENT_TYPE, asset.content_type)];
    if is_known(headers, &asset.etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, asset.bytes).into_response()
}

/// Whether the browser has it. Proxies that compress make tags weak ones, which will do here.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

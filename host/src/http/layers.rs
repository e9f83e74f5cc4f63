//! What every request and every answer passes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use tower::Service as _;
use tracing::error;

use super::error::{ApiError, Dialect};
use crate::accounts::{Arrival, Books, Tab};
use crate::identity::new_request_id;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request's id. Comes with every request as an extension.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) Arc<str>);

/// What every request passes on its way to the router, and every answer on its way back. Functions rather than layers
/// of the router's: each of those costs every request as much as parsing it.
pub(super) async fn answer(
    router: Router,
    books: Arc<Books>,
    arrival: Arrival,
    mut request: Request,
) -> Response {
    // 1. The request's id, which every answer carries, and its place in the books.
    let id = id_of(&request);
    let tab = Tab::open(books, Arc::clone(&id), arrival);
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    request.extensions_mut().insert(tab.clone());
    let dialect = Dialect::of_path(request.uri().path());
    // 2. A panic is an answer.
    let mut response = contain_panics(router, request).await;
    // 3. Headers that browsers heed.
    secure(response.headers_mut());
    // 4. Errors get their body, with the id in it.
    let error = response.extensions_mut().remove::<ApiError>();
    tab.answered(response.status().as_u16(), error.as_ref().map(ApiError::code));
    if let Some(error) = error {
        error.render(&mut response, dialect, &id);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn id_of(request: &Request) -> Arc<str> {
    let given = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_sane(id));
    given.map_or_else(new_request_id, Into::into)
}

/// An id from outside goes into logs and headers: short, and of harmless characters.
fn is_sane(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/'))
}

const SECURE: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (CACHE_CONTROL, "no-store"),
];

/// A handler that set one itself knows better.
fn secure(headers: &mut HeaderMap) {
    headers.reserve(SECURE.len() + 1);
    for (name, value) in SECURE {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// A panic of a handler is one failed request.
async fn contain_panics(mut router: Router, request: Request) -> Response {
    let uri = request.uri().clone();
    match AssertUnwindSafe(router.call(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            // The panic hook has logged what and where.
            error!(path = uri.path(), "a request's handler panicked");
            ApiError::internal().into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn ids_from_outside_are_looked_at() {
        for (id, sane) in [
            ("abc-123_x.y:z/1", true),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("é", false),
            (&"x".repeat(129), false),
        ] {
            assert_eq!(is_sane(id), sane, "{id:?}");
        }
        assert!(is_sane(&new_request_id()));
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let panics = || async {
            if true {
                panic!("a secret of the inside");
            }
        };
        let router = Router::new().route("/", axum::routing::get(panics));
        let response = answer(router, Arc::default(), Arrival::default(), Request::new(Body::empty())).await;
        assert_eq!(response.status(), 500);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("internal_error") && !text.contains("secret"), "{text}");
    }
}

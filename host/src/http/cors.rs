//! What browsers are told of pages of other origins: those that are configured may use the application routes.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowHeaders, CorsLayer};
use tracing::warn;

/// Browsers ask again after this long.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Headers of answers that pages may read beside those that they may read anyway.
const EXPOSED: [&str; 17] = [
    "retry-after",
    "x-patchbay-attempts",
    "x-patchbay-budget-remaining-usd",
    "x-patchbay-cost-usd",
    "x-patchbay-model",
    "x-patchbay-provider",
    "x-patchbay-route",
    "x-ratelimit-limit",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-request-id",
];

/// The layer that tells them; none where there are no such origins.
pub(super) fn layer(origins: &[String]) -> Option<CorsLayer> {
    let mut allowed = Vec::with_capacity(origins.len());
    for origin in origins {
        match HeaderValue::try_from(origin) {
            Ok(value) if origin.starts_with("http://") || origin.starts_with("https://") => {
                allowed.push(value);
            }
            // Any page at all could spend then, in the browser of whoever looks at it.
            _ => warn!(origin, "server.cors_origins: this is no origin, such as https://app.example.com"),
        }
    }
    if allowed.is_empty() {
        return None;
    }
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(EXPOSED.map(HeaderName::from_static))
            // A page of the web may ask a host on its reader's own machine, if it is named here.
            .allow_private_network(true)
            .max_age(MAX_AGE),
    )
}

//! The only place that knows statuses, headers and events: routes and layers, on one screen.

// The listener and its connections.
mod connection;
mod serve;
mod unread;
// What handlers share.
mod state;
// What every request passes.
mod access;
mod error;
mod layers;
mod limits;
mod reception;
// What a request brings, who gets the answer, and the answer on its way out.
mod body;
mod frames;
mod recipient;
mod stall;
// The handlers, by audience.
mod chat;
mod cors;
mod cost;
mod credentials;
mod edit;
mod health;
mod keys;
mod log;
mod models;
mod openai;
mod plugins;
mod providers;
mod texts;

pub use access::{StartError, start_check};
pub use reception::Reception;
pub use serve::{Limits, Outcome, Server};
pub use state::{AppState, Readiness};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};

/// The routes that ask providers: of these, books are kept.
const ASKING: [&str; 5] =
    ["/api/chat", "/api/chat/complete", "/v1/chat/completions", "/v1/completions", "/v1/embeddings"];

/// Everything the host answers over HTTP. What is the same for every request is done around it, by `layers::answer`.
pub fn router(state: AppState) -> Router {
    // For applications: what asks providers, and what only tells of them.
    let asking = Router::new()
        .route("/api/chat", post(chat::stream))
        .route("/api/chat/complete", post(chat::complete))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/completions", post(texts::complete))
        .route("/v1/embeddings", post(openai::embeddings))
        .route_layer(from_fn_with_state(state.clone(), access::asking));
    let telling = Router::new()
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{*id}", get(openai::model))
        .route("/api/cost/estimate", post(cost::estimate))
        .route("/api/health", get(health::overview))
        .route("/api/providers", get(providers::list))
        .route_layer(from_fn_with_state(state.clone(), access::application));

    // For operators.
    let admin = Router::new()
        .route("/api/providers/reload", post(plugins::reload_all))
        .route("/api/providers", post(edit::create))
        .route("/api/providers/{name}", get(edit::one).patch(edit::patch).delete(edit::remove))
        .route("/api/providers/{name}/models", get(models::list))
        .route("/api/providers/{name}/models/sync", post(models::sync))
        .route("/api/providers/{name}/health", post(providers::check))
        .route("/api/providers/{name}/credentials/validate", post(credentials::validate))
        .route("/api/keys", get(keys::list).post(keys::create))
        .route("/api/keys/{id}", delete(keys::revoke))
        .route("/api/log", get(log::show).put(log::change))
        .route("/api/plugins", get(plugins::list))
        .route("/api/plugins/{id}", get(plugins::one))
        .route("/api/plugins/{id}/reload", post(plugins::reload))
        .route("/api/plugins/{id}/enable", post(plugins::enable))
        .route("/api/plugins/{id}/disable", post(plugins::disable))
        .route_layer(from_fn_with_state(state.clone(), access::admin));

    // For orchestrators: they tell nothing, so anyone may ask.
    let probes = Router::new().route("/livez", get(health::live)).route("/readyz", get(health::ready));

    // Pages of other origins may use what applications may, where the operator says so.
    let application = asking.merge(telling);
    let application = match cors::layer(&state.cors_origins) {
        // Within the layer, which answers what browsers ask beforehand by a method that no route takes.
        Some(cors) => application.method_not_allowed_fallback(error::method_not_allowed).layer(cors),
        None => application,
    };

    application
        .merge(admin)
        .merge(probes)
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(state)
}

#[cfg(test)]
mod tests;

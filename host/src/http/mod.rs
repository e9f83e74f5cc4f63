//! The only place that knows statuses, headers and events. Every route, on one screen.

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
mod routes;
// What a request brings, who gets the answer, and the answer on its way out.
mod body;
mod frames;
mod recipient;
mod stall;
// The handlers, by audience.
mod audit;
mod chat;
mod cors;
mod cost;
mod credentials;
mod dashboard;
mod edit;
mod events;
mod health;
mod keys;
mod log;
mod metrics;
mod models;
mod openai;
mod pictures;
mod plugins;
mod providers;
mod stats;
mod texts;
mod usage;

pub use access::{StartError, start_check};
pub use metrics::Counts;
pub use reception::Reception;
pub use serve::{Connections, Limits, Outcome, Server};
pub use state::{AppState, Frozen, Parts, Readiness};

use axum::Router;

use self::pictures::Subject::{Key, Log, Models, Nothing, Provider, Set};
use self::routes::Audience::{Anyone, Asking, Operators, Telling};
use self::routes::Route;

/// Everything the host answers over HTTP. What is the same for every request is done around it, by `layers::answer`.
pub fn router(state: AppState) -> Router {
    routes::router(&all(), state)
}

/// The paths of the routes that ask providers.
pub fn asking_paths() -> Vec<&'static str> {
    all().iter().filter(|route| route.audience == Asking).map(|route| route.path).collect()
}

/// Every route there is.
fn all() -> Vec<Route> {
    vec![
        // 1. For applications: what asks providers.
        Asking.post("/api/chat", chat::stream),
        Asking.post("/api/chat/complete", chat::complete),
        Asking.post("/v1/chat/completions", openai::chat),
        Asking.post("/v1/completions", texts::complete),
        Asking.post("/v1/embeddings", openai::embeddings),
        // 2. And what only tells of them.
        Telling.get("/v1/models", openai::models),
        Telling.get("/v1/models/{*id}", openai::model),
        Telling.post("/api/cost/estimate", cost::estimate),
        Telling.get("/api/health", health::overview),
        Telling.get("/api/providers", providers::list),
        // 3. For operators.
        Operators.post("/api/providers/reload", plugins::reload_all).changes(Set),
        Operators.post("/api/providers", edit::create).changes(Provider),
        Operators.get("/api/providers/{name}", edit::one),
        Operators.patch("/api/providers/{name}", edit::patch).changes(Provider),
        Operators.delete("/api/providers/{name}", edit::remove).changes(Provider),
        Operators.get("/api/providers/{name}/models", models::list),
        Operators.post("/api/providers/{name}/models/sync", models::sync).changes(Models),
        Operators.post("/api/providers/{name}/health", providers::check).changes(Nothing),
        Operators.post("/api/providers/{name}/credentials/validate", credentials::validate).changes(Nothing),
        Operators.get("/api/keys", keys::list),
        Operators.post("/api/keys", keys::create).changes(Key),
        Operators.patch("/api/keys/{id}", keys::change).changes(Key),
        Operators.delete("/api/keys/{id}", keys::revoke).changes(Key),
        Operators.get("/api/usage", usage::sums),
        Operators.get("/api/usage/requests", usage::requests),
        Operators.get("/api/log", log::show),
        Operators.put("/api/log", log::change).changes(Log),
        Operators.get("/api/plugins", plugins::list),
        Operators.get("/api/plugins/{id}", plugins::one),
        Operators.post("/api/plugins/{id}/reload", plugins::reload).changes(Set),
        Operators.post("/api/plugins/{id}/enable", plugins::enable).changes(Set),
        Operators.post("/api/plugins/{id}/disable", plugins::disable).changes(Set),
        Operators.get("/api/events", events::listen),
        Operators.get("/metrics", metrics::tell),
        Operators.get("/api/audit", audit::list),
        // 4. For orchestrators.
        Anyone.get("/livez", health::live),
        Anyone.get("/readyz", health::ready),
        // 5. For people: the page, which asks the rest of these.
        Anyone.get("/", dashboard::page),
        Anyone.get("/assets/{name}", dashboard::asset),
    ]
}

#[cfg(test)]
mod tests;

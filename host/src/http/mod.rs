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
mod guesses;
mod layers;
mod limits;
mod reception;
mod routes;
mod safety;
// What all of this is, for whoever asks here.
mod openapi;
// What a request brings, who gets the answer, and the answer on its way out.
mod body;
mod frames;
mod named;
mod recipient;
mod stall;
// What to try with all of it.
mod attempt;
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
mod unasked;
mod usage;

pub use attempt::attempt;
pub use metrics::Counts;
pub use openapi::openapi;
pub use reception::Reception;
pub use safety::{StartError, start_check};
pub use serve::{Connections, LINGER, Limits, Outcome, Server};
pub use state::{AppState, Frozen, Parts, Readiness};
pub use unasked::reload;

use axum::Router;

use self::openapi::said;
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
        Asking.post("/api/chat", chat::stream, said::asking::chat),
        Asking.post("/api/chat/complete", chat::complete, said::asking::complete),
        Asking.post("/v1/chat/completions", openai::chat, said::asking::openai_chat),
        Asking.post("/v1/completions", texts::complete, said::asking::openai_texts),
        Asking.post("/v1/embeddings", openai::embeddings, said::asking::openai_embeddings),
        // 2. And what only tells of them.
        Telling.get("/v1/models", openai::models, said::telling::models),
        Telling.get("/v1/models/{*id}", openai::model, said::telling::model),
        Telling.post("/api/cost/estimate", cost::estimate, said::telling::estimate),
        Telling.get("/api/health", health::overview, said::telling::health),
        Telling.get("/api/providers", providers::list, said::telling::list),
        // 3. For operators.
        Operators.post("/api/providers/reload", plugins::reload_all, said::plugins::reload_all).changes(Set),
        Operators.post("/api/providers", edit::create, said::providers::create).changes(Provider),
        Operators.get("/api/providers/{name}", edit::one, said::providers::one),
        Operators.patch("/api/providers/{name}", edit::patch, said::providers::patch).changes(Provider),
        Operators.delete("/api/providers/{name}", edit::remove, said::providers::remove).changes(Provider),
        Operators.get("/api/providers/{name}/models", models::list, said::providers::list_models),
        Operators
            .post("/api/providers/{name}/models/sync", models::sync, said::providers::sync_models)
            .changes(Models),
        Operators
            .post("/api/providers/{name}/health", providers::check, said::providers::check)
            .changes(Nothing),
        Operators
            .post(
                "/api/providers/{name}/credentials/validate",
                credentials::validate,
                said::providers::validate,
            )
            .changes(Nothing),
        Operators.get("/api/keys", keys::list, said::keys::list),
        Operators.post("/api/keys", keys::create, said::keys::create).changes(Key),
        Operators.patch("/api/keys/{id}", keys::change, said::keys::change).changes(Key),
        Operators.delete("/api/keys/{id}", keys::revoke, said::keys::revoke).changes(Key),
        Operators.post("/api/keys/{id}/rotate", keys::rotate, said::keys::rotate).changes(Key),
        Operators.get("/api/usage", usage::sums, said::usage::sums),
        Operators.get("/api/usage/requests", usage::requests, said::usage::requests),
        Operators.get("/api/log", log::show, said::host::log),
        Operators.put("/api/log", log::change, said::host::change_log).changes(Log),
        Operators.get("/api/plugins", plugins::list, said::plugins::list),
        Operators.get("/api/plugins/{id}", plugins::one, said::plugins::one),
        Operators.post("/api/plugins/{id}/reload", plugins::reload, said::plugins::reload).changes(Set),
        Operators.post("/api/plugins/{id}/enable", plugins::enable, said::plugins::enable).changes(Set),
        Operators.post("/api/plugins/{id}/disable", plugins::disable, said::plugins::disable).changes(Set),
        Operators.get("/api/events", events::listen, said::host::events),
        Operators.get("/metrics", metrics::tell, said::host::metrics),
        Operators.get("/api/audit", audit::list, said::host::trail),
        // 4. For orchestrators.
        Anyone.get("/livez", health::live, said::host::live),
        Anyone.get("/readyz", health::ready, said::host::ready),
        // 5. For people: the pages, which ask the rest of these, and what one of them shows.
        Anyone.get("/", dashboard::page, said::people::dashboard),
        Anyone.get("/docs", dashboard::docs, said::people::docs),
        Anyone.get("/openapi.json", openapi::document, said::people::document),
        Anyone.get("/assets/{name}", dashboard::asset, said::people::asset),
    ]
}

#[cfg(test)]
mod tests;

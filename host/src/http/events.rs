//! `/api/events`: what happens to the host, as server-sent events.

use std::io;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Version};
use serde::Deserialize;
use tokio::time::timeout;

use super::connection::Connection;
use super::error::ApiError;
use super::stall::Stalling;
use super::state::AppState;
use crate::audit::Who;
use crate::events::{Listener, Told, TooMany, Topic};

/// Whoever loses the connection comes back after this long, in milliseconds.
const HELLO: Bytes = Bytes::from_static(b"retry: 2000\n\n");

/// Nothing else: a misspelt `types` would be answered with everything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    types: Option<String>,
}

/// What is kept, or what came after the event that the client has heard last, and then whatever happens.
pub(super) async fn listen(
    State(state): State<AppState>,
    Extension(connection): Extension<Connection>,
    Extension(who): Extension<Who>,
    version: Version,
    headers: HeaderMap,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(EventsQuery { types }) = query.map_err(|error| invalid(error.body_text()))?;
    let topics = match types.as_deref() {
        None | Some("") => Topic::ALL.to_vec(),
        Some(words) => words.split(',').map(topic).collect::<Result<_, _>>()?,
    };
    let listener = state.manager.events().listen(topics, last_heard(&headers)?)?;
    let body = body(state, who, listener, &connection, version);
    Ok(([(CONTENT_TYPE, "text/event-stream")], body).into_response())
}

fn body(state: AppState, who: Who, listener: Listener, connection: &Connection, version: Version) -> Body {
    let pieces = stream::unfold((state, who, listener), |(state, who, mut listener)| async {
        let told = match timeout(state.keep_alive, listener.next()).await {
            Ok(told) => piece(&told?),
            // With the id, so that who comes back is not told anew what it has left out.
            Err(_) => format!(": keep-alive\nid: {}\n\n", listener.heard()).into(),
        };
        // A key that was revoked meanwhile ends this, too.
        let may_hear = who.key_id().is_none_or(|id| state.keys.is_good(id, SystemTime::now()));
        may_hear.then_some((Ok::<_, io::Error>(told), (state, who, listener)))
    });
    let pieces = stream::once(async { Ok(HELLO) }).chain(pieces);
    if version == Version::HTTP_2 {
        Body::from_stream(Stalling::new(pieces.boxed(), connection.stall_limit))
    } else {
        // There the connection notices whoever does not read.
        Body::from_stream(pieces)
    }
}

/// JSON of this host has no line ends in it, so one line of data will do.
fn piece(told: &Told) -> Bytes {
    match told {
        Told::Event(event) => {
            let json = String::from_utf8_lossy(&event.json);
            format!("id: {}\nevent: {}\ndata: {json}\n\n", event.id, event.topic.word()).into()
        }
        Told::Missed { count } => {
            let json = serde_json::json!({ "type": "missed", "count": count });
            format!("event: missed\ndata: {json}\n\n").into()
        }
    }
}

fn topic(word: &str) -> Result<Topic, ApiError> {
    let found = Topic::ALL.into_iter().find(|topic| topic.word() == word.trim());
    found.ok_or_else(|| invalid(format!("There are no events of the type {word:?}")))
}

/// As a browser sends it when it comes back.
fn last_heard(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|value| value.trim().parse().ok());
    let details = "The header `last-event-id` is the `id` of the last event that was heard, a number";
    let short = "Invalid Last-Event-ID";
    id.map(Some)
        .ok_or_else(|| ApiError::new(StatusCode::BAD_REQUEST, "invalid_last_event_id", short, details))
}

fn invalid(what: impl std::fmt::Display) -> ApiError {
    let words = Topic::ALL.map(Topic::word).join(", ");
    let details = format!("{what}; types, a list with commas of {words}, is all there is");
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", "Invalid query", details)
}

impl From<TooMany> for ApiError {
    fn from(too_many: TooMany) -> Self {
        let (status, short) = (StatusCode::SERVICE_UNAVAILABLE, "Too many listeners");
        Self::new(status, "too_many_listeners", short, too_many.to_string())
    }
}

#[cfg(test)]
mod tests;

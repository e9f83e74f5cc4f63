//! `/api/events`: what happens to the host, as server-sent events.

use std::io;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::connection::Connection;
use super::error::{ApiError, Code, query_problem};
use super::stall::Stalling;
use super::state::AppState;
use super::stats;
use crate::audit::Who;
use crate::events::{Listener, Told, TooMany, Topic};

/// Whoever loses the connection comes back after this long, in milliseconds.
const HELLO: Bytes = Bytes::from_static(b"retry: 2000\n\n");

/// What moves all the time is no event of its own: whoever asks for it gets the figures this often.
const STATS: &str = "stats";
const STATS_EVERY: Duration = Duration::from_secs(2);

/// Nothing else: a misspelt `types` would be answered with everything.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Which events: a list with commas of `reload`, `provider`, `plugin`, `config`, `audit` and, every two seconds,
    /// `stats`. All but the last where nothing is said.
    #[schemars(regex(pattern = "^((reload|provider|plugin|config|audit|stats)(,|$))*$"))]
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
    let Query(EventsQuery { types }) = query.map_err(|error| invalid(query_problem(&error)))?;
    let (mut topics, mut with_stats) = (Topic::ALL.to_vec(), false);
    if let Some(words) = types.filter(|words| !words.is_empty()) {
        let (stats, words): (Vec<_>, Vec<_>) = words.split(',').map(str::trim).partition(|it| *it == STATS);
        with_stats = !stats.is_empty();
        topics = words.into_iter().map(topic).collect::<Result<_, _>>()?;
    }
    let listener = state.manager.events().listen(topics, last_heard(&headers)?)?;
    let listening = Listening { listener, state, who, ticks: with_stats.then(ticks) };
    let body = body(listening, &connection, version);
    Ok(([(CONTENT_TYPE, "text/event-stream")], body).into_response())
}

/// One client's stream.
struct Listening {
    listener: Listener,
    state: AppState,
    who: Who,
    /// When the figures are due, for whoever wants them.
    ticks: Option<Interval>,
}

fn ticks() -> Interval {
    let mut ticks = interval(STATS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

impl Listening {
    async fn next(&mut self) -> Option<Bytes> {
        let Self { listener, state, who, ticks } = self;
        let due = async {
            match ticks {
                Some(ticks) => ticks.tick().await,
                None => std::future::pending().await,
            }
        };
        let piece = tokio::select! {
            biased;
            told = timeout(state.keep_alive, listener.next()) => match told {
                Ok(told) => piece(&told?),
                // With the id, so that who comes back is not told anew what it has left out.
                Err(_) => format!(": keep-alive\nid: {}\n\n", listener.heard()).into(),
            },
            _ = due => stats::event(state, listener.heard()),
        };
        // A key that was revoked meanwhile ends this, too.
        let may_hear = who.key_id().is_none_or(|id| state.keys.is_good(id, SystemTime::now()));
        may_hear.then_some(piece)
    }
}

fn body(listening: Listening, connection: &Connection, version: Version) -> Body {
    let pieces = stream::unfold(listening, |mut listening| async move {
        let piece = listening.next().await?;
        Some((Ok::<_, io::Error>(piece), listening))
    });
    let pieces = stream::once(async { Ok(HELLO) }).chain(pieces);
    if version == Version::HTTP_2 {
        Body::from_stream(Stalling::new(pieces.boxed(), connection.clone()))
    } else {
        // There the connection notices whoever does not read.
        Body::from_stream(pieces)
    }
}

/// So many events are not told; none where nobody knows how many.
#[derive(Serialize, JsonSchema)]
pub(super) struct Missed {
    /// The kind of event.
    r#type: &'static str,
    /// How many were not told.
    count: Option<u64>,
}

/// JSON of this host has no line ends in it, so one line of data will do.
fn piece(told: &Told) -> Bytes {
    match told {
        Told::Event(event) => {
            let json = String::from_utf8_lossy(&event.json);
            format!("id: {}\nevent: {}\ndata: {json}\n\n", event.id, event.topic.word()).into()
        }
        Told::Missed { count } => {
            let missed = Missed { r#type: "missed", count: *count };
            let json = serde_json::to_string(&missed).unwrap_or_default();
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
    id.map(Some).ok_or_else(|| ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidLastEventId, details))
}

fn invalid(what: impl std::fmt::Display) -> ApiError {
    let words = Topic::ALL.map(Topic::word).join(", ");
    let details = format!("{what}; types, a list with commas of {words} and {STATS}, is all there is");
    ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, details)
}

impl From<TooMany> for ApiError {
    fn from(too_many: TooMany) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::TooManyListeners, too_many.to_string())
    }
}

#[cfg(test)]
mod tests;

//! The provider that dies. Until it is told to hold, it answers everybody.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::harness::scripted::script::{answer, done, role, says};
use crate::harness::{Mortal, PATIENCE};

/// What it says, in three pieces.
pub const WORDS: &str = "one two three";

pub struct First {
    mortal: Mortal,
    state: Arc<watch::Sender<Held>>,
}

/// Whom it holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// Whether it holds whoever comes.
    on: bool,
    streams: usize,
    whole: usize,
    /// Those streams that have a word already.
    pub begun: usize,
}

impl First {
    pub fn start() -> Self {
        let state = Arc::new(watch::Sender::new(Held::default()));
        let router = Router::new().route("/v1/chat/completions", post(chat)).with_state(Arc::clone(&state));
        Self { mortal: Mortal::start(router), state }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.mortal.address())
    }

    /// From now on, nobody gets to the end of an answer.
    pub fn hold(&self) {
        self.state.send_modify(|held| held.on = true);
    }

    /// Waits until so many are held.
    pub async fn holds(&self, count: usize) -> Held {
        let mut state = self.state.subscribe();
        let all = timeout(PATIENCE, state.wait_for(|held| held.streams + held.whole == count)).await;
        *all.expect("all clients to be held").unwrap()
    }

    pub async fn kill(&mut self) {
        self.mortal.kill().await;
    }

    /// Answers everybody again.
    pub fn revive(&mut self) {
        self.state.send_replace(Held::default());
        self.mortal.revive();
    }
}

async fn chat(State(state): State<Arc<watch::Sender<Held>>>, Json(asked): Json<Value>) -> Response {
    let streamed = asked["stream"] == true;
    let body = if streamed {
        vec![role(), says("one"), says(" two"), says(" three"), done()]
    } else {
        // Cut amid a word.
        let whole = answer(WORDS);
        let (start, end) = whole.split_at(whole.len() / 2);
        vec![start.to_owned(), end.to_owned()]
    };
    let kind = if streamed { "text/event-stream" } else { "application/json" };
    let Some(pieces) = pieces_before_it_holds(&state, streamed) else {
        let pieces = stream::iter(body).then(async |piece| {
            // Others have a turn, and it may die between any two pieces.
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(piece)
        });
        return ([("content-type", kind)], Body::from_stream(pieces)).into_response();
    };
    let Some(pieces) = pieces else { std::future::pending().await };
    let pieces = body.into_iter().take(pieces).map(|piece| Ok::<_, Infallible>(Bytes::from(piece)));
    let pieces = stream::iter(pieces).chain(stream::pending());
    ([("content-type", kind)], Body::from_stream(pieces)).into_response()
}

/// None to whoever is not held. Of those who are, some get no head, some a head and so many pieces after it.
fn pieces_before_it_holds(state: &watch::Sender<Held>, streamed: bool) -> Option<Option<usize>> {
    let mut pieces = None;
    state.send_modify(|held| {
        if !held.on {
            return;
        }
        let count = if streamed { &mut held.streams } else { &mut held.whole };
        // The first piece of a stream has no word in it; the second has.
        let places: &[_] =
            if streamed { &[None, Some(0), Some(1), Some(2)] } else { &[None, Some(0), Some(1)] };
        let place = places[*count % places.len()];
        *count += 1;
        held.begun += usize::from(streamed && place == Some(2));
        pieces = Some(place);
    });
    pieces
}

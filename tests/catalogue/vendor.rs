//! A vendor that lists what it is told to, and counts how often it is asked.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::harness::PATIENCE;

/// See the module. Ends when it is dropped.
pub struct Vendor {
    base_url: String,
    state: Arc<watch::Sender<Asked>>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Clone, Debug)]
struct Asked {
    status: u16,
    answer: String,
    /// Whether it says nothing for now.
    silent: bool,
    /// How often it was asked for its models.
    times: usize,
}

impl Vendor {
    pub async fn listing(models: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Asked { status: 200, answer: list(models), silent: false, times: 0 };
        let state = Arc::new(watch::Sender::new(asked));
        let router = Router::new()
            .route("/v1/models", get(models_of))
            .route("/v1/chat/completions", post(chat))
            .with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base_url, state, _serving: AbortOnDropHandle::new(serving) }
    }

    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// From now on it lists these.
    pub fn lists(&self, models: &[&str]) {
        self.answers(200, &list(models));
    }

    /// From now on it answers this, whatever it is.
    pub fn answers(&self, status: u16, answer: &str) {
        self.state.send_modify(|asked| {
            (asked.status, asked.answer) = (status, answer.to_owned());
        });
    }

    /// From now on it says nothing, or goes on.
    pub fn is_silent(&self, silent: bool) {
        self.state.send_modify(|asked| asked.silent = silent);
    }

    /// How often it was asked for its models.
    pub fn asked(&self) -> usize {
        self.state.borrow().times
    }

    /// Waits until it was asked so often.
    pub async fn is_asked(&self, times: usize) {
        let mut asked = self.state.subscribe();
        let there = timeout(PATIENCE, asked.wait_for(|asked| asked.times >= times)).await.is_ok();
        assert!(there, "waited in vain to be asked: {:?}", self.state.borrow());
    }
}

/// A list as most vendors have it.
pub fn list(models: &[&str]) -> String {
    let models: Vec<Value> = models.iter().map(|id| json!({ "id": id, "object": "model" })).collect();
    json!({ "object": "list", "data": models }).to_string()
}

async fn models_of(State(state): State<Arc<watch::Sender<Asked>>>) -> Response {
    state.send_modify(|asked| asked.times += 1);
    let mut asked = state.subscribe();
    let asked = asked.wait_for(|asked| !asked.silent).await.unwrap().clone();
    (StatusCode::from_u16(asked.status).unwrap(), asked.answer).into_response()
}

async fn chat() -> Response {
    json!({
        "id": "c1", "object": "chat.completion", "created": 7, "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" }],
        "usage": {
            "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
            "prompt_tokens_details": { "cached_tokens": 600 },
        },
    })
    .to_string()
    .into_response()
}

//! A server that speaks OpenAI's chat API, for providers with a plan: what it is asked it notes, and what it
//! answers depends on the model that it is asked for.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

// What it answers.
mod answers;

pub use answers::{
    ODD_CHUNKS, ODD_EMBEDDINGS, ODD_TEXT, ODD_TEXT_CHUNKS, ODD_TEXT_USAGE, ODD_USAGE, ODD_WHOLE,
};

/// See the module. Ends when it is dropped.
pub struct Upstream {
    address: String,
    shared: Arc<Shared>,
    _serving: AbortOnDropHandle<()>,
}

struct Shared {
    requests: Mutex<Vec<(HeaderMap, Value)>>,
    /// The bodies as they came.
    bodies: Mutex<Vec<String>>,
    /// Each permit lets one chunk of one gated stream go.
    gate: Semaphore,
    /// How many streams are open.
    open: watch::Sender<usize>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            bodies: Mutex::default(),
            gate: Semaphore::new(0),
            open: watch::Sender::new(0),
        });
        let router = Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/completions", post(texts))
            .route("/v1/embeddings", post(embeddings))
            // For tests in other languages: what this type's methods do.
            .route("/seen", get(seen))
            .route("/release/{chunks}", post(release))
            .route("/open/{expected}", get(open))
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, _serving: AbortOnDropHandle::new(serving) }
    }

    /// What goes into `base_url`.
    pub fn base_url(&self) -> &str {
        &self.address
    }

    /// The requests so far: their headers, and their bodies.
    pub fn requests(&self) -> Vec<(HeaderMap, Value)> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The bodies so far, byte for byte.
    pub fn bodies(&self) -> Vec<String> {
        self.shared.bodies.lock().unwrap().clone()
    }

    /// Lets so many chunks of `gated` streams go.
    pub fn release(&self, chunks: usize) {
        self.shared.gate.add_permits(chunks);
    }

    /// Waits until so many streams are open.
    pub async fn open_streams(&self, expected: usize) {
        self.shared.open_streams(expected).await;
    }
}

impl Shared {
    fn note(&self, headers: HeaderMap, body: &Bytes) -> Value {
        let json: Value = serde_json::from_slice(body).unwrap();
        self.bodies.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
        self.requests.lock().unwrap().push((headers, json.clone()));
        json
    }

    async fn open_streams(&self, expected: usize) {
        self.open.subscribe().wait_for(|open| *open == expected).await.unwrap();
    }
}

async fn seen(State(shared): State<Arc<Shared>>) -> Json<Vec<Value>> {
    Json(shared.requests.lock().unwrap().iter().map(|(_, body)| body.clone()).collect())
}

async fn release(State(shared): State<Arc<Shared>>, Path(chunks): Path<usize>) -> Json<Value> {
    shared.gate.add_permits(chunks);
    Json(Value::Null)
}

async fn open(State(shared): State<Arc<Shared>>, Path(expected): Path<usize>) -> Json<Value> {
    shared.open_streams(expected).await;
    Json(Value::Null)
}

async fn embeddings(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let asked = shared.note(headers, &body);
    match asked["model"].as_str() {
        Some("vectors") => answers::vectors(&asked).to_string().into_response(),
        _ => ODD_EMBEDDINGS.into_response(),
    }
}

async fn chat(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let body = shared.note(headers.clone(), &body);
    // Tests whose providers all offer one model tell them apart by a header.
    let named = headers.get("x-answer-as").map(|name| name.to_str().unwrap());
    let model = named.or(body["model"].as_str()).unwrap_or_default().to_owned();
    let key =
        headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    match model.as_str() {
        // As careless as some are: the key comes back in the error.
        "refuses" => {
            let message = format!("Incorrect API key provided: {key}");
            (StatusCode::UNAUTHORIZED, json!({ "error": { "message": message } }).to_string()).into_response()
        }
        "fails" => {
            let message = format!("internal error while serving {key}");
            (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": { "message": message } }).to_string())
                .into_response()
        }
        "limits" => limited(),
        "objects" => {
            let body = json!({ "error": { "message": "no such thing" } }).to_string();
            (StatusCode::BAD_REQUEST, body).into_response()
        }
        model if model.starts_with("says-") => answers::error(model, "says-", true),
        model if model.starts_with("only-says-") => answers::error(model, "only-says-", false),
        "odd" if body["stream"] == true => odd_events(&ODD_CHUNKS, ODD_USAGE),
        "odd" => ODD_WHOLE.into_response(),
        // Open for as long as somebody waits for it.
        "silent" => {
            let _open = Open::new(shared);
            std::future::pending().await
        }
        _ if body["stream"] == true => events(shared, &body, answers::events(&body)),
        _ => answers::whole(&body).to_string().into_response(),
    }
}

async fn texts(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let body = shared.note(headers, &body);
    match body["model"].as_str().unwrap_or_default() {
        "limits" => limited(),
        model if model.starts_with("says-") => answers::error(model, "says-", true),
        "odd" if body["stream"] == true => odd_events(&ODD_TEXT_CHUNKS, ODD_TEXT_USAGE),
        "odd" => ODD_TEXT.into_response(),
        _ if body["stream"] == true => events(shared, &body, answers::text_events(&body)),
        _ => answers::text(&body).to_string().into_response(),
    }
}

fn limited() -> Response {
    let body = json!({ "error": { "message": "slow down" } }).to_string();
    (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], body).into_response()
}

fn odd_events(chunks: &[&str], usage: &str) -> Response {
    let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
    let events = format!("{events}data: {usage}\n\ndata: [DONE]\n\n");
    ([("content-type", "text/event-stream")], events).into_response()
}

fn events(shared: Arc<Shared>, asked: &Value, events: Vec<String>) -> Response {
    let gated = asked["model"] == "gated";
    let counted = Open::new(Arc::clone(&shared));
    let stream = futures_util::stream::unfold((events.into_iter(), counted), move |(mut events, counted)| {
        let shared = Arc::clone(&shared);
        async move {
            let event = events.next()?;
            if gated {
                shared.gate.acquire().await.unwrap().forget();
            }
            Some((Ok::<_, Infallible>(event), (events, counted)))
        }
    });
    ([("content-type", "text/event-stream")], Body::from_stream(stream)).into_response()
}

/// Counts a stream as open for as long as somebody reads it.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.open.send_modify(|open| *open += 1);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

//! A server that speaks OpenAI's chat API, for providers with a plan: what it is asked it notes, and what it
//! answers depends on the model that it is asked for.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

/// What `odd` answers: members that nobody knows, and JSON that no library would write this way.
pub const ODD_WHOLE: &str = r#"{ "id":"o-1","object":"chat.completion" ,"created":1,"model":"odd-2","x_own":{"n":1.50,"b":[ ]},
  "choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}],"x":"\u00e9"},"logprobs":null,"finish_reason":"tool_calls"}],
  "usage":{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4,"x_cached":1e0}}"#;

/// What `odd` streams.
pub const ODD_CHUNKS: [&str; 3] = [
    r#"{"id":"o-1","object":"chat.completion.chunk","created":1,"model":"odd-2","choices":[ {"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null} ],"usage":null}"#,
    r#"{"id":"o-1","object":"chat.completion.chunk","created":1,"model":"odd-2","choices":[{"index":0,"delta":{"content":"\u00e9 a","x":1.50},"finish_reason":null}], "x_own" : {"kept":[ ]}}"#,
    r#"{"id":"o-1","object":"chat.completion.chunk","created":1,"model":"odd-2","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
];

/// And then this.
pub const ODD_USAGE: &str = r#"{"id":"o-1","object":"chat.completion.chunk","created":1,"model":"odd-2","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4,"x_cached":1e0}}"#;

/// The vectors, for whatever model.
pub const ODD_EMBEDDINGS: &str = r#"{"object":"list", "data":[{"object":"embedding","index":0,"embedding":[0.50,-1e-3]}],"model":"embed-2","usage":{"prompt_tokens":2,"total_tokens":2},"x":1}"#;

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
            .route("/v1/embeddings", post(embeddings))
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
        self.shared.open.subscribe().wait_for(|open| *open == expected).await.unwrap();
    }
}

impl Shared {
    fn note(&self, headers: HeaderMap, body: &Bytes) -> Value {
        let json: Value = serde_json::from_slice(body).unwrap();
        self.bodies.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
        self.requests.lock().unwrap().push((headers, json.clone()));
        json
    }
}

async fn embeddings(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    shared.note(headers, &body);
    ODD_EMBEDDINGS.into_response()
}

async fn chat(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let body = shared.note(headers.clone(), &body);
    let model = body["model"].as_str().unwrap_or_default().to_owned();
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
        "limits" => {
            let body = json!({ "error": { "message": "slow down" } }).to_string();
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], body).into_response()
        }
        "objects" => {
            let body = json!({ "error": { "message": "no such thing" } }).to_string();
            (StatusCode::BAD_REQUEST, body).into_response()
        }
        "odd" if body["stream"] == true => {
            let events: String = ODD_CHUNKS.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
            let events = format!("{events}data: {ODD_USAGE}\n\ndata: [DONE]\n\n");
            ([("content-type", "text/event-stream")], events).into_response()
        }
        "odd" => ODD_WHOLE.into_response(),
        model if body["stream"] == true => events(shared, model.to_owned()),
        model => whole(model).to_string().into_response(),
    }
}

fn whole(model: &str) -> Value {
    json!({
        "id": "up-1", "object": "chat.completion", "created": 1, "model": model, "x_own": { "kept": true },
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "a b c" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4 },
    })
}

fn events(shared: Arc<Shared>, model: String) -> Response {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        let chunk =
            json!({ "id": "up-1", "object": "chat.completion.chunk", "model": model, "choices": [choice] });
        format!("data: {chunk}\n\n")
    };
    let mut events: Vec<String> =
        ["a", " b", " c"].map(|text| chunk(json!({ "content": text }), Value::Null)).into();
    if model != "cut" {
        events.push(chunk(json!({}), json!("stop")));
        events.push("data: [DONE]\n\n".to_owned());
    }
    let gated = model == "gated";
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

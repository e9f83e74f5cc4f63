//! Vendors that answer what stands in the table, and note what they were asked.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::table::{self, DIALECTS, Failure, Framing, Way};

/// All of them on one port: which dialect and which case is asked for stands in the address. Ends when it is dropped.
pub struct Vendor {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: AbortOnDropHandle<()>,
}

/// A request that a vendor got.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The folder that it came to: dialect, case, way.
    pub folder: String,
    /// The rest of the path.
    pub path: String,
    headers: HeaderMap,
    pub body: Value,
}

impl Asked {
    /// The key, if it stands in this header.
    pub fn key(&self, header: &str) -> &str {
        let value = self.headers.get(header).map(|value| value.to_str().unwrap()).unwrap_or_default();
        value.strip_prefix("Bearer ").unwrap_or(value)
    }

    /// Whether it wants a stream, in whichever dialect.
    pub fn way(&self) -> Way {
        let streams = self.path.contains(":streamGenerateContent") || self.body["stream"] == true;
        if streams { Way::Stream } else { Way::Whole }
    }
}

impl Vendor {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&asked));
        // So that pieces go as they are, and not together with those that follow.
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked, _serving: AbortOnDropHandle::new(serving) }
    }

    /// Where this dialect is spoken about this case.
    pub fn base_url(&self, dialect: &str, case: &str, way: Way) -> String {
        format!("{}/{dialect}/{case}/{}", self.address, way.name())
    }

    /// All that was asked there so far.
    pub fn asked(&self, dialect: &str, case: &str, way: Way) -> Vec<Asked> {
        let folder = format!("{dialect}/{case}/{}", way.name());
        self.asked.lock().unwrap().iter().filter(|asked| asked.folder == folder).cloned().collect()
    }
}

async fn answer(State(all): State<Arc<Mutex<Vec<Asked>>>>, request: Request) -> Response {
    if request.method() == Method::GET {
        // Lists of models and checks of health are no part of the table.
        return StatusCode::NOT_FOUND.into_response();
    }
    let uri = request.uri().to_string();
    let headers = request.headers().clone();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let [dialect, case, way, path] = uri[1..].splitn(4, '/').collect::<Vec<_>>()[..] else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let fixture = table::fixture(dialect, case);
    let asked = Asked {
        folder: format!("{dialect}/{case}/{way}"),
        path: format!("/{path}"),
        headers,
        body: serde_json::from_slice(&body).unwrap(),
    };
    let asked_for = asked.way();
    all.lock().unwrap().push(asked);
    if let Some(failure) = &fixture.failure {
        return fail(failure);
    }
    let json = ("content-type", "application/json");
    match (asked_for, &fixture.whole, &fixture.stream) {
        (Way::Whole, Some(whole), _) => ([json], whole.get().to_owned()).into_response(),
        (Way::Stream, _, Some(events)) => {
            let framing = DIALECTS.iter().find(|known| known.name == dialect).unwrap().framing;
            stream(framing, events)
        }
        _ => (StatusCode::IM_A_TEAPOT, [json], r#"{"error":"this is not in the table"}"#).into_response(),
    }
}

fn fail(failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.status).unwrap();
    let mut response = (status, failure.body.get().to_owned()).into_response();
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    for (name, value) in &failure.headers {
        response.headers_mut().insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    response
}

/// Lengths of pieces, over and over: words, characters and line ends are cut, and some pieces hold several events.
const PIECES: [usize; 8] = [1, 2, 3, 5, 1, 7, 400, 11];

fn stream(framing: Framing, events: &[Box<RawValue>]) -> Response {
    let kind = match framing {
        Framing::Lines => "application/x-ndjson",
        Framing::Data | Framing::Named => "text/event-stream",
    };
    let body = Bytes::from(events.iter().map(|event| framed(framing, event)).collect::<String>());
    let pieces =
        futures_util::stream::unfold((body, PIECES.iter().cycle()), |(mut body, mut lengths)| async {
            if body.is_empty() {
                return None;
            }
            let piece = body.split_to(body.len().min(*lengths.next()?));
            // Each on its way before the next is made.
            tokio::task::yield_now().await;
            Some((Ok::<_, Infallible>(piece), (body, lengths)))
        });
    ([("content-type", kind)], Body::from_stream(pieces)).into_response()
}

fn framed(framing: Framing, event: &RawValue) -> String {
    let text: Option<String> = serde_json::from_str(event.get()).ok();
    let data = text.as_deref().unwrap_or(event.get());
    match framing {
        Framing::Data => format!("data: {data}\r\n\r\n"),
        Framing::Named => {
            let read: Value = serde_json::from_str(event.get()).unwrap();
            let name = read["type"].as_str().map(|name| format!("event: {name}\n")).unwrap_or_default();
            format!("{name}data: {data}\n\n")
        }
        Framing::Lines => format!("{data}\n"),
    }
}

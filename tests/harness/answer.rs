//! What was answered, and what every answer must have, whatever it answers.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

use super::documented;

/// All that clients were told, to be searched for secrets at the end.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<String>>);

impl Seen {
    fn note(&self, text: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push_str(text);
        seen.push('\n');
    }

    pub(super) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub(super) async fn read(path: &str, response: Response, seen: &Seen) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let url = response.url().clone();
        check_headers(path, &headers);
        let body = response.bytes().await.unwrap_or_else(|error| panic!("{path} was cut short: {error:?}"));
        let body =
            String::from_utf8(body.to_vec()).unwrap_or_else(|_| panic!("{path} did not answer in text"));
        seen.note(&format!("{path} {status} {headers:?}\n{body}"));
        let answer = Self { status, headers, body };
        let is_known_already = status == 304;
        if !(200..300).contains(&status) && !is_known_already && !is_a_status_page(path) {
            answer.check_error(path);
        }
        documented::check(url.path(), &answer);
        answer
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The text of an answer from `/api/chat/complete`, which must have been one.
    #[track_caller]
    pub fn response(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()["response"].as_str().unwrap().to_owned()
    }

    /// Status, code and details of an error.
    #[track_caller]
    pub fn error(&self) -> (u16, String, String) {
        let json = self.json();
        let word = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("{}", self.body)).to_owned();
        (self.status, word("code"), word("details"))
    }

    /// The shape that is documented for errors; under `/v1` it is OpenAI's.
    fn check_error(&self, path: &str) {
        let json = self.json();
        let object = json.as_object().unwrap_or_else(|| panic!("{path}: {}", self.body));
        let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
        names.sort_unstable();
        if path.starts_with("/v1/") {
            assert_eq!(names, ["error"], "{path}: {}", self.body);
            for name in ["message", "type", "param", "code"] {
                assert!(json["error"].get(name).is_some(), "{path} has no {name:?}: {}", self.body);
            }
            return;
        }
        // A limit says when there is room again.
        names.retain(|name| *name != "reset_at" || self.status != 429);
        assert_eq!(names, ["code", "details", "error", "request_id", "timestamp"], "{path}: {}", self.body);
        for (name, value) in object {
            let text = value.as_str().unwrap_or_else(|| panic!("{path}: {name:?} is no text: {}", self.body));
            assert!(!text.is_empty(), "{path}: {name:?} is empty: {}", self.body);
        }
        assert_eq!(json["request_id"].as_str(), self.header("x-request-id"), "{path}");
        let timestamp = json["timestamp"].as_str().unwrap();
        assert!(timestamp.ends_with('Z') && timestamp.contains('T'), "{path}: {timestamp}");
        let code = json["code"].as_str().unwrap();
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{path}: {code}");
    }
}

/// These say by their status what they say in their body; not being able to serve is not an error of theirs.
fn is_a_status_page(path: &str) -> bool {
    ["/api/health", "/readyz", "/livez"].contains(&path)
}

/// The pages and their files are the only ones that a browser shows.
fn is_of_the_page(path: &str) -> bool {
    ["/", "/docs"].contains(&path) || path.starts_with("/assets/")
}

/// Besides these it keeps only what they show.
fn is_kept(path: &str) -> bool {
    is_of_the_page(path) || path == "/openapi.json"
}

const SECURE: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cache-control", "no-store"),
];

/// All that an answer may say of itself. A new one is added here on purpose, not by accident.
const KNOWN: [&str; 28] = [
    "allow",
    "connection",
    "content-length",
    "content-type",
    "date",
    "etag",
    "location",
    "retry-after",
    "transfer-encoding",
    "vary",
    "www-authenticate",
    "x-patchbay-attempts",
    "x-patchbay-budget-remaining-usd",
    "x-patchbay-cost-usd",
    "x-patchbay-model",
    "x-patchbay-provider",
    "x-patchbay-route",
    "x-ratelimit-limit",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-request-id",
    "x-accel-buffering",
];

fn check_headers(path: &str, headers: &HeaderMap) {
    let one = |name: &str| {
        let all: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(all.len(), 1, "{path} has {name} {} times: {headers:?}", all.len());
        all[0].to_str().unwrap()
    };
    assert!(!one("x-request-id").is_empty(), "{path}");
    for (name, value) in SECURE {
        let own = match name {
            "content-security-policy" => is_of_the_page(path),
            "cache-control" => is_kept(path),
            _ => false,
        };
        // Which are looked at where the page is.
        assert!(own && !one(name).is_empty() || one(name) == value, "{path}: {name}: {}", one(name));
    }
    for name in headers.keys().map(HeaderName::as_str) {
        let known = KNOWN.contains(&name)
            || SECURE.iter().any(|(known, _)| *known == name)
            || name.starts_with("access-control-");
        assert!(known, "{path} has a header that nobody knows: {name}");
    }
}

/// An answer that comes piece by piece.
pub struct Streaming {
    pub status: u16,
    pub headers: HeaderMap,
    /// What has come so far.
    pub text: String,
    response: Response,
    seen: Seen,
}

impl Streaming {
    pub(super) fn new(path: &str, response: Response, seen: Seen) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        check_headers(path, &headers);
        seen.note(&format!("{path} {status} {headers:?}"));
        assert_eq!(status, 200, "{path} did not begin a stream");
        documented::check_headers(response.url().path(), status, &headers);
        Self { status, headers, text: String::new(), response, seen }
    }

    /// The next piece; none at a clean end, and an error where the answer was cut.
    pub async fn next(&mut self) -> Result<Option<String>, String> {
        let piece = self.response.chunk().await.map_err(|error| format!("{error:?}"))?;
        Ok(piece.map(|piece| {
            let piece = String::from_utf8(piece.to_vec()).unwrap();
            self.text.push_str(&piece);
            piece
        }))
    }

    /// Everything, to the clean end or to the cut.
    pub async fn rest(mut self) -> Result<String, String> {
        while self.next().await?.is_some() {}
        Ok(self.text.clone())
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.seen.note(&self.text);
    }
}

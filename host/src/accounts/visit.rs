//! How a request came, as far as somebody wants to know it.

use std::net::IpAddr;

use http::Method;

use super::Trace;
use super::trace::SpanId;
use crate::providers::PluginRef;

/// A path is cut here: it is the client's own words.
const MAX_PATH_BYTES: usize = 256;

/// What others name things is their own words; nobody needs more of one.
pub const MAX_NAME_BYTES: usize = 200;

/// What is taken down of a request before it is served. Nothing, where nobody wants it.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// For whoever keeps traces, or a log of who comes.
    pub visit: Option<Box<Visit>>,
    /// For whoever keeps traces.
    pub trace: Option<Box<Trace>>,
}

/// Who came, and for what.
#[derive(Clone, Debug)]
pub struct Visit {
    /// `GET`, `POST`, ...
    pub method: Method,
    /// Without the query, which may hold anything; cut where it is very long.
    pub path: Box<str>,
    /// The other side of the connection, or whom a trusted proxy asks for.
    pub client: IpAddr,
}

impl Visit {
    /// Takes down what is needed of a path.
    pub fn new(method: Method, path: &str, client: IpAddr) -> Self {
        Self { method, path: cut(path, MAX_PATH_BYTES).into(), client }
    }
}

/// A text's beginning, for what others wrote and nobody bounded.
pub fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// What a trace tells of an attempt beside what everybody is told of it. Only of those traces that are kept.
#[derive(Clone, Debug)]
pub struct AttemptSpan {
    /// Its id, which upstream was told.
    pub id: SpanId,
    /// `chat`, `text_completion` or `embeddings`.
    pub operation: &'static str,
    /// The model that was asked for; none for whichever is the plugin's own default.
    pub model: Option<String>,
    /// Where upstream is, as far as the host knows.
    pub url: Option<String>,
    /// Whose code was asked, where it was not a plan.
    pub plugin: Option<PluginRef>,
}

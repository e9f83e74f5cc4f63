//! A span, as OTLP has it.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::accounts::{SpanId, TraceId};

/// What somebody did, from when to when.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    /// The notes of other tracers.
    pub(super) state: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) attributes: Attributes,
    /// Whether it went wrong.
    pub(super) failed: bool,
}

/// In the numbers of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// The number that says in a status that something went wrong.
pub(super) const FAILED: u64 = 2;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Fraction(f64),
    Flag(bool),
    Texts(Vec<String>),
}

/// Names and what they stand for; what is not known is left out.
#[derive(Debug, Default)]
pub(super) struct Attributes(pub(super) Vec<(Cow<'static, str>, Value)>);

impl Attributes {
    pub(super) fn put(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        self.0.push((name.into(), value));
    }

    pub(super) fn text(&mut self, name: impl Into<Cow<'static, str>>, text: impl Into<String>) {
        self.put(name, Value::Text(text.into()));
    }

    pub(super) fn maybe_text(&mut self, name: &'static str, text: Option<impl Into<String>>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(super) fn count(&mut self, name: &'static str, count: u64) {
        self.put(name, Value::Number(i64::try_from(count).unwrap_or(i64::MAX)));
    }
}

/// A time as OTLP has it: nanoseconds since 1970.
pub(super) fn nanos(at: SystemTime, after: Duration) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default() + after;
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

//! The spans of a request: one for itself, one for each attempt, and one for the plugin's code where that was asked.

use std::time::Duration;

use crate::accounts::{Attempt, AttemptSpan, Outcome, Record, SpanId, Trace, Visit};

use super::attributes;
use super::span::{Attributes, Kind, Span, nanos};

/// What became of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    /// Whether it is the one that the client's answer came from, or was about to.
    pub(super) served: bool,
    /// From the request's arrival to its own end.
    pub(super) until: Duration,
    /// In what way it went wrong.
    pub(super) failed: Option<&'static str>,
}

/// Adds the spans of a request whose trace is kept.
pub(super) fn add(record: &Record, spans: &mut Vec<Span>) {
    let (Some(trace), Some(visit)) = (&record.trace, &record.visit) else { return };
    let maker = Maker { record, trace };
    spans.push(maker.request(visit));
    for (place, attempt) in record.attempts.iter().enumerate() {
        let Some(told) = &attempt.span else { continue };
        let came = came(record, attempt, place + 1 == record.attempts.len());
        spans.push(maker.attempt(attempt, told, came));
        if let Some(plugin) = &told.plugin {
            let mut attributes = Attributes::default();
            attributes::plugin(&mut attributes, plugin);
            attributes.maybe_text("error.type", came.failed);
            spans.push(Span {
                parent: Some(told.id),
                name: format!("plugin {}", plugin.id),
                attributes,
                failed: came.failed.is_some(),
                ..maker.span(SpanId::new(), Kind::Internal, attempt.after, came.until)
            });
        }
    }
}

fn came(record: &Record, attempt: &Attempt, is_last: bool) -> Came {
    let told = attempt.took.map(|took| attempt.after + took);
    // What came as it was made ends when the last of it was sent on, and what nobody waited for, when they left.
    let until = match told {
        Some(told) if !(is_last && record.streamed && attempt.failed.is_none()) => told,
        _ => record.latency,
    };
    let failed = match (attempt.failed, record.outcome) {
        (Some(kind), _) => Some(kind.as_str()),
        (None, Outcome::Cut(code)) if is_last => Some(code),
        (None, Outcome::Abandoned) if is_last => Some("cancelled"),
        // It was the host that did not wait.
        (None, Outcome::Failed(code)) if is_last && attempt.took.is_none() => Some(code),
        _ => None,
    };
    Came { served: is_last && attempt.failed.is_none(), until, failed }
}

struct Maker<'a> {
    record: &'a Record,
    trace: &'a Trace,
}

impl Maker<'_> {
    fn request(&self, visit: &Visit) -> Span {
        let mut attributes = Attributes::default();
        attributes::request(&mut attributes, self.record, visit);
        // What the client did wrong is no fault of whoever tells it so.
        let failed = matches!(self.record.outcome, Outcome::Cut(_))
            || self.record.status.is_some_and(|status| status >= 500);
        Span {
            parent: self.trace.parent,
            name: format!("{} {}", attributes::method(&visit.method), visit.path),
            attributes,
            failed,
            ..self.span(self.trace.span, Kind::Server, Duration::ZERO, self.record.latency)
        }
    }

    fn attempt(&self, attempt: &Attempt, told: &AttemptSpan, came: Came) -> Span {
        let mut attributes = Attributes::default();
        attributes::attempt(&mut attributes, self.record, self.trace, attempt, told, came);
        let name = match &told.model {
            Some(model) => format!("{} {}", told.operation, attributes::name(model)),
            None => told.operation.to_owned(),
        };
        Span {
            parent: Some(self.trace.span),
            name,
            attributes,
            failed: came.failed.is_some(),
            ..self.span(told.id, Kind::Client, attempt.after, came.until)
        }
    }

    fn span(&self, id: SpanId, kind: Kind, from: Duration, until: Duration) -> Span {
        let state = self.trace.state.as_ref().and_then(|state| state.to_str().ok()).unwrap_or_default();
        Span {
            trace: self.trace.id,
            id,
            parent: None,
            state: state.to_owned(),
            name: String::new(),
            kind,
            began: nanos(self.record.at, from),
            ended: nanos(self.record.at, until.max(from)),
            attributes: Attributes::default(),
            failed: false,
        }
    }
}

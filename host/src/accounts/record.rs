//! What is known of a request when it is over.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use patchbay_plugin_api::ErrorKind;

use super::{Arrival, AttemptSpan, Trace, Usage, Visit};
use crate::access::VirtualKey;
use crate::config::ProviderSettings;
use crate::limits::Wish;
use crate::providers::Cost;

/// See the module. Holds nothing of a plugin: whoever keeps it keeps no library alive.
#[derive(Clone, Debug)]
pub struct Record {
    /// For the log, and the client's.
    pub request_id: Arc<str>,
    /// When it came.
    pub at: SystemTime,
    /// How it came, where somebody keeps that.
    pub visit: Option<Box<Visit>>,
    /// Its place in a trace, where traces are kept.
    pub trace: Option<Box<Trace>>,
    /// The route, of those that ask providers; none of any other.
    pub route: Option<&'static str>,
    /// The virtual key that it was let in with.
    pub key: Option<Arc<VirtualKey>>,
    /// The status that the client was sent; none when it had gone before.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// Who was asked, in this order. Only the last one may have served.
    pub attempts: Vec<Attempt>,
    /// The model that served it, as far as known.
    pub model: Option<Arc<str>>,
    /// Whether the answer was sent as it came.
    pub streamed: bool,
    /// When the first words of such an answer came, counted from the request's arrival.
    pub first_token: Option<Duration>,
    /// What it took, as far as upstream said.
    pub usage: Option<Usage>,
    /// What it cost, as far as its tokens have prices.
    pub cost: Option<Cost>,
    /// What it was taken for by those who limit what it takes, where upstream did not say.
    pub expected: Option<Wish>,
    /// From the request's arrival to the last of the answer that the client was sent.
    pub latency: Duration,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With its answer.
    Answered,
    /// With an error, by its code.
    Failed(&'static str),
    /// With a part of its answer: upstream failed.
    Cut(ErrorKind),
    /// The client did not wait for the end.
    Abandoned,
}

impl Outcome {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed(_) => "failed",
            Self::Cut(_) => "cut",
            Self::Abandoned => "abandoned",
        }
    }

    /// What went wrong here or upstream, by its code.
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::Failed(code) => Some(code),
            Self::Cut(kind) => Some(kind.as_str()),
            Self::Answered | Self::Abandoned => None,
        }
    }
}

/// A provider that was asked.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What it was made from, its name above all.
    pub provider: Arc<ProviderSettings>,
    /// When it was asked, counted from the request's arrival.
    pub after: Duration,
    /// How long it took to answer, to begin to, or to fail; none when nobody waited for that.
    pub took: Option<Duration>,
    /// Why it did not serve.
    pub failed: Option<ErrorKind>,
    /// What its trace tells, if that is kept.
    pub span: Option<Box<AttemptSpan>>,
}

impl Record {
    pub(super) fn new(request_id: Arc<str>, arrival: Arrival) -> Self {
        Self {
            request_id,
            at: SystemTime::now(),
            visit: arrival.visit,
            trace: arrival.trace,
            route: None,
            key: None,
            status: None,
            outcome: Outcome::Abandoned,
            attempts: Vec::new(),
            model: None,
            streamed: false,
            first_token: None,
            usage: None,
            cost: None,
            expected: None,
            latency: Duration::ZERO,
        }
    }

    /// Who served it, or was about to when the client left.
    pub fn served_by(&self) -> Option<&Arc<ProviderSettings>> {
        self.attempts.last().filter(|attempt| attempt.failed.is_none()).map(|attempt| &attempt.provider)
    }
}

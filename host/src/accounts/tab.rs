//! One request's account while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use patchbay_plugin_api::ErrorKind;
use tokio::time::Instant;

use super::visit::{MAX_NAME_BYTES, cut};
use super::{Arrival, Attempt, AttemptSpan, Books, Outcome, Record, SpanId, TraceHeaders, Usage};
use crate::access::VirtualKey;
use crate::config::ProviderSettings;
use crate::limits::{Claim, Claims, Exceeded, Payer};
use crate::providers::Cost;

/// Shared by whoever serves the request: when the last of them lets go, it is over, and the books are told.
#[derive(Clone, Debug)]
pub struct Tab(Arc<Open>);

#[derive(Debug)]
struct Open {
    books: Arc<Books>,
    began: Instant,
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    record: Record,
    /// What it has taken of what is limited.
    claims: Claims,
}

impl Tab {
    /// A request has come.
    pub fn open(books: Arc<Books>, request_id: Arc<str>, arrival: Arrival) -> Self {
        books.open();
        let running = Running { record: Record::new(request_id, arrival), claims: Claims::default() };
        Self(Arc::new(Open { books, began: Instant::now(), running: Mutex::new(running) }))
    }

    /// It was let in, and asks providers.
    pub fn asks(&self, route: &'static str, key: Option<Arc<VirtualKey>>) {
        let record = &mut self.running().record;
        (record.route, record.key) = (Some(route), key);
    }

    /// It has taken this of what is limited, until it is known what it took in truth.
    pub(crate) fn hold(&self, claims: Claims) {
        self.running().claims = claims;
    }

    /// It may cost so much at the provider that is asked next.
    pub(crate) fn reserve(&self, payer: &Payer, cost: Cost) -> Result<(), Exceeded> {
        payer.reserve(&mut self.running().claims, cost)
    }

    /// Nobody served it.
    pub(crate) fn give_back(&self) {
        self.running().claims.give_back();
    }

    /// A provider is asked, and has taken this of its own limits. Answers with what it is to be told of the trace, if
    /// there is one; a trace that is kept wants to know more.
    pub(crate) fn asks_provider(
        &self,
        provider: &Arc<ProviderSettings>,
        claim: Option<Claim>,
        more: impl FnOnce(SpanId) -> AttemptSpan,
    ) -> Option<TraceHeaders> {
        let (provider, after) = (Arc::clone(provider), self.elapsed());
        let mut running = self.running();
        running.claims.asks_provider(claim);
        let (mut headers, mut span) = (None, None);
        if let Some(trace) = &running.record.trace {
            let id = SpanId::new();
            headers = Some(trace.headers(id));
            span = trace.sampled.then(|| Box::new(more(id)));
        }
        running.record.attempts.push(Attempt { provider, after, took: None, failed: None, span });
        headers
    }

    /// The provider asked last has failed, or has answered, or has begun to.
    pub(crate) fn provider_said(&self, failed: Option<ErrorKind>) {
        let now = self.elapsed();
        let mut running = self.running();
        if failed.is_some() {
            running.claims.provider_failed();
        }
        if let Some(attempt) = running.record.attempts.last_mut() {
            (attempt.took, attempt.failed) = (Some(now.saturating_sub(attempt.after)), failed);
        }
    }

    /// The model that answers.
    pub(crate) fn model(&self, model: &str) {
        if !model.is_empty() {
            self.running().record.model = Some(model.into());
        }
    }

    /// The answer has begun, and is sent as it comes.
    pub(crate) fn begun(&self) {
        let first_token = self.elapsed();
        let record = &mut self.running().record;
        if !record.streamed {
            self.0.books.begin_stream();
        }
        (record.streamed, record.first_token) = (true, Some(first_token));
    }

    /// What the answer took, as far as known.
    pub(crate) fn used(&self, usage: Option<Usage>, cost: Option<Cost>) {
        // Whoever says how many tokens it was, and has no price, says that it cost nothing.
        let spent = usage.map(|_| cost.unwrap_or_default());
        let mut running = self.running();
        let expected = running.claims.settle(usage.map(|usage| usage.total_tokens), spent);
        if expected.is_some() {
            running.record.expected = expected;
        }
        (running.record.usage, running.record.cost) = (usage, cost);
    }

    /// Whether it is a part of a trace that is kept.
    pub(crate) fn is_traced(&self) -> bool {
        self.running().record.trace.as_ref().is_some_and(|trace| trace.sampled)
    }

    /// What upstream calls the answer, and why that ended. For traces alone.
    pub(crate) fn answer(&self, id: Option<&str>, finish_reason: Option<&str>) {
        if let Some(trace) = self.running().record.trace.as_mut().filter(|trace| trace.sampled) {
            // Upstream's own words, of any length.
            let name = |text: &str| cut(text, MAX_NAME_BYTES).to_owned();
            (trace.answer_id, trace.finish_reason) = (id.map(name), finish_reason.map(name));
        }
    }

    /// An answer that was sent as it came has come to its end, or was cut.
    pub(crate) fn ended(&self, cut: Option<ErrorKind>) {
        self.running().record.outcome = cut.map_or(Outcome::Answered, Outcome::Cut);
    }

    /// The client is sent this status, for an error with its code. What is sent as it comes has yet to end.
    pub fn answered(&self, status: u16, error: Option<&'static str>) {
        let record = &mut self.running().record;
        record.status = Some(status);
        match error {
            Some(code) => record.outcome = Outcome::Failed(code),
            None if !record.streamed => record.outcome = Outcome::Answered,
            None => {}
        }
    }

    fn elapsed(&self) -> Duration {
        self.0.began.elapsed()
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request is over.
impl Drop for Open {
    fn drop(&mut self) {
        let Running { record, claims } = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        record.expected = record.expected.or(claims.leave());
        record.latency = self.began.elapsed();
        self.books.close(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Bookkeeper, Trace};

    /// Keeps the last one.
    #[derive(Clone, Default)]
    struct Last(Arc<Mutex<Option<Record>>>);

    impl Bookkeeper for Last {
        fn note(&self, record: &Record) {
            *self.0.lock().unwrap() = Some(record.clone());
        }
    }

    #[test]
    fn what_upstream_calls_things_is_cut() {
        let last = Last::default();
        let books = Arc::new(Books::of(vec![Box::new(last.clone())]));
        let trace = Some(Box::new(Trace::begin(None, |_, _| true)));
        let tab = Tab::open(books, "r".into(), Arrival { trace, ..Arrival::default() });
        tab.answer(Some(&"\u{e9}".repeat(10_000)), Some(&"x".repeat(10_000)));
        drop(tab);
        let trace = last.0.lock().unwrap().take().unwrap().trace.unwrap();
        let lengths = [trace.answer_id, trace.finish_reason].map(|text| text.unwrap().len());
        assert_eq!(lengths, [MAX_NAME_BYTES, MAX_NAME_BYTES]);
    }
}

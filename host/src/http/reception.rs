//! What is taken down of a request before it is served, for those who tell of it when it is over.

use axum::extract::Request;

use super::limits;
use crate::accounts::{Arrival, Parent, Trace, Visit};
use crate::config::Network;
use crate::telemetry::log::LogControl;
use crate::telemetry::traces::Sampler;

/// See the module. By default nobody wants to know anything.
#[derive(Debug, Default)]
pub struct Reception {
    /// The paths of requests that are traced.
    traced: Vec<&'static str>,
    /// None while no traces are kept.
    sampler: Option<Sampler>,
    log: LogControl,
    trusted_proxies: Vec<Network>,
}

impl Reception {
    /// For whoever keeps traces, and for the log of who comes.
    pub fn new(sampler: Option<Sampler>, log: LogControl, trusted_proxies: &[Network]) -> Self {
        Self { traced: super::asking_paths(), sampler, log, trusted_proxies: trusted_proxies.to_vec() }
    }

    /// Takes down what is wanted.
    pub(super) fn look(&self, request: &Request) -> Arrival {
        let path = request.uri().path();
        // Only of requests that ask providers: somebody looks at `/livez` every few seconds.
        let sampler = self.sampler.filter(|_| self.traced.contains(&path));
        let trace = sampler.map(|sampler| {
            let parent = Parent::of(request.headers());
            Box::new(Trace::begin(parent, |parent, id| sampler.keeps(parent, id)))
        });
        let is_kept = trace.as_ref().is_some_and(|trace| trace.sampled);
        let visit = (is_kept || self.log.has_access_log()).then(|| {
            let client = limits::client(request.headers(), request.extensions(), &self.trusted_proxies);
            Box::new(Visit::new(request.method().clone(), path, client.to_canonical()))
        });
        Arrival { visit, trace }
    }
}

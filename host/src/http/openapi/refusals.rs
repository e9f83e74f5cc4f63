//! What requests are refused with: what follows from whom a route is for, and what asking may come to.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use patchbay_plugin_api::ErrorKind;

use crate::http::error::{Code, Dialect};
use crate::http::routes::{Audience, Route};

/// The codes that go with a status.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Codes {
    pub(super) known: BTreeSet<Code>,
    /// Whether there are others: upstreams and plugins have words of their own.
    pub(super) open: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Refusals {
    pub(super) dialect: Dialect,
    /// Whether limits are in front, which say how they stand.
    pub(super) limited: bool,
    statuses: BTreeMap<StatusCode, Codes>,
}

impl Refusals {
    /// What the layers in front of a route may answer.
    pub(super) fn of(route: &Route) -> Self {
        let (dialect, limited) = (Dialect::of_path(route.path), route.audience == Audience::Asking);
        let mut refusals = Self { dialect, limited, statuses: BTreeMap::new() };
        refusals.add(405, &[Code::MethodNotAllowed]);
        refusals.add(500, &[Code::InternalError]);
        // By a host that another one has taken over from; by a new one, of what would change what both have.
        refusals.add(503, &[Code::Upgrading]);
        // Of what does not end before the host does.
        refusals.add(503, &[Code::ShuttingDown]);
        if route.audience == Audience::Anyone {
            return refusals;
        }
        refusals.add(401, &[Code::Unauthorized]);
        refusals.add(403, &[Code::Forbidden]);
        if !route.method.is_safe() {
            refusals.add(415, &[Code::UnsupportedMediaType]);
        }
        if route.audience == Audience::Asking {
            refusals.add_asking();
        }
        refusals
    }

    pub(super) fn add(&mut self, status: u16, codes: &[Code]) {
        let Ok(status) = StatusCode::from_u16(status) else { return };
        let known = &mut self.statuses.entry(status).or_default().known;
        known.extend(codes.iter().map(|code| code.in_dialect(status, self.dialect)));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (StatusCode, &Codes)> {
        self.statuses.iter().map(|(status, codes)| (*status, codes))
    }

    /// What limits, the choice of a provider, and providers themselves may come to.
    fn add_asking(&mut self) {
        self.add_failures();
        self.add(400, &[Code::InvalidJson, Code::MissingField, Code::InvalidMessages, Code::InvalidField]);
        self.add(403, &[Code::NotPermitted, Code::UnpricedModel]);
        self.add(404, &[Code::ProviderNotFound, Code::ModelNotFound]);
        self.add(413, &[Code::TooManyTokens, Code::TooExpensive]);
        self.add(429, &[Code::RateLimitExceeded, Code::BudgetExceeded, Code::BudgetSetAside]);
        self.add(503, &[Code::NoProviders, Code::NoProvidersAvailable]);
        self.add(508, &[Code::LoopDetected]);
        // What upstream says of the request keeps upstream's status.
        self.add(404, &[Code::InvalidInput, Code::Provider]);
        self.add(413, &[Code::InvalidInput]);
        self.add(422, &[Code::InvalidInput]);
        if self.dialect == Dialect::OpenAi {
            // Clients made for OpenAI's know what OpenAI says.
            for (status, codes) in &mut self.statuses {
                codes.open = [400, 404, 413, 422].contains(&status.as_u16());
            }
        }
    }

    /// What a provider that was asked may come to.
    pub(super) fn add_failures(&mut self) {
        use ErrorKind as Kind;
        let failed = [
            Kind::Connection,
            Kind::Authentication,
            Kind::BrokenStream,
            Kind::UnreadableAnswer,
            Kind::Panicked,
            Kind::Provider,
        ];
        self.add(502, &failed.map(Code::from));
        let others = [
            (400, Kind::InvalidInput),
            (422, Kind::Unsupported),
            (429, Kind::RateLimited),
            (503, Kind::Cancelled),
            (504, Kind::TimedOut),
            (508, Kind::Provider),
        ];
        for (status, kind) in others {
            self.add(status, &[kind.into()]);
        }
    }
}

/// What a status means, wherever it is answered.
pub(super) fn meaning(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "The request is not as it has to be; `details` says where and how to mend it.",
        401 => "A token is needed, or the one that came is not known.",
        403 => "Whoever asks may not do this.",
        404 => "There is no such thing.",
        405 => "This path does not take this method; the header `allow` lists those it takes.",
        408 => "The body did not arrive in time.",
        409 => "It does not go together with what is there.",
        412 => "It was changed meanwhile.",
        413 => "The request is larger than what is taken.",
        415 => "A body has to be JSON, and to say so.",
        422 => "It was understood, and is not accepted.",
        429 => "Too much was asked for; `retry-after` says when there is room again.",
        500 => "The host itself failed; its log has more under the request's id.",
        502 => "The provider failed, or cannot be reached.",
        503 => "Not at the moment.",
        504 => "The provider did not answer in time.",
        508 => "It goes round in a loop: some provider's `base_url` leads back to where it came from.",
        _ => "It was refused.",
    }
}

//! What requests are refused with: what follows from whom a route is for, and what asking may come to.

use std::collections::{BTreeMap, BTreeSet};

use patchbay_plugin_api::ErrorKind;

use crate::http::error::Dialect;
use crate::http::routes::{Audience, Route};

/// The codes that go with a status.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Codes {
    pub(super) known: BTreeSet<&'static str>,
    /// Whether there are others: upstreams and plugins have words of their own.
    pub(super) open: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Refusals {
    pub(super) dialect: Dialect,
    statuses: BTreeMap<u16, Codes>,
}

impl Refusals {
    /// What the layers in front of a route may answer.
    pub(super) fn of(route: &Route) -> Self {
        let mut refusals = Self { dialect: Dialect::of_path(route.path), statuses: BTreeMap::new() };
        refusals.add(405, &["method_not_allowed"]);
        refusals.add(500, &["internal_error"]);
        // By a host that another one has taken over from; by a new one, of what would change what both have.
        refusals.add(503, &["upgrading"]);
        // Of what does not end before the host does.
        refusals.add(503, &["shutting_down"]);
        if route.audience == Audience::Anyone {
            return refusals;
        }
        let unauthorized = match refusals.dialect {
            Dialect::Own => "unauthorized",
            Dialect::OpenAi => "invalid_api_key",
        };
        refusals.add(401, &[unauthorized]);
        refusals.add(403, &["forbidden"]);
        if !route.method.is_safe() {
            refusals.add(415, &["unsupported_media_type"]);
        }
        if route.audience == Audience::Asking {
            refusals.add_asking();
        }
        refusals
    }

    pub(super) fn add(&mut self, status: u16, codes: &[&'static str]) {
        self.statuses.entry(status).or_default().known.extend(codes);
    }

    pub(super) fn get_mut(&mut self, status: u16) -> Option<&mut Codes> {
        self.statuses.get_mut(&status)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &Codes)> {
        self.statuses.iter().map(|(status, codes)| (*status, codes))
    }

    /// What limits, the choice of a provider, and providers themselves may come to.
    fn add_asking(&mut self) {
        self.add_failures();
        self.add(400, &["invalid_json", "missing_field", "invalid_messages", "invalid_field"]);
        self.add(403, &["not_permitted", "unpriced_model"]);
        self.add(404, &["provider_not_found", "model_not_found"]);
        self.add(413, &["too_many_tokens", "too_expensive"]);
        self.add(429, &["rate_limit_exceeded", "budget_exceeded", "budget_set_aside"]);
        self.add(503, &["no_providers", "no_providers_available"]);
        self.add(508, &["loop_detected"]);
        // What upstream says of the request keeps upstream's status.
        self.add(404, &[ErrorKind::InvalidInput, ErrorKind::Provider].map(ErrorKind::as_str));
        self.add(413, &[ErrorKind::InvalidInput.as_str()]);
        self.add(422, &[ErrorKind::InvalidInput.as_str()]);
        if self.dialect == Dialect::OpenAi {
            // Clients made for OpenAI's know what OpenAI says.
            for status in [400, 404, 413, 422] {
                self.statuses.entry(status).or_default().open = true;
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
        self.add(502, &failed.map(Kind::as_str));
        let others = [
            (400, Kind::InvalidInput),
            (422, Kind::Unsupported),
            (429, Kind::RateLimited),
            (503, Kind::Cancelled),
            (504, Kind::TimedOut),
            (508, Kind::Provider),
        ];
        for (status, kind) in others {
            self.add(status, &[kind.as_str()]);
        }
    }
}

/// What a status means, wherever it is answered.
pub(super) fn meaning(status: u16) -> &'static str {
    match status {
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

//! The headers that answers come with. One that is always there where it is named is required.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::operation::reference;
use super::refusals::{Codes, Refusals};
use crate::http::error::Code;
use crate::http::routes::{Audience, Route};

const REQUEST_ID: &str = "x-request-id";

/// Who has answered a request that asked a provider.
const ANSWERED: [&str; 5] = [
    "x-patchbay-provider",
    "x-patchbay-model",
    "x-patchbay-attempts",
    "x-patchbay-route",
    "x-patchbay-cost-usd",
];

/// How limits stand, for whoever came as far as these.
const STANDING: [&str; 10] = [
    "x-patchbay-budget-remaining-usd",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];

/// Those of every answer of a route.
pub(super) fn of_answers(route: &Route) -> Value {
    let mut headers = json!({});
    add(&mut headers, &[REQUEST_ID]);
    if route.audience == Audience::Asking {
        add(&mut headers, &ANSWERED);
        add(&mut headers, &STANDING);
    }
    headers
}

/// Those of a refusal.
pub(super) fn of_refusal(refusals: &Refusals, status: StatusCode, codes: &Codes) -> Value {
    let mut headers = json!({});
    add(&mut headers, &[REQUEST_ID]);
    match status {
        StatusCode::UNAUTHORIZED => add(&mut headers, &["www-authenticate"]),
        StatusCode::METHOD_NOT_ALLOWED => add(&mut headers, &["allow"]),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {}
        _ => {
            if may_have_to_wait(status, codes) {
                add(&mut headers, &["retry-after"]);
            }
            if refusals.limited {
                add(&mut headers, &STANDING);
            }
        }
    }
    headers
}

/// What upstream says of that is passed on, whatever it failed with.
fn may_have_to_wait(status: StatusCode, codes: &Codes) -> bool {
    let is_for_now = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
    is_for_now || codes.known.iter().copied().any(Code::is_of_provider)
}

/// Names these, too.
pub(super) fn add(headers: &mut Value, names: &[&str]) {
    for name in names {
        headers[*name] = reference("headers", name);
    }
}

/// What they are.
pub(super) fn components() -> Map<String, Value> {
    let text = || json!({ "type": "string" });
    let whole = || json!({ "type": "integer", "minimum": 0 });
    let seconds = || json!({ "type": "string", "pattern": "^[0-9]+s$" });
    let always = [
        (REQUEST_ID, "The request's id: the client's own if it sent a good one.", text()),
        ("www-authenticate", "How to show who one is.", text()),
        ("allow", "The methods that the path takes.", text()),
        ("etag", "Another one for another state.", text()),
        ("location", "Where it is from now on.", text()),
        ("x-patchbay-attempts", "How many tries it took.", whole()),
    ];
    let sometimes = [
        ("retry-after", "In so many seconds there is room again, where that is known.", whole()),
        ("x-patchbay-provider", "The provider that answered.", text()),
        ("x-patchbay-model", "The model that it was asked for.", text()),
        ("x-patchbay-route", "Why this provider, in one line.", text()),
        ("x-patchbay-cost-usd", "What a whole answer cost, where its price is known.", text()),
        ("x-patchbay-budget-remaining-usd", "What is left of the budget, where there is one.", text()),
        ("x-ratelimit-limit", "Requests in a minute, where they are limited.", whole()),
        ("x-ratelimit-remaining", "How many of them are left.", whole()),
        ("x-ratelimit-reset", "In so many seconds all of them are there again.", whole()),
        ("x-ratelimit-limit-requests", "As `x-ratelimit-limit`, by OpenAI's name.", whole()),
        ("x-ratelimit-remaining-requests", "As `x-ratelimit-remaining`, by OpenAI's name.", whole()),
        ("x-ratelimit-reset-requests", "As `x-ratelimit-reset`, as OpenAI writes it: `30s`.", seconds()),
        ("x-ratelimit-limit-tokens", "Tokens in a minute, where they are limited.", whole()),
        ("x-ratelimit-remaining-tokens", "How many of them are left.", whole()),
        ("x-ratelimit-reset-tokens", "In this time all of them are there again: `30s`.", seconds()),
    ];
    let of = |required: bool| {
        move |(name, about, schema): (&str, &str, Value)| {
            (name.to_owned(), json!({ "description": about, "required": required, "schema": schema }))
        }
    };
    always.into_iter().map(of(true)).chain(sometimes.into_iter().map(of(false))).collect()
}

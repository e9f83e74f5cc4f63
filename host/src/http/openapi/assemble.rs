//! The document as a whole.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::operation::{Book, Operation, reference};
use super::paths::template;
use super::refusals::{Codes, Refusals, meaning};
use super::said::TAGS;
use crate::http::error::{Dialect, OpenAiShape, Shape};
use crate::http::routes::{Audience, Route};

/// What these routes are.
pub(super) fn document(routes: &[Route]) -> Value {
    let mut book = Book::new();
    let (own, openai) = (book.answer::<Shape<'_>>(), book.answer::<OpenAiShape<'_>>());
    let mut refused = Refused { own, openai, names: BTreeMap::new() };
    let mut paths = Map::new();
    for route in routes {
        let described = (route.describe)(Operation::new(route, &mut book));
        let methods = paths.entry(template(route.path)).or_insert_with(|| json!({}));
        methods[route.method.as_str().to_lowercase()] = operation(described, &mut refused);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Patchbay",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": TAGS.map(|(name, about)| json!({ "name": name, "description": about })),
        "paths": paths,
        "components": {
            "schemas": book.into_schemas(),
            "responses": refused.into_components(),
            "headers": headers(),
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "description": KEY },
                "adminToken": { "type": "http", "scheme": "bearer", "description": ADMIN_TOKEN },
            },
        },
    })
}

const ABOUT: &str = "An AI gateway whose providers are plugins, loaded and swapped while it runs. \
                     Times are RFC 3339 in UTC. Further fields may be added to answers. Errors have \
                     one shape: `error` is short and always the same, `code` is for programs, \
                     `details` says what it is this time and how to mend it; below /v1 they have \
                     OpenAI's.";
const KEY: &str = "A virtual key (`pb-...`) that POST /api/keys has made. Its scopes say what it is \
                   for: chat, read or admin. Not needed on a host that only its own machine can reach, \
                   until a key was made, nor where server.open is set.";
const ADMIN_TOKEN: &str = "The ADMIN_TOKEN that the host was started with. Not needed on a host that \
                           has none and that only its own machine can reach.";

fn operation(described: Operation<'_>, refused: &mut Refused) -> Value {
    let mut answers = Map::new();
    for (status, answer) in &described.answers {
        answers.insert(status.to_string(), answer.clone());
    }
    for (status, codes) in described.refusals.iter() {
        match answers.get_mut(&status.to_string()) {
            // An answer of the route's own may have this status, too.
            Some(own) => {
                let schema = &mut own["content"]["application/json"]["schema"];
                let refusal = refused.schema(described.refusals.dialect, codes);
                *schema = json!({ "anyOf": [schema.take(), refusal] });
            }
            None => {
                let refusal = refused.reference(&described.refusals, status, codes);
                answers.insert(status.to_string(), refusal);
            }
        }
    }
    let security = security(described.route);
    let parameters = described.parameters.clone();
    let mut members = described.into_members();
    members.insert("parameters".to_owned(), parameters.into());
    members.insert("responses".to_owned(), answers.into());
    members.insert("security".to_owned(), security);
    members.into()
}

/// Nothing is enough where only this machine can connect.
fn security(route: &Route) -> Value {
    let scopes: &[&str] = match (route.audience, route.method.is_safe()) {
        (Audience::Anyone, _) => return json!([]),
        (Audience::Asking | Audience::Telling, false) => &["chat"],
        (Audience::Asking | Audience::Telling, true) => &["chat", "read"],
        (Audience::Operators, false) => &["admin"],
        (Audience::Operators, true) => &["read"],
    };
    let mut ways: Vec<Value> = scopes.iter().map(|scope| json!({ "key": [scope] })).collect();
    ways.extend([json!({ "adminToken": [] }), json!({})]);
    ways.into()
}

/// Refusals that are written down once, however many routes have them.
#[derive(Debug)]
struct Refused {
    /// Errors of this host's shape, and of OpenAI's.
    own: Value,
    openai: Value,
    names: BTreeMap<(Dialect, u16, Codes), String>,
}

impl Refused {
    fn reference(&mut self, refusals: &Refusals, status: u16, codes: &Codes) -> Value {
        let alike =
            self.names.keys().filter(|(dialect, known, _)| (*dialect, *known) == (refusals.dialect, status));
        let count = alike.count();
        let name = self.names.entry((refusals.dialect, status, codes.clone())).or_insert_with(|| {
            let dialect = if refusals.dialect == Dialect::OpenAi { "OpenAi" } else { "" };
            let count = if count == 0 { String::new() } else { format!("_{}", count + 1) };
            format!("{dialect}Refused{status}{count}")
        });
        reference("responses", name)
    }

    /// An error with one of these codes.
    fn schema(&self, dialect: Dialect, codes: &Codes) -> Value {
        let mut code = json!({ "type": "string" });
        code[if codes.open { "examples" } else { "enum" }] = json!(codes.known);
        let code = json!({ "properties": { "code": code } });
        match dialect {
            Dialect::Own => json!({ "allOf": [self.own, code] }),
            Dialect::OpenAi => json!({ "allOf": [self.openai, { "properties": { "error": code } }] }),
        }
    }

    fn into_components(self) -> Map<String, Value> {
        let one = |((dialect, status, codes), name): (&(Dialect, u16, Codes), &String)| {
            (name.clone(), response(*dialect, *status, codes, &self.schema(*dialect, codes)))
        };
        self.names.iter().map(one).collect()
    }
}

fn response(dialect: Dialect, status: u16, codes: &Codes, schema: &Value) -> Value {
    let first = codes.known.first().copied().unwrap_or_default();
    let short = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let short = short.unwrap_or("Refused");
    let example = match dialect {
        Dialect::Own => json!({
            "error": short, "code": first, "details": meaning(status),
            "request_id": "req-5f0c3a1e9b7d2468-00002a", "timestamp": "2026-11-01T12:00:00.000Z",
        }),
        Dialect::OpenAi => json!({ "error": {
            "message": meaning(status), "type": "invalid_request_error", "param": null, "code": first,
        } }),
    };
    let mut headers = Map::from_iter([("x-request-id".to_owned(), reference("headers", "x-request-id"))]);
    match status {
        401 => _ = headers.insert("www-authenticate".to_owned(), reference("headers", "www-authenticate")),
        405 => _ = headers.insert("allow".to_owned(), reference("headers", "allow")),
        429 | 503 => _ = headers.insert("retry-after".to_owned(), reference("headers", "retry-after")),
        _ => {}
    }
    let content = json!({ "application/json": { "schema": schema, "example": example } });
    json!({ "description": meaning(status), "headers": headers, "content": content })
}

fn headers() -> Map<String, Value> {
    let text = || json!({ "type": "string" });
    let whole = || json!({ "type": "integer", "minimum": 0 });
    let all = [
        ("x-request-id", "The request's id: the client's own if it sent a good one.", text()),
        ("www-authenticate", "How to show who one is.", text()),
        ("allow", "The methods that the path takes.", text()),
        ("retry-after", "In so many seconds there is room again.", whole()),
        ("etag", "Another one for another state.", text()),
        ("location", "Where it is from now on.", text()),
        ("x-patchbay-provider", "The provider that answered.", text()),
        ("x-patchbay-model", "The model that it was asked for.", text()),
        ("x-patchbay-attempts", "How many tries it took.", whole()),
        ("x-patchbay-route", "Why this provider, in one line.", text()),
        ("x-patchbay-cost-usd", "What a whole answer cost, where its price is known.", text()),
        ("x-patchbay-budget-remaining-usd", "What is left of the budget, where there is one.", text()),
        ("x-ratelimit-limit", "Requests in a minute, where they are limited.", whole()),
        ("x-ratelimit-remaining", "How many of them are left.", whole()),
        ("x-ratelimit-reset", "In so many seconds all of them are there again.", whole()),
    ];
    let of = |(name, about, schema): (&str, &str, Value)| {
        (name.to_owned(), json!({ "description": about, "schema": schema }))
    };
    all.into_iter().map(of).collect()
}

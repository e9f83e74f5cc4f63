//! The document as a whole.

use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::operation::{Book, Operation, reference};
use super::paths::template;
use super::refusals::{Codes, Refusals, meaning};
use super::said::TAGS;
use super::{errors, headers};
use crate::http::error::{Dialect, OpenAiShape, Shape};
use crate::http::routes::{Audience, Route};

/// What these routes are.
pub(super) fn document(routes: &[Route]) -> Value {
    let mut book = Book::new();
    let (own, openai) = (book.answer::<Shape<'_>>(), book.answer::<OpenAiShape<'_>>());
    let mut refused = Refused { own, openai, components: Map::new() };
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
            "responses": refused.components,
            "headers": headers::components(),
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "description": KEY },
                "adminToken": { "type": "http", "scheme": "bearer", "description": ADMIN_TOKEN },
            },
        },
    })
}

const ABOUT: &str = "An AI gateway whose providers are plugins, loaded and swapped while it runs. \
                     Times are RFC 3339 in UTC. Further fields may be added to answers. Errors have \
                     one shape: `error` is short and always the same, `code` is for programs (the \
                     schema `ErrorCode` says of each what it means and what to do), `details` says what it is this time and how to mend it; below /v1 they have \
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
        match answers.get_mut(status.as_str()) {
            // An answer of the route's own may have this status, too.
            Some(own) => {
                let schema = &mut own["content"]["application/json"]["schema"];
                let refusal = refused.schema(described.refusals.dialect, codes);
                *schema = json!({ "anyOf": [schema.take(), refusal] });
                if let Value::Object(headers) = headers::of_refusal(&described.refusals, status, codes)
                    && let Some(known) = own["headers"].as_object_mut()
                {
                    known.extend(headers);
                }
            }
            None => {
                let refusal = refused.reference(&described.refusals, status, codes);
                answers.insert(status.as_str().to_owned(), refusal);
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
    components: Map<String, Value>,
}

impl Refused {
    fn reference(&mut self, refusals: &Refusals, status: StatusCode, codes: &Codes) -> Value {
        let made = response(refusals, status, codes, &self.schema(refusals.dialect, codes));
        if let Some((name, _)) = self.components.iter().find(|(_, known)| **known == made) {
            return reference("responses", name);
        }
        let prefix = if refusals.dialect == Dialect::OpenAi { "OpenAi" } else { "" };
        let alike = format!("{prefix}Refused{}", status.as_u16());
        let count = self.components.keys().filter(|name| name.starts_with(&alike)).count();
        let name = if count == 0 { alike } else { format!("{alike}_{}", count + 1) };
        let reference = reference("responses", &name);
        self.components.insert(name, made);
        reference
    }

    /// An error with one of these codes.
    fn schema(&self, dialect: Dialect, codes: &Codes) -> Value {
        let known: Vec<&str> = codes.known.iter().map(|code| code.word()).collect();
        let mut code = json!({ "type": "string" });
        code[if codes.open { "examples" } else { "enum" }] = json!(known);
        let code = json!({ "properties": { "code": code } });
        match dialect {
            Dialect::Own => json!({ "allOf": [self.own, code] }),
            Dialect::OpenAi => json!({ "allOf": [self.openai, { "properties": { "error": code } }] }),
        }
    }
}

/// As it is answered.
fn response(refusals: &Refusals, status: StatusCode, codes: &Codes, schema: &Value) -> Value {
    let headers = headers::of_refusal(refusals, status, codes);
    let example = codes.known.first().map(|code| {
        let error = errors::example(status, *code);
        let json = match refusals.dialect {
            Dialect::Own => error.json_at("req-5f0c3a1e9b7d2468-00002a", UNIX_EPOCH + EXAMPLE_TIME),
            Dialect::OpenAi => error.openai_json(),
        };
        serde_json::from_slice(&json).unwrap_or(Value::Null)
    });
    let content = json!({ "application/json": { "schema": schema, "example": example } });
    json!({ "description": meaning(status), "headers": headers, "content": content })
}

/// 2026-11-01T12:00:00Z.
const EXAMPLE_TIME: Duration = Duration::from_secs(1_793_534_400);

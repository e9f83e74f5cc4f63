//! The document against itself and against the routes. Whether the host keeps to it is seen from outside.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::http::routes::Audience;

fn read() -> Value {
    serde_json::from_slice(openapi()).unwrap()
}

/// Every operation, with what it is for messages.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push((format!("{} {path}", method.to_uppercase()), operation));
        }
    }
    all
}

/// Everything in a value that has this name.
fn named<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    let inner: Vec<&Value> = match value {
        Value::Object(members) => {
            found.extend(members.get(name));
            members.values().collect()
        }
        Value::Array(items) => items.iter().collect(),
        _ => return,
    };
    for value in inner {
        named(value, name, found);
    }
}

#[test]
fn every_route_is_in_it_and_nothing_else() {
    let document = read();
    let written: BTreeSet<String> = operations(&document).into_iter().map(|(what, _)| what).collect();
    let routes = all();
    let there = routes.iter().map(|route| format!("{} {}", route.method, paths::template(route.path)));
    assert_eq!(written, there.collect());
}

#[test]
fn every_route_says_what_it_is() {
    let document = read();
    let tags = said::TAGS.map(|(name, _)| name);
    let mut ids = BTreeSet::new();
    for (what, operation) in operations(&document) {
        let text = |name: &str| operation[name].as_str().unwrap_or_else(|| panic!("{what} has no {name}"));
        assert!(ids.insert(text("operationId").to_owned()), "{what} is not the only one of its name");
        assert!(!text("summary").ends_with('.'), "{what}");
        assert!(tags.contains(&operation["tags"][0].as_str().unwrap()), "{what}");
        for parameter in operation["parameters"].as_array().unwrap() {
            assert!(!parameter["description"].as_str().unwrap().is_empty(), "{what}: {parameter}");
            assert!(parameter["schema"]["type"].is_string(), "{what}: {parameter}");
        }
    }
}

#[test]
fn whatever_has_a_body_has_an_example_of_it() {
    let document = read();
    for (what, operation) in operations(&document) {
        let answers = operation["responses"].as_object().unwrap();
        let bodies = answers.values().chain(operation.get("requestBody"));
        let contents = bodies.filter_map(|body| body["content"].as_object()).flatten();
        for (kind, content) in contents {
            let examples: Vec<&Value> = match content["examples"].as_object() {
                Some(examples) => examples.values().map(|example| &example["value"]).collect(),
                None => vec![&content["example"]],
            };
            assert!(examples.iter().all(|example| !example.is_null()), "{what} {kind}: {content}");
            assert!(content["schema"].as_object().is_some_and(|schema| !schema.is_empty()), "{what} {kind}");
        }
        assert!(answers.keys().any(|status| status.starts_with('2')), "{what} never succeeds");
    }
}

#[test]
fn every_name_leads_somewhere() {
    let document = read();
    let mut references = Vec::new();
    named(&document, "$ref", &mut references);
    assert!(references.len() > 100, "{}", references.len());
    for reference in references {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some_and(|it| !it.is_null()), "{pointer}");
    }
}

#[test]
fn what_the_layers_answer_is_written_at_every_route() {
    let document = read();
    for route in all() {
        let path = paths::template(route.path);
        let operation = &document["paths"][&path][route.method.as_str().to_lowercase()];
        let expected: &[u16] = match (route.audience, route.method.is_safe()) {
            (Audience::Anyone, _) => &[405, 500, 503],
            (Audience::Asking, _) => &[400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 502, 503, 504],
            (_, true) => &[401, 403, 405, 500, 503],
            (_, false) => &[401, 403, 405, 415, 500, 503],
        };
        for status in expected {
            let answer = &operation["responses"][status.to_string()];
            assert!(answer.is_object(), "{} {path} has no {status}", route.method);
        }
        let open = operation["security"].as_array().unwrap().is_empty();
        assert_eq!(open, route.audience == Audience::Anyone, "{} {path}", route.method);
    }
}

/// Every member of an object that a schema describes, with where it stands and how.
fn members<'v>(value: &'v Value, place: &str, found: &mut Vec<(String, &'v Value)>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(inner) => {
            let properties = inner.get("properties").and_then(Value::as_object).into_iter().flatten();
            found.extend(properties.map(|(name, schema)| (format!("{place}.{name}"), schema)));
            // Examples are no schemas; what refines a schema beside it has its descriptions there.
            let schemas =
                inner.iter().filter(|(name, _)| !["example", "examples", "allOf"].contains(&name.as_str()));
            schemas.map(|(name, value)| (format!("{place}/{name}"), value)).collect()
        }
        Value::Array(items) => items.iter().map(|value| (place.to_owned(), value)).collect(),
        _ => return,
    };
    for (place, value) in inner {
        members(value, &place, found);
    }
}

#[test]
fn every_member_says_what_it_is() {
    let document = read();
    let mut all = Vec::new();
    members(&document, "", &mut all);
    assert!(all.len() > 400, "{}", all.len());
    let says = |schema: &Value| {
        let reference = schema["$ref"].as_str().and_then(|name| name.strip_prefix('#'));
        let named = reference.and_then(|pointer| document.pointer(pointer));
        // Of a word that is always the same the variant that has it says what it means.
        let is_tag = schema["const"].is_string();
        is_tag || [Some(schema), named].into_iter().flatten().any(|it| it["description"].is_string())
    };
    let bare: Vec<&str> =
        all.iter().filter(|(_, schema)| !says(schema)).map(|(place, _)| place.as_str()).collect();
    assert!(bare.is_empty(), "{} members have no description: {bare:#?}", bare.len());
}

#[test]
fn every_header_that_is_described_is_named_by_an_answer() {
    let document = read();
    let mut references = Vec::new();
    named(&document, "$ref", &mut references);
    let references: BTreeSet<&str> = references.into_iter().filter_map(Value::as_str).collect();
    for kind in ["headers", "schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(references.contains(format!("#/components/{kind}/{name}").as_str()), "{kind} {name}");
        }
    }
}

/// Whatever a refusal may be called is in the list of codes, with what to do.
#[test]
fn every_code_of_a_refusal_is_explained() {
    let document = read();
    let explained = document["components"]["schemas"]["ErrorCode"]["oneOf"].as_array().unwrap();
    let explained: BTreeSet<&str> = explained.iter().map(|code| code["const"].as_str().unwrap()).collect();
    let mut codes = BTreeSet::new();
    for answer in document["components"]["responses"].as_object().unwrap().values() {
        let content = &answer["content"]["application/json"];
        let refined = &content["schema"]["allOf"][1]["properties"];
        let code = if refined["code"].is_object() {
            &refined["code"]
        } else {
            &refined["error"]["properties"]["code"]
        };
        let words = code["enum"].as_array().or(code["examples"].as_array()).unwrap();
        codes.extend(words.iter().map(|word| word.as_str().unwrap()));
        // The example is one of them.
        let example = &content["example"];
        let shown = example["code"].as_str().or(example["error"]["code"].as_str()).unwrap();
        assert!(words.iter().any(|word| word == shown), "{content}");
    }
    let unused: Vec<_> = explained.symmetric_difference(&codes).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

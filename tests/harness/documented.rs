//! Whether an answer is one that `/openapi.json` tells of, headers included, whatever a test asks for.

use std::sync::LazyLock;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use serde_json::Value;

use super::answer::Answer;

/// As the host makes it.
static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_slice(patchbay::http::openapi()).unwrap());

/// Fails a test whose answer is not documented: its status, its headers, its type or, where it is an error, its code.
pub(super) fn check(path: &str, answer: &Answer) {
    let Answer { status, headers, body } = answer;
    let answers = answers(path, *status, headers);
    if answers.is_empty() || body.is_empty() {
        return;
    }
    let kind = content_type(headers);
    let contents: Vec<&Value> = answers.iter().filter_map(|it| it["content"].get(kind)).collect();
    assert!(!contents.is_empty(), "{path} {status} is {kind}, which is not documented");
    let json = serde_json::from_str::<Value>(body).unwrap_or_default();
    let code = json["code"].as_str().or(json["error"]["code"].as_str());
    if let Some(code) = code.filter(|_| *status >= 400) {
        let is_known = contents.iter().any(|content| has_code(&content["schema"], code));
        assert!(is_known, "{path} {status} has the code {code:?}, which is not documented");
    }
}

/// What may be asked at a path: of which of them an answer is, it does not say. A name that stands there as it is comes before one that anything fits.
fn operations(path: &str) -> Option<Vec<&'static Value>> {
    let paths = DOCUMENT["paths"].as_object()?;
    let fitting = paths.iter().filter(|(template, _)| fits(template, path));
    let (_, methods) = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
    Some(methods.as_object()?.values().collect())
}

fn fits(template: &str, path: &str) -> bool {
    // The rest of a path may have slashes in it.
    if let Some(beginning) = template.strip_suffix("{id}").filter(|it| it.starts_with("/v1/")) {
        return path.starts_with(beginning);
    }
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(part, word)| part.starts_with('{') || *part == word)
}

/// Those of a stream that has only begun.
pub(super) fn check_headers(path: &str, status: u16, headers: &HeaderMap) {
    answers(path, status, headers);
}

/// What is documented of answers with this status; nothing where there is no such route. Headers are looked at here.
fn answers(path: &str, status: u16, headers: &HeaderMap) -> Vec<&'static Value> {
    if headers.contains_key("access-control-allow-methods") {
        // What browsers ask beforehand is no route.
        return Vec::new();
    }
    let Some(operations) = operations(path) else {
        assert!([404, 405].contains(&status), "{path} is not documented: {status}");
        return Vec::new();
    };
    let code = status.to_string();
    let answers = operations.iter().filter_map(|operation| operation["responses"].get(&code));
    let answers: Vec<&Value> = answers.map(resolved).collect();
    assert!(!answers.is_empty(), "{path} answers {status}, which is not documented");
    let named = |name: &str| answers.iter().any(|answer| answer["headers"].get(name).is_some());
    for name in headers.keys().map(HeaderName::as_str).filter(|name| is_of_the_host(name)) {
        assert!(named(name), "{path} {status} has the header {name:?}, which is not documented");
    }
    let missing = |answer: &&'static Value| {
        let headers_of_it = answer["headers"].as_object().unwrap().iter();
        headers_of_it
            .filter(|(_, header)| resolved(header)["required"] == true)
            .find(|(name, _)| !headers.contains_key(*name))
            .map(|(name, _)| name)
    };
    let missing: Vec<&String> = answers.iter().filter_map(missing).collect();
    assert!(missing.len() < answers.len(), "{path} {status} lacks {missing:?}, which are always there");
    answers
}

/// Whether a header says something that clients act on, beside what HTTP itself needs and what every answer says to
/// browsers.
fn is_of_the_host(name: &str) -> bool {
    ["allow", "etag", "location", "retry-after", "www-authenticate", "x-request-id"].contains(&name)
        || name.starts_with("x-patchbay-")
        || name.starts_with("x-ratelimit-")
}

fn resolved(answer: &'static Value) -> &'static Value {
    let pointer = answer.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
    pointer.map_or(answer, |pointer| DOCUMENT.pointer(pointer).unwrap())
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing")
}

/// Whether an error may have this code; one without a list of its codes may have any.
fn has_code(schema: &Value, code: &str) -> bool {
    let refined = &schema["allOf"][1]["properties"];
    // Below /v1 it has OpenAI's shape.
    let codes = [&refined["code"], &refined["error"]["properties"]["code"]];
    let codes = codes.into_iter().find_map(|code| code["enum"].as_array());
    codes.is_none_or(|codes| codes.iter().any(|known| known == code))
}

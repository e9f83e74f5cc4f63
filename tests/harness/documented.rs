//! Whether an answer is one that `/openapi.json` tells of, whatever a test asks for.

use std::sync::LazyLock;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use super::answer::Answer;

/// As the host makes it.
static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_slice(patchbay::http::openapi()).unwrap());

/// Fails a test whose answer is not documented: its status, its type or, where it is an error, its code.
pub(super) fn check(path: &str, answer: &Answer) {
    if answer.headers.contains_key("access-control-allow-methods") {
        // What browsers ask beforehand is no route.
        return;
    }
    let Some(operations) = operations(path) else {
        assert!([404, 405].contains(&answer.status), "{path} is not documented: {}", answer.status);
        return;
    };
    let status = answer.status.to_string();
    let answers: Vec<&Value> =
        operations.iter().filter_map(|operation| operation["responses"].get(&status)).map(resolved).collect();
    assert!(!answers.is_empty(), "{path} answers {status}, which is not documented: {}", answer.body);
    if answer.body.is_empty() {
        return;
    }
    let kind = content_type(&answer.headers);
    let contents: Vec<&Value> = answers.iter().filter_map(|it| it["content"].get(kind)).collect();
    assert!(!contents.is_empty(), "{path} {status} is {kind}, which is not documented");
    let code = serde_json::from_str::<Value>(&answer.body).unwrap_or_default();
    let code = code.get("code").and_then(Value::as_str);
    if let Some(code) = code.filter(|_| answer.status >= 400) {
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

fn resolved(answer: &'static Value) -> &'static Value {
    let pointer = answer.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
    pointer.map_or(answer, |pointer| DOCUMENT.pointer(pointer).unwrap())
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing")
}

/// Whether an error may have this code; one without a list of its codes may have any.
fn has_code(schema: &Value, code: &str) -> bool {
    let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
    codes.is_none_or(|codes| codes.iter().any(|known| known == code))
}

//! What Google's failures mean, where their status does not say it.

use std::time::Duration;

use patchbay_plugin_api::{ErrorKind, Failure, ProviderError};
use serde_json::Value;

/// A failure, read further than its status: Google says 400 of a key that it does not know, and how long to wait in
/// the body instead of a header.
pub(crate) fn error(failure: &Failure<'_>) -> ProviderError {
    let body: Value = serde_json::from_slice(failure.body).unwrap_or_default();
    // A request for a stream is refused in a list.
    let said = &body.get(0).unwrap_or(&body)["error"];
    let mut error = failure.to_error();
    let word = said["status"].as_str().unwrap_or_default();
    if detail(said, "ErrorInfo", "reason") == Some("API_KEY_INVALID") {
        error.kind = ErrorKind::Authentication;
        error.detail = None;
    } else if failure.status == 400 && word == "FAILED_PRECONDITION" {
        // The key's account may not ask from here, or not without paying: no fault of the request.
        error.kind = ErrorKind::Provider;
    }
    if error.retry_after.is_none() {
        error.retry_after = detail(said, "RetryInfo", "retryDelay").and_then(seconds);
    }
    match error.kind {
        ErrorKind::Authentication => error,
        ErrorKind::InvalidInput if too_long(said) => error.with_code("context_length_exceeded"),
        // Nothing else is looked for, and clients know OpenAI's word for a model that is not there.
        _ if error.status == Some(404) => error.with_code("model_not_found"),
        _ => error.with_code(word),
    }
}

/// A failure in the place of an answer, as streams have it once their status is sent. It holds its own status.
pub(crate) fn within(body: &[u8]) -> ProviderError {
    let read: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = read["error"]["code"].as_u64().and_then(|code| u16::try_from(code).ok());
    error(&Failure::within(body, code))
}

/// A member of the first detail of a type.
fn detail<'a>(said: &'a Value, kind: &str, member: &str) -> Option<&'a str> {
    let details = said["details"].as_array()?.iter();
    let is = |detail: &&Value| detail["@type"].as_str().is_some_and(|name| name.ends_with(kind));
    details.filter(is).find_map(|detail| detail[member].as_str())
}

/// Google's durations: `34s`, `0.5s`.
fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}

/// Clients shorten a conversation when they are told so in OpenAI's word, and Google has none.
fn too_long(said: &Value) -> bool {
    said["message"].as_str().is_some_and(|message| {
        message.contains("token count") && message.contains("exceeds the maximum number of tokens")
    })
}

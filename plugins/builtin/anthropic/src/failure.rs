//! What Anthropic's errors mean.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay_plugin_api::dialect::unix_seconds;
use patchbay_plugin_api::{ErrorKind, Failure, ProviderError};
use serde_json::Value;

/// The types of errors and their statuses: in a stream only the type is told.
const STATUSES: [(&str, u16); 9] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

/// An answer with a status of failure.
pub(crate) fn of_status(failure: &Failure<'_>) -> ProviderError {
    let body: Value = serde_json::from_slice(failure.body).unwrap_or_default();
    let mut error = failure.to_error();
    if error.kind == ErrorKind::RateLimited {
        error.retry_after = error.retry_after.or_else(|| reset(failure));
    }
    told(error, &body["error"])
}

/// An error in the midst of a stream, or in an answer that claims success.
pub(crate) fn within(json: &[u8]) -> ProviderError {
    let said: Value = serde_json::from_slice(json).unwrap_or_default();
    let said = &said["error"];
    let status = STATUSES.iter().find(|(word, _)| said["type"] == *word).map(|(_, status)| *status);
    let failure = Failure::within(json, status);
    told(ProviderError { message: failure.described(), ..failure.to_error() }, said)
}

/// Adds what the type and the message of an error tell beyond its status.
fn told(mut error: ProviderError, said: &Value) -> ProviderError {
    if error.kind == ErrorKind::Authentication {
        return error;
    }
    let message = said["message"].as_str().unwrap_or_default();
    if error.kind == ErrorKind::InvalidInput {
        // It comes as a wrong request, but nothing is wrong with it, and another provider may serve it.
        if message.contains("credit balance") {
            error.kind = ErrorKind::Provider;
        }
        // Clients know OpenAI's word, and shorten the conversation.
        if message.contains("prompt is too long") || message.contains("exceed context limit") {
            return error.with_code("context_length_exceeded");
        }
    }
    // Nothing else is looked for, and clients know OpenAI's word for a model that is not there.
    if error.status == Some(404) {
        return error.with_code("model_not_found");
    }
    said["type"].as_str().into_iter().fold(error, ProviderError::with_code)
}

/// When the last of the limits that are used up is lifted.
fn reset(failure: &Failure<'_>) -> Option<Duration> {
    let header =
        |name: &str| failure.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.trim());
    let used_up = |kind: &&str| header(&format!("anthropic-ratelimit-{kind}-remaining")) == Some("0");
    let lifted = |kind: &str| unix_seconds(header(&format!("anthropic-ratelimit-{kind}-reset"))?);
    let kinds = ["requests", "tokens", "input-tokens", "output-tokens"];
    let last = kinds.iter().filter(|kind| used_up(kind)).filter_map(|kind| lifted(kind)).max()?;
    let lifted: SystemTime = UNIX_EPOCH.checked_add(Duration::from_secs(last))?;
    Some(lifted.duration_since(failure.now).unwrap_or_default())
}

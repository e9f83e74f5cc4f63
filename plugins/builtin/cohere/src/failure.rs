//! What Cohere's errors mean, where their status does not say it.

use patchbay_plugin_api::{ErrorKind, Failure, ProviderError};
use serde_json::json;

/// An answer with a status of failure.
pub(crate) fn of_status(failure: &Failure<'_>) -> ProviderError {
    let mut error = failure.to_error();
    if error.kind != ErrorKind::InvalidInput {
        return error;
    }
    // A limit of the answer that is too high begins the same, and a shorter conversation would not help.
    if error.message.contains("too many tokens") && !error.message.contains("max tokens must be") {
        return error.with_code("context_length_exceeded");
    }
    // Of a model without tools, images or thoughts: the request is fine for another one.
    if error.message.contains("not supported") {
        error.kind = ErrorKind::Unsupported;
    }
    error
}

/// An error in the place of an answer, of which there is only a text.
pub(crate) fn within(said: &str) -> ProviderError {
    let body = json!({"message": said}).to_string();
    ProviderError::new(ErrorKind::Provider, Failure::within(body.as_bytes(), None).described())
}

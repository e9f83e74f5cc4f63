//! What can go wrong on the way to an upstream, said without secrets: never a URL, only host and port.

use std::error::Error;
use std::time::Duration;

use patchbay_plugin_api::{ErrorKind, ProviderError};

/// No head of an answer came.
pub(super) fn of_sending(error: reqwest::Error, origin: &str, connect_timeout: Duration) -> ProviderError {
    // The URL may hold a key in its query.
    let error = error.without_url();
    let (kind, message) = if error.is_connect() && error.is_timeout() {
        let within = humantime::format_duration(connect_timeout);
        (ErrorKind::TimedOut, format!("no connection to {origin} within {within}"))
    } else if error.is_connect() {
        (ErrorKind::Connection, format!("cannot connect to {origin}"))
    } else if error.is_timeout() {
        (ErrorKind::TimedOut, format!("{origin} did not answer in time"))
    } else if error.is_builder() {
        (ErrorKind::Provider, format!("the request to {origin} cannot be made"))
    } else {
        (ErrorKind::Connection, format!("the connection to {origin} was lost before an answer came"))
    };
    ProviderError::new(kind, message).with_detail(chain(&error))
}

/// The body broke off.
pub(super) fn of_reading(error: &reqwest::Error, origin: &str) -> ProviderError {
    // A body's error has no URL: it is made where only the connection is known.
    ProviderError::new(ErrorKind::BrokenStream, format!("the answer from {origin} broke off"))
        .with_detail(chain(error))
}

/// The error with everything that caused it.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

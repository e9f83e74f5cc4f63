//! Errors to be shown as examples: made as the host makes them, wherever that takes no more than a name or a number.

use std::time::Duration;

use http::StatusCode;
use patchbay_plugin_api::{ErrorKind, ProviderError};

use crate::access::BookError;
use crate::gateway::{Failed, GatewayError, RequestError, SelectError};
use crate::http::error::{ApiError, Code};
use crate::limits::{Exceeded, Over, Standing};
use crate::plugins::EditError;

/// One with this status and code.
pub(super) fn example(status: StatusCode, code: Code) -> ApiError {
    let text = str::to_owned;
    let error = match code {
        Code::MissingField => RequestError::Missing("messages").into(),
        Code::InvalidJson => {
            RequestError::NotAnObject(text("EOF while parsing an object at line 1 column 12")).into()
        }
        Code::NoProviders => SelectError::NoProviders.into(),
        Code::ProviderNotFound => {
            SelectError::UnknownProvider { name: text("mokc"), near: vec![text("mock")] }.into()
        }
        Code::ModelNotFound => {
            SelectError::UnknownModel { name: text("mock-2"), near: vec![text("mock-1")] }.into()
        }
        Code::RateLimitExceeded => {
            let standing = Standing { limit: 60, remaining: 0, reset: Duration::from_secs(30) };
            Exceeded::Own(Over::Requests(standing)).into()
        }
        Code::ProviderExists => EditError::Taken(text("mock")).into(),
        Code::StaleVersion => EditError::Stale { version: 4 }.into(),
        Code::KeyNeeded => EditError::KeyNeeded.into(),
        Code::KeyNotFound => BookError::Unknown(text("key_5fb407382ef3a77e")).into(),
        Code::InternalError => ApiError::internal(),
        Code::Upgrading => ApiError::upgrading(Duration::from_secs(7)),
        Code::ShuttingDown => ApiError::shutting_down(),
        code => match ErrorKind::ALL.into_iter().find(|kind| Code::from(*kind) == code) {
            Some(kind) => failed(status, kind),
            // What is otherwise said each time anew.
            None => ApiError::new(status, code, code.about()),
        },
    };
    // Who is told so is told when to come back.
    if status == StatusCode::TOO_MANY_REQUESTS { error.after(Duration::from_secs(30)) } else { error }
}

/// What a provider came to.
fn failed(status: StatusCode, kind: ErrorKind) -> ApiError {
    let error = ProviderError::new(kind, "what upstream said of it").with_status(status.as_u16());
    GatewayError::Failed { last: Failed { provider: "mock".to_owned(), error }, earlier: Vec::new() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_what_it_is_shown_for() {
        let status = StatusCode::BAD_REQUEST;
        for code in Code::ALL {
            assert_eq!(example(status, *code).code(), code.word());
        }
    }
}

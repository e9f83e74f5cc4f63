//! Why a request was not served, in the terms of HTTP.

use std::borrow::Cow;

use http::StatusCode;
use patchbay_plugin_api::{ErrorKind, ProviderError};

use super::limits::{too_dear, too_large};
use super::{ApiError, Code, LONGEST_ASKED};
use crate::gateway::{Failed, GatewayError, Passed, RequestError, SelectError};

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let param = match &error {
            RequestError::Missing(name) | RequestError::Field { name, .. } => Some(*name),
            RequestError::Messages(_) => Some("messages"),
            RequestError::NotAnObject(_) => None,
        };
        let code = match error {
            RequestError::NotAnObject(_) => Code::InvalidJson,
            RequestError::Missing(_) => Code::MissingField,
            RequestError::Messages(_) => Code::InvalidMessages,
            RequestError::Field { .. } => Code::InvalidField,
        };
        let param = param.map(|name: &'static str| name.into());
        Self { param, ..Self::new(StatusCode::BAD_REQUEST, code, error.to_string()) }
    }
}

impl From<SelectError> for ApiError {
    fn from(error: SelectError) -> Self {
        let mut details = error.to_string();
        match error {
            SelectError::NoProviders => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::NoProviders, details)
            }
            SelectError::UnknownProvider { near, .. } => {
                details.push_str(&meant(&near));
                Self::new(StatusCode::NOT_FOUND, Code::ProviderNotFound, details)
            }
            SelectError::UnknownModel { near, .. } => {
                details.push_str(&meant(&near));
                let error = Self::new(StatusCode::NOT_FOUND, Code::ModelNotFound, details);
                Self { param: Some("model".into()), ..error }
            }
            SelectError::NothingAvailable { passed } => {
                let reasons: Vec<String> = passed.iter().take(MOST_TOLD).map(ToString::to_string).collect();
                let details = format!("{details} ({})", reasons.join("; "));
                if let Some(name) = only_to_be_changed(&passed) {
                    let error = Self::new(StatusCode::BAD_REQUEST, Code::InvalidField, details);
                    return Self { param: Some(name.into()), ..error };
                }
                if passed.iter().any(Passed::is_not_permitted) && !passed.iter().any(Passed::is_for_now) {
                    return Self::new(StatusCode::FORBIDDEN, Code::NotPermitted, details);
                }
                if passed.iter().any(Passed::is_too_large) && !passed.iter().any(Passed::is_for_now) {
                    let of_money = passed.iter().filter(|it| it.is_too_large()).all(Passed::is_too_dear);
                    return if of_money { too_dear(details) } else { too_large(details) };
                }
                // What they would say if they were asked again.
                let all_say = |what: fn(&Passed) -> bool| {
                    let mut askable = passed.iter().filter(|passed| passed.is_for_now()).peekable();
                    askable.peek().is_some() && askable.all(what)
                };
                let (status, code) = if all_say(Passed::is_set_aside) {
                    (StatusCode::TOO_MANY_REQUESTS, Code::BudgetSetAside)
                } else if all_say(Passed::is_spent) {
                    (StatusCode::TOO_MANY_REQUESTS, Code::BudgetExceeded)
                } else if all_say(Passed::is_limited) {
                    (StatusCode::TOO_MANY_REQUESTS, Code::RateLimited)
                } else if all_say(Passed::is_refused) {
                    (StatusCode::BAD_GATEWAY, Code::Authentication)
                } else {
                    (StatusCode::SERVICE_UNAVAILABLE, Code::NoProvidersAvailable)
                };
                let error = Self::new(status, code, details);
                Self { retry_after: passed.iter().filter_map(Passed::wait).min(), ..error }
            }
        }
    }
}

/// The member without which somebody could be asked, if nobody else ever can.
fn only_to_be_changed(passed: &[Passed]) -> Option<&'static str> {
    let for_now = passed.iter().any(Passed::is_for_now);
    passed.iter().find_map(Passed::beyond_chat).filter(|_| !for_now).map(|beyond| beyond.name)
}

fn meant(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; near names: {}", near.join(", ")) }
}

impl From<GatewayError> for ApiError {
    fn from(error: GatewayError) -> Self {
        let (last, earlier) = match error {
            GatewayError::Select(error) => return error.into(),
            GatewayError::Limited(exceeded) => return exceeded.into(),
            GatewayError::Failed { last, earlier } => (last, earlier),
        };
        let mut failure = Self::of_provider(&last.provider, &last.error);
        failure.status = upstreams_own(&last.error).unwrap_or(failure.status);
        if !earlier.is_empty() {
            let before: Vec<String> = earlier.iter().take(MOST_TOLD).map(said).collect();
            let more = earlier.len().saturating_sub(MOST_TOLD);
            let more = if more == 0 { String::new() } else { format!("; and {more} more") };
            failure.details = format!("{}; before it {}{more}", failure.details, before.join("; ")).into();
        }
        failure
    }
}

/// Of so many others an error tells; the log has them all.
const MOST_TOLD: usize = 8;

fn said(failed: &Failed) -> String {
    format!("{}: {}", failed.provider, failed.error.message)
}

/// The status that upstream gave, where it says more than the kind of failure does, and to the client.
fn upstreams_own(error: &ProviderError) -> Option<StatusCode> {
    let status = StatusCode::from_u16(error.status?).ok()?;
    let of_request = error.kind == ErrorKind::InvalidInput
        && matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY);
    let not_there = matches!(error.kind, ErrorKind::InvalidInput | ErrorKind::Provider)
        && status == StatusCode::NOT_FOUND;
    // Who is told otherwise tries again, at each host of the loop.
    let is_loop = error.kind == ErrorKind::Provider && status == StatusCode::LOOP_DETECTED;
    (of_request || not_there || is_loop).then_some(status)
}

impl ApiError {
    /// A provider's failure.
    pub(in crate::http) fn of_provider(name: &str, error: &ProviderError) -> Self {
        let status = match error.kind {
            ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
            ErrorKind::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Connection
            | ErrorKind::Authentication
            | ErrorKind::BrokenStream
            | ErrorKind::UnreadableAnswer
            | ErrorKind::Panicked
            | ErrorKind::Provider => StatusCode::BAD_GATEWAY,
        };
        // Upstream's own words are the client's as far as they are about its request.
        let of_request = error.kind == ErrorKind::InvalidInput || upstreams_own(error).is_some();
        let upstream_code = error.code.clone().filter(|_| of_request);
        let param = error.param.clone().filter(|_| of_request).map(Cow::Owned);
        let mut details = format!("{name}: {}", error.message);
        // Some clients, LangChain among them, look for it in the words alone.
        if let Some(code) = upstream_code.as_ref().filter(|code| !error.message.contains(*code)) {
            details.push_str(&format!(" ({code})"));
        }
        let failure = Self::new(status, error.kind.into(), details);
        let retry_after = error.retry_after.map(|wait| wait.min(LONGEST_ASKED));
        Self { retry_after, param, upstream_code, ..failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{BeyondChat, Reason};
    use crate::plugins::Feature;
    use crate::providers::Refusal;

    fn failed(error: ProviderError) -> GatewayError {
        GatewayError::Failed { last: Failed { provider: "p".to_owned(), error }, earlier: Vec::new() }
    }

    #[test]
    fn upstreams_status_is_kept_where_it_is_about_the_request() {
        for (kind, status, kept, code) in [
            (ErrorKind::InvalidInput, 400, 400, "invalid_input"),
            (ErrorKind::InvalidInput, 404, 404, "model_not_found"),
            (ErrorKind::InvalidInput, 413, 413, "invalid_input"),
            (ErrorKind::InvalidInput, 415, 400, "invalid_input"),
            (ErrorKind::InvalidInput, 422, 422, "invalid_input"),
            (ErrorKind::Provider, 404, 404, "model_not_found"),
            (ErrorKind::Provider, 413, 502, "provider"),
            (ErrorKind::Provider, 500, 502, "provider"),
            (ErrorKind::Provider, 508, 508, "provider"),
            (ErrorKind::Authentication, 404, 502, "authentication"),
        ] {
            let error = ApiError::from(failed(ProviderError::new(kind, "no").with_status(status)));
            assert_eq!((error.status.as_u16(), error.openai_code()), (kept, code), "{kind} {status}");
            // Outside of /v1 the code is that of the kind, as ever.
            assert_eq!(error.code(), kind.as_str());
        }
    }

    #[test]
    fn upstreams_words_are_the_clients_where_they_are_about_the_request() {
        for (kind, status, message, code, details) in [
            (ErrorKind::InvalidInput, 400, "too much", Some("too_long"), "p: too much (too_long)"),
            (ErrorKind::InvalidInput, 400, "it is too_long", Some("too_long"), "p: it is too_long"),
            (ErrorKind::Provider, 404, "no", Some("too_long"), "p: no (too_long)"),
            (ErrorKind::Provider, 500, "no", None, "p: no"),
            (ErrorKind::RateLimited, 429, "no", None, "p: no"),
        ] {
            let error = ProviderError::new(kind, message).with_status(status);
            let error = ApiError::from(failed(error.with_code("too_long").with_param("messages")));
            assert_eq!((error.upstream_code.as_deref(), &*error.details), (code, details));
            assert_eq!(error.param.as_deref(), code.map(|_| "messages"), "{details}");
        }
    }

    #[test]
    fn what_only_the_client_can_change_is_a_bad_request() {
        let echo = Reason::ChatOnly(BeyondChat { name: "echo", problem: "must be false" });
        let lacks = Reason::Lacks(Feature::ChatCompletion);
        let full = Reason::Refused(Refusal::Full(1));
        for (reasons, status, param) in [
            (&[echo][..], 400, Some("echo")),
            (&[lacks, echo], 400, Some("echo")),
            // Who is full now has another answer later.
            (&[echo, full], 503, None),
            (&[lacks], 503, None),
        ] {
            let passed = reasons.iter().map(|reason| Passed { provider: "p".to_owned(), reason: *reason });
            let error = ApiError::from(SelectError::NothingAvailable { passed: passed.collect() });
            assert_eq!((error.status.as_u16(), error.param.as_deref()), (status, param), "{reasons:?}");
        }
    }
}

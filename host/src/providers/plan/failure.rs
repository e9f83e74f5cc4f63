//! What upstream answers when it does not answer: statuses and error bodies, turned into kinds.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use patchbay_plugin_api::{ErrorKind, ProviderError};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::services::http::Response;
use crate::services::redact;

/// So much of an error's body is read.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// An upstream that fails may not even manage to say why; nobody waits long for that.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// An error from an answer whose status is not one of success.
pub(super) async fn of_response(response: Response, keys: &[SecretString]) -> ProviderError {
    let status = response.status;
    let wait = retry_after(&response.headers, SystemTime::now());
    let read = response.body.beginning(MAX_BODY_BYTES);
    let body = tokio::time::timeout(BODY_WITHIN, read).await.unwrap_or_default();
    let words = message_in(&body).map(|words| redact::clean(&words, keys)).filter(|words| !words.is_empty());
    let kind = ErrorKind::of_status(status.as_u16());
    let message = match (kind, words) {
        // What upstream says of our key is between it and the operator.
        (ErrorKind::Authentication, _) => {
            format!("the provider does not accept the configured key ({status})")
        }
        (_, Some(words)) => words,
        (_, None) => format!("the provider answered {status}"),
    };
    let mut error = ProviderError::new(kind, message)
        .with_status(status.as_u16())
        .with_detail(redact::clean(&String::from_utf8_lossy(&body), keys));
    error.retry_after = wait;
    if kind != ErrorKind::Authentication {
        error = with_words(error, error_in(&body), keys);
    }
    error
}

/// Adds the code and the parameter that upstream names, which clients act on.
fn with_words(error: ProviderError, said: Option<&RawValue>, keys: &[SecretString]) -> ProviderError {
    #[derive(Deserialize)]
    struct Words<'a> {
        #[serde(borrow)]
        code: Option<&'a RawValue>,
        #[serde(borrow)]
        param: Option<&'a RawValue>,
    }
    let words = said.and_then(|said| serde_json::from_str::<Words<'_>>(said.get()).ok());
    let Some(Words { code, param }) = words else { return error };
    // Some upstreams have numbers or lists there.
    let text = |word: Option<&RawValue>| serde_json::from_str::<String>(word?.get()).ok();
    let error = text(code).iter().fold(error, |error, code| error.with_code(code));
    let mut error = text(param).iter().fold(error, |error, param| error.with_param(param));
    redact::clean_words(&mut error, keys);
    error
}

/// An error that came where an answer or a chunk was due.
pub(super) fn of_error_member(error: &RawValue, keys: &[SecretString]) -> ProviderError {
    let status =
        serde_json::from_str::<Code>(error.get()).ok().and_then(|code| u16::try_from(code.code).ok());
    let status = status.filter(|status| (400..600).contains(status));
    let words = message_of(error).map(|words| redact::clean(&words, keys)).filter(|words| !words.is_empty());
    let message = words.unwrap_or_else(|| "the provider sent an error in its answer".to_owned());
    let kind = status.map_or(ErrorKind::Provider, ErrorKind::of_status);
    let mut failure = ProviderError::new(kind, message).with_detail(redact::clean(error.get(), keys));
    failure.status = status;
    with_words(failure, Some(error), keys)
}

/// `Retry-After`, in seconds or as a date; or OpenAI's milliseconds.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|value| value.parse().ok()) {
        return Some(Duration::from_millis(millis));
    }
    let value = text(http::header::RETRY_AFTER.as_str())?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[derive(Deserialize)]
struct Code {
    code: u32,
}

/// The error in a body, or the body itself where upstream says it without such a member.
fn error_in(body: &[u8]) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    let outer: Outer<'_> = serde_json::from_slice(body).ok()?;
    outer.error.or_else(|| serde_json::from_slice(body).ok())
}

/// The message in an error's body, whichever of the usual shapes it has; the body itself if it is plain text.
fn message_in(body: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        #[serde(borrow)]
        message: Option<&'a RawValue>,
        #[serde(borrow)]
        detail: Option<&'a RawValue>,
    }
    match serde_json::from_slice::<Outer<'_>>(body) {
        Ok(outer) => outer.error.or(outer.message).or(outer.detail).and_then(message_of),
        Err(_) => {
            let text = String::from_utf8_lossy(body);
            // A page of HTML from some proxy tells a client nothing.
            (!text.trim_start().starts_with(['<', '{', '['])).then_some(text)
        }
    }
}

/// The words of an error that is a string, or an object with a message.
fn message_of(error: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Inner {
        message: String,
    }
    if let Ok(text) = serde_json::from_str::<String>(error.get()) {
        return Some(Cow::Owned(text));
    }
    serde_json::from_str::<Inner>(error.get()).ok().map(|inner| Cow::Owned(inner.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_comes_in_three_shapes() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        for (name, value, expected) in [
            ("retry-after", "7", Some(7_000)),
            ("retry-after", "0.5", Some(500)),
            ("retry-after-ms", "250", Some(250)),
            ("retry-after", "Wed, 21 Oct 2026 07:29:30 GMT", Some(90_000)),
            ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", Some(0)),
            ("retry-after", "-1", None),
            ("retry-after", "soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_millis), "{value}");
        }
    }

    #[test]
    fn the_message_is_found_in_the_usual_shapes() {
        for (body, expected) in [
            (r#"{"error":{"message":"a","code":null}}"#, Some("a")),
            (r#"{"error":"b"}"#, Some("b")),
            (r#"{"message":"c","code":3}"#, Some("c")),
            (r#"{"detail":"d"}"#, Some("d")),
            (r#"{"detail":[{"loc":["body"]}]}"#, None),
            ("upstream connect error", Some("upstream connect error")),
            ("<html>502</html>", None),
            (r#"{"error":"cut"#, None),
        ] {
            assert_eq!(message_in(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn upstreams_own_words_are_kept() {
        for (body, code, param) in [
            (r#"{"error":{"code":"too_long","param":"messages"}}"#, Some("too_long"), Some("messages")),
            (r#"{"error":{"code":"too_long","param":null}}"#, Some("too_long"), None),
            (r#"{"message":"no","code":"too_long"}"#, Some("too_long"), None),
            (r#"{"error":{"code":400,"param":["a"]}}"#, None, None),
            (r#"{"error":{"code":"two words","param":"sk-abcdefgh1"}}"#, None, None),
            (r#"{"error":{"code":"the-key-itself"}}"#, None, None),
            (r#"{"error":"too_long"}"#, None, None),
            ("too_long", None, None),
        ] {
            let keys = [SecretString::from("the-key-itself")];
            let error = with_words(ProviderError::invalid_input("no"), error_in(body.as_bytes()), &keys);
            assert_eq!((error.code.as_deref(), error.param.as_deref()), (code, param), "{body}");
        }
    }

    #[test]
    fn an_error_in_a_stream_keeps_its_code() {
        let raw: Box<RawValue> =
            serde_json::from_str(r#"{"code":429,"message":"slow down, sk-abcdefgh1"}"#).unwrap();
        let error = of_error_member(&raw, &[]);
        assert_eq!((error.kind, error.status), (ErrorKind::RateLimited, Some(429)));
        assert_eq!(error.message, "slow down, ***");
        let raw: Box<RawValue> = serde_json::from_str(r#"{"code":"server_error"}"#).unwrap();
        assert_eq!(of_error_member(&raw, &[]).kind, ErrorKind::Provider);
    }
}

//! What an upstream's answer of failure means.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::http::header;
use crate::{ErrorKind, ProviderError};

/// How much of upstream's own words a client is shown, and how much the log.
const SHOWN: usize = 300;
const LOGGED: usize = 1000;

/// An answer with a status of failure.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    /// The status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: &'a [(String, String)],
    /// The beginning of its body.
    pub body: &'a [u8],
    /// When it came, for dates to be compared with.
    pub now: SystemTime,
}

impl<'a> Failure<'a> {
    /// A failure that is told in the place of an answer, as streams have it once their status of success is sent. Its
    /// own status is the one it should have had; 500 where upstream does not say it.
    pub fn within(body: &'a [u8], status: Option<u16>) -> Self {
        let status = status.filter(|status| (400..600).contains(status)).unwrap_or(500);
        Self { status, headers: &[], body, now: SystemTime::UNIX_EPOCH }
    }

    /// What to say of a failure that came without a status of failure.
    pub fn described(&self) -> String {
        match self.message() {
            Some(message) => format!("the provider failed: {message}"),
            None => "the provider failed and did not say why".to_owned(),
        }
    }
}

impl Failure<'_> {
    /// The usual meaning of status, `retry-after` and body.
    pub fn to_error(&self) -> ProviderError {
        let status = self.status;
        let body = serde_json::from_slice(self.body).unwrap_or_default();
        let message = match shown(&body) {
            Some(message) => format!("the provider answered {status}: {message}"),
            None => format!("the provider answered {status}"),
        };
        let mut error = ProviderError::new(self.kind(), message).with_status(status);
        error.retry_after = self.retry_after();
        // Some providers repeat a key they refuse.
        if error.kind != ErrorKind::Authentication && !self.body.is_empty() {
            error.detail = Some(clean(&String::from_utf8_lossy(self.body), LOGGED));
            error = with_words(error, &body);
        }
        error
    }

    /// What the status means.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::of_status(self.status)
    }

    /// What upstream says went wrong, fit to be shown.
    pub fn message(&self) -> Option<String> {
        shown(&serde_json::from_slice(self.body).ok()?)
    }

    /// How long upstream wants to be left alone: its `retry-after`, in seconds or as a date.
    pub fn retry_after(&self) -> Option<Duration> {
        let value = header(self.headers, "retry-after")?.trim();
        match value.parse() {
            Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Err(_) => {
                let date = httpdate::parse_http_date(value).ok()?;
                Some(date.duration_since(self.now).unwrap_or_default())
            }
        }
    }
}

fn shown(body: &Value) -> Option<String> {
    let message = clean(said(body)?, SHOWN);
    (!message.is_empty()).then_some(message)
}

/// Adds what clients act on, where upstream says it as OpenAI does.
fn with_words(error: ProviderError, body: &Value) -> ProviderError {
    let body = body.get(0).unwrap_or(body);
    let word = |name: &str| body.get("error").unwrap_or(body).get(name).and_then(Value::as_str);
    let error = word("code").into_iter().fold(error, ProviderError::with_code);
    word("param").into_iter().fold(error, ProviderError::with_param)
}

/// The message in the shapes that are in use.
fn said(body: &Value) -> Option<&str> {
    match body {
        Value::String(text) => Some(text),
        Value::Array(several) => said(several.first()?),
        Value::Object(members) => {
            ["error", "message", "detail", "msg"].iter().find_map(|name| members.get(*name).and_then(said))
        }
        _ => None,
    }
}

/// Text of a stranger as one line of at most so many characters.
pub(crate) fn clean(text: &str, length: usize) -> String {
    let spaced = text.replace(char::is_control, " ");
    let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(length) {
        Some((cut, _)) => format!("{}...", &line[..cut]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure<'a>(status: u16, headers: &'a [(String, String)], body: &'a str) -> Failure<'a> {
        // Sun, 06 Nov 1994 08:49:37 GMT, the date of HTTP's own examples.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        Failure { status, headers, body: body.as_bytes(), now }
    }

    #[test]
    fn statuses_have_their_kinds() {
        for (status, kind) in [
            (400, ErrorKind::InvalidInput),
            (401, ErrorKind::Authentication),
            (402, ErrorKind::Provider),
            (403, ErrorKind::Authentication),
            (404, ErrorKind::Provider),
            (408, ErrorKind::TimedOut),
            (413, ErrorKind::InvalidInput),
            (422, ErrorKind::InvalidInput),
            (429, ErrorKind::RateLimited),
            (302, ErrorKind::Provider),
            (418, ErrorKind::Provider),
            (500, ErrorKind::Provider),
            (503, ErrorKind::Provider),
            (504, ErrorKind::TimedOut),
            (529, ErrorKind::Provider),
        ] {
            let error = failure(status, &[], "").to_error();
            assert_eq!((error.kind, error.status, error.detail), (kind, Some(status), None));
            assert_eq!(error.message, format!("the provider answered {status}"));
        }
    }

    #[test]
    fn the_message_is_found_in_the_usual_shapes() {
        for body in [
            r#"{"error": {"message": "no such model", "type": "x"}}"#,
            r#"{"error": "no such model"}"#,
            r#"{"object": "error", "message": "no such model", "code": 1}"#,
            r#"{"detail": "no such model"}"#,
            r#"{"detail": [{"loc": ["body"], "msg": "no such model"}]}"#,
            r#"[{"error": {"code": 404, "message": "no such\n\u0000 \u001b model"}}]"#,
        ] {
            let error = failure(404, &[], body).to_error();
            assert_eq!(error.message, "the provider answered 404: no such model", "{body}");
        }
        for body in ["", "<html>busy</html>", "{}", r#"{"error": null}"#, r#"{"message": "\n"}"#] {
            assert_eq!(failure(500, &[], body).message(), None, "{body}");
        }
    }

    #[test]
    fn upstreams_own_words_are_kept() {
        for (status, body, code, param) in [
            (
                400,
                r#"{"error": {"code": "too_long", "param": "messages"}}"#,
                Some("too_long"),
                Some("messages"),
            ),
            (400, r#"[{"error": {"code": "too_long", "param": null}}]"#, Some("too_long"), None),
            (422, r#"{"message": "no", "code": "too_long"}"#, Some("too_long"), None),
            (400, r#"{"error": {"code": 400, "param": ["a"]}}"#, None, None),
            (400, r#"{"error": "too_long"}"#, None, None),
            (401, r#"{"error": {"code": "sk-123"}}"#, None, None),
        ] {
            let error = failure(status, &[], body).to_error();
            assert_eq!((error.code.as_deref(), error.param.as_deref()), (code, param), "{body}");
        }
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let body = format!(r#"{{"error": "{}"}}"#, "é".repeat(5000));
        let message = failure(500, &[], &body).message().unwrap();
        assert_eq!(message, format!("{}...", "é".repeat(300)));
    }

    #[test]
    fn a_refused_key_is_not_logged() {
        assert_eq!(failure(401, &[], r#"{"error": "bad key sk-123"}"#).to_error().detail, None);
        assert_eq!(failure(500, &[], "<p>oops").to_error().detail.as_deref(), Some("<p>oops"));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (value, wait) in [
            ("20", Some(Duration::from_secs(20))),
            ("0.5", Some(Duration::from_millis(500))),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(Duration::from_secs(60))),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(Duration::ZERO)),
            ("-1", None),
            ("NaN", None),
            ("soon", None),
        ] {
            let headers = [("retry-after".to_owned(), value.to_owned())];
            assert_eq!(failure(429, &headers, "").to_error().retry_after, wait, "{value}");
        }
    }
}

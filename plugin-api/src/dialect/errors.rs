//! What a vendor's errors mean beyond their statuses, as data.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use memchr::memmem;
use serde_json::Value;

use super::{Json, unix_seconds};
use crate::http::header;
use crate::http_provider::Failure;
use crate::{ErrorKind, ProviderError, Result};

/// What a vendor's errors mean beyond their statuses; take what it does not say from [`Errors::PLAIN`].
///
/// The vendor's own words, which clients are shown, are looked for in the members `error`, `message`, `detail` and `msg`,
/// and within those. An error that comes with a status of success, or in a stream, is recognised by a member
/// `error`; for one of another name call [`within`](Self::within) in [`AnswerReader`](super::AnswerReader)'s `event` and
/// `whole`.
///
/// When a limit is lifted is read from `retry-after`, from the member that [`wait`](Self::wait) names, and from the
/// headers that most vendors have in pairs, one saying `remaining` and the other `reset`.
///
/// ```
/// use patchbay_plugin_api::dialect::{Errors, Meaning};
/// use patchbay_plugin_api::{ErrorKind, Failure};
///
/// const ERRORS: Errors = Errors {
///     word: "/error/type",
///     meanings: &[("prompt is too long", Meaning::TooLong), ("no credit", Meaning::Kind(ErrorKind::Provider))],
///     ..Errors::PLAIN
/// };
///
/// let body = br#"{"error": {"type": "invalid_request", "message": "prompt is too long: 9 tokens"}}"#;
/// let error = ERRORS.of(&Failure { status: 400, headers: &[], body, now: std::time::SystemTime::now() });
/// assert_eq!(error.code.as_deref(), Some("context_length_exceeded"));
/// assert_eq!(ERRORS.within(br#"{"error": {"type": "busy"}}"#).code.as_deref(), Some("busy"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Errors {
    /// The path to the vendor's word for what is wrong, which becomes the code: clients act on it.
    pub word: &'static str,
    /// The statuses of words, for errors in the place of an answer, which have no status of their own. OpenAI's need
    /// not be said.
    pub statuses: &'static [(&'static str, u16)],
    /// What a request that is called wrong really is, by what its error says: the first that occurs anywhere in the
    /// body holds.
    pub meanings: &'static [(&'static str, Meaning)],
    /// The member that says how long to wait, wherever it stands in the body: seconds, as a number or a text (`34s`,
    /// too), or a date.
    pub wait: &'static str,
}

/// The words of OpenAI's that others have taken over.
const STATUSES: [(&str, u16); 5] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("rate_limit_error", 429),
];

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What is really wrong with a request that is called wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The conversation is longer than the model can read: clients shorten it when they are told so in OpenAI's word.
    TooLong,
    /// It is an error of this kind.
    Kind(ErrorKind),
}

impl Errors {
    /// Statuses say all.
    pub const PLAIN: Self = Self { word: "", statuses: &[], meanings: &[], wait: "" };

    /// What an answer with a status of failure means.
    pub fn of(&self, failure: &Failure<'_>) -> ProviderError {
        let body = body(failure.body);
        let mut error = failure.to_error();
        let meaning = self.meaning(&error, failure.body);
        if let Some(Meaning::Kind(kind)) = meaning {
            error.kind = kind;
        }
        error.retry_after = error.retry_after.or_else(|| self.until_lifted(&error, &body, failure));
        if error.kind == ErrorKind::Authentication {
            // Nothing of what is said about a key is repeated.
            return ProviderError { detail: None, code: None, ..error };
        }
        match body.pointer(self.word).and_then(Value::as_str) {
            _ if meaning == Some(Meaning::TooLong) => error.with_code("context_length_exceeded"),
            // Nothing else is looked for, and clients know OpenAI's word for a model that is not there.
            Some(_) if error.status == Some(404) => error.with_code("model_not_found"),
            Some(word) => error.with_code(word),
            None => error,
        }
    }

    fn meaning(&self, error: &ProviderError, body: &[u8]) -> Option<Meaning> {
        let says = |words: &str| memmem::find(body, words.as_bytes()).is_some();
        let mut meanings = self.meanings.iter().filter(|_| error.kind == ErrorKind::InvalidInput);
        meanings.find(|(words, _)| says(words)).map(|(_, meaning)| *meaning)
    }

    /// An error in the place of an answer, or of some more of one. Its code may be the status that it should have had.
    pub fn within(&self, json: &[u8]) -> ProviderError {
        let body = body(json);
        let word = body.pointer(self.word).and_then(Value::as_str);
        let mut statuses = self.statuses.iter().chain(&STATUSES);
        let known = statuses.find(|(known, _)| word == Some(known)).map(|(_, status)| *status);
        let code = body["error"]["code"].as_u64().and_then(|code| u16::try_from(code).ok());
        let failure = Failure::within(json, code.or(known));
        ProviderError { message: failure.described(), ..self.of(&failure) }
    }

    /// Reads what came with a status of success, which does not mean that it is no error: one stands in a member of
    /// that name.
    pub fn read<'a>(&self, what: &str, json: &'a [u8]) -> Result<Json<'a>> {
        let read = Json::read(what, json)?;
        let may_fail = memmem::find(json, b"\"error\"").is_some();
        if may_fail && !read.at("/error").is_null() { Err(self.within(json)) } else { Ok(read) }
    }

    /// When to come back, where `retry-after` does not say it.
    fn until_lifted(&self, error: &ProviderError, body: &Value, failure: &Failure<'_>) -> Option<Duration> {
        let said = Some(self.wait).filter(|name| !name.is_empty()).and_then(|name| member(body, name));
        let limits = failure.headers.iter().filter(|_| error.kind == ErrorKind::RateLimited);
        let lifted = limits.filter(|(_, left)| left.trim() == "0").filter_map(|(name, _)| {
            let reset = name.contains("remaining").then(|| name.replace("remaining", "reset"))?;
            until(header(failure.headers, &reset)?.trim(), failure.now)
        });
        said.and_then(|time| until(&time, failure.now)).or_else(|| lifted.max())
    }
}

/// Some refuse a request for a stream in a list.
fn body(json: &[u8]) -> Value {
    match serde_json::from_slice(json).unwrap_or_default() {
        Value::Array(several) => several.into_iter().next().unwrap_or_default(),
        body => body,
    }
}

/// The first text or number of this name, at whatever depth.
fn member<'a>(body: &'a Value, name: &str) -> Option<Cow<'a, str>> {
    match body {
        Value::Object(members) => {
            let here = match members.get(name) {
                Some(Value::String(text)) => Some(Cow::Borrowed(text.as_str())),
                Some(Value::Number(number)) => Some(Cow::Owned(number.to_string())),
                _ => None,
            };
            here.or_else(|| members.values().find_map(|inner| member(inner, name)))
        }
        Value::Array(items) => items.iter().find_map(|inner| member(inner, name)),
        _ => None,
    }
}

/// How long it is until a time: a date, or seconds such as `34s` and `0.5`. A number of more than a year is a time, too,
/// but nobody knows in which unit.
fn until(time: &str, now: SystemTime) -> Option<Duration> {
    match unix_seconds(time) {
        Some(seconds) => {
            let lifted = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
            Some(lifted.duration_since(now).unwrap_or_default())
        }
        None => {
            let wait = Duration::try_from_secs_f64(time.strip_suffix('s').unwrap_or(time).parse().ok()?);
            wait.ok().filter(|wait| *wait <= YEAR)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERRORS: Errors = Errors {
        word: "/error/type",
        statuses: &[("busy", 529)],
        meanings: &[
            ("tokens to write", Meaning::Kind(ErrorKind::InvalidInput)),
            ("too many tokens", Meaning::TooLong),
            ("cannot draw", Meaning::Kind(ErrorKind::Unsupported)),
            ("KEY_UNKNOWN", Meaning::Kind(ErrorKind::Authentication)),
        ],
        wait: "wait",
    };

    fn failed(status: u16, headers: &[(&str, &str)], body: &str) -> ProviderError {
        let owned: Vec<_> = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        ERRORS.of(&Failure { status, headers: &owned, body: body.as_bytes(), now })
    }

    #[test]
    fn a_wrong_request_is_what_its_error_says() {
        let invalid = ErrorKind::InvalidInput;
        for (status, says, kind, code) in [
            (400, "bad", invalid, Some("wrong")),
            (400, "too many tokens", invalid, Some("context_length_exceeded")),
            (400, "too many tokens to write", invalid, Some("wrong")),
            (413, "too many tokens", invalid, Some("context_length_exceeded")),
            (500, "too many tokens", ErrorKind::Provider, Some("wrong")),
            (400, "it cannot draw", ErrorKind::Unsupported, Some("wrong")),
            (400, "KEY_UNKNOWN", ErrorKind::Authentication, None),
            (401, "bad", ErrorKind::Authentication, None),
            (404, "bad", ErrorKind::Provider, Some("model_not_found")),
        ] {
            for body in [
                format!(r#"{{"error": {{"type": "wrong", "message": "{says}"}}}}"#),
                format!(r#"[{{"error": {{"type": "wrong", "details": [{{"reason": "{says}"}}]}}}}]"#),
            ] {
                let error = failed(status, &[], &body);
                assert_eq!((error.kind, error.code.as_deref()), (kind, code), "{status} {body}");
                assert_eq!(error.detail.is_none(), kind == ErrorKind::Authentication, "{body}");
            }
        }
        assert_eq!(failed(404, &[], "<html>").code, None, "not even the vendor says that it is its own");
        let openai = r#"{"error": {"message": "too many tokens", "code": "x"}}"#;
        assert_eq!(Errors::PLAIN.within(openai.as_bytes()).code.as_deref(), Some("x"));
    }

    #[test]
    fn the_last_limit_to_be_lifted_is_waited_for() {
        let requests =
            [("x-limit-requests-remaining", "0"), ("x-limit-requests-reset", "1970-01-01T00:02:00Z")];
        let tokens = |left| [("x-remaining-tokens", left), ("x-reset-tokens", "30s")];
        fn wait(headers: &[&[(&str, &str)]], body: &str) -> Option<Duration> {
            failed(429, &headers.concat(), body).retry_after
        }
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        assert_eq!(wait(&[&requests, &tokens("0")], ""), seconds(30.0));
        assert_eq!(wait(&[&requests, &tokens("1")], ""), seconds(20.0));
        assert_eq!(wait(&[&tokens("1")], ""), None);
        assert_eq!(wait(&[&[("x-remaining", "0"), ("x-reset", "1767225609000")]], ""), None);
        assert_eq!(wait(&[&requests, &[("retry-after", "2")]], ""), seconds(2.0));
        for (said, waited) in [
            (r#""34s""#, seconds(34.0)),
            (r#""0.5""#, seconds(0.5)),
            (r#""soon""#, None),
            (r#""-1s""#, None),
            ("20", seconds(20.0)),
            ("1.5", seconds(1.5)),
            ("-1", None),
            ("null", None),
        ] {
            let body = format!(r#"{{"error": {{"details": [{{"a": 1}}, {{"wait": {said}}}]}}}}"#);
            assert_eq!(wait(&[], &body), waited, "{body}");
        }
        assert_eq!(failed(500, &requests, "").retry_after, None, "no limit was met");
    }

    #[test]
    fn an_error_in_the_place_of_an_answer_is_one() {
        for (body, status) in [
            (r#"{"error": {"type": "busy", "message": "full"}}"#, 529),
            (r#"{"error": {"type": "rate_limit_error", "message": "full"}}"#, 429),
            (r#"{"error": {"code": 503, "message": "full"}}"#, 503),
            (r#"{"error": {"code": 7, "message": "full"}}"#, 500),
            (r#"{"type": "oh", "error": "full"}"#, 500),
        ] {
            let error = ERRORS.read("it", body.as_bytes()).unwrap_err();
            assert_eq!(
                (error.message.as_str(), error.status),
                ("the provider failed: full", Some(status)),
                "{body}"
            );
        }
        for body in [r#"{"error": null}"#, r#"{"said": {"error": "no"}}"#, r#"["error"]"#] {
            assert_eq!(ERRORS.read("it", body.as_bytes()).unwrap().as_str(), body);
        }
        assert_eq!(ERRORS.read("it", b"\"error\": 1").unwrap_err().kind, ErrorKind::UnreadableAnswer);
    }
}

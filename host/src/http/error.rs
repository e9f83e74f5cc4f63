//! Everything that can be answered in place of an answer: status, code and words, chosen here and nowhere else.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

pub(super) use self::codes::Code;
use super::limits::put_standing;
use crate::limits::Standing;

// What errors are called, and what that means.
mod codes;
// What the gateway says, and what providers said to it.
mod gateway;
// What there is too much of.
mod limits;

/// An error as a client gets to see it.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    /// For programs; for people it has few words, which are always the same.
    code: Code,
    /// What it is this time, and how to mend it.
    details: Cow<'static, str>,
    retry_after: Option<Duration>,
    /// The member of the request that it is about.
    param: Option<Cow<'static, str>>,
    /// The code that a provider's upstream gave it, for clients that know it.
    upstream_code: Option<String>,
    /// How a limit of this host's stands, where that is what it is about.
    standing: Option<Standing>,
}

/// Whose shape an error has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dialect {
    Own,
    OpenAi,
}

impl Dialect {
    /// Everything below `/v1` is for clients of OpenAI's.
    pub(super) fn of_path(path: &str) -> Self {
        let below = path.strip_prefix("/v1").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if below { Self::OpenAi } else { Self::Own }
    }
}

/// What is answered in place of an answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct Shape<'a> {
    /// Short, and always the same.
    error: &'a str,
    #[schemars(with = "Code")]
    code: &'a str,
    /// What it is this time, and how to mend it.
    details: &'a str,
    /// What the request is called in the host's log; the header `x-request-id` has it, too.
    request_id: &'a str,
    /// When it was refused.
    timestamp: String,
    /// When there is room again.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_at: Option<String>,
}

/// The shape that clients of OpenAI's know.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenAiError")]
pub(super) struct OpenAiShape<'a> {
    /// What went wrong.
    error: OpenAiError<'a>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenAiErrorBody")]
struct OpenAiError<'a> {
    /// What it is, and how to mend it.
    message: &'a str,
    /// What kind of error it is, as OpenAI has it.
    r#type: &'a str,
    /// The member of the request that it is about.
    param: Option<&'a str>,
    /// For programs: a word of `ErrorCode`, or upstream's own where upstream gave one.
    code: &'a str,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: Code, details: impl Into<Cow<'static, str>>) -> Self {
        let details = details.into();
        Self { status, code, details, retry_after: None, param: None, upstream_code: None, standing: None }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// A failure of the host itself. What it was is in the log only.
    pub(super) fn internal() -> Self {
        let details = "The request could not be served; the log has more under this request id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::InternalError, details)
    }

    pub(super) fn unauthorized(details: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, details)
    }

    pub(super) fn forbidden(details: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Forbidden, details)
    }

    /// Two hosts are there: nothing is changed that both have, and the first begins nothing any more.
    pub(super) fn upgrading(wait: Duration) -> Self {
        let seconds = seconds(wait);
        let details = format!("The host is being upgraded; send the request again in about {seconds} s");
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Upgrading, details);
        Self { retry_after: Some(wait), ..error }
    }

    /// The host ends, and has waited for this answer for as long as it may.
    pub(super) fn shutting_down() -> Self {
        let details = "The host ended before the answer was complete; send the request again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::ShuttingDown, details)
    }

    pub(super) fn unsupported(details: String) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::Unsupported, details)
    }

    /// For programs, the books and the audit trail.
    pub(super) fn code(&self) -> &'static str {
        self.code.word()
    }

    /// The same error for whoever may come back then.
    pub(super) fn after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The error's JSON.
    pub(super) fn json(&self, request_id: &str) -> Bytes {
        self.json_at(request_id, SystemTime::now())
    }

    /// The same at another time, for examples.
    pub(super) fn json_at(&self, request_id: &str, now: SystemTime) -> Bytes {
        let shape = Shape {
            error: self.code.error(),
            code: self.code.word(),
            details: &self.details,
            request_id,
            timestamp: timestamp(now),
            reset_at: self.reset_at(now).map(timestamp),
        };
        // Strings in memory can always be written.
        serde_json::to_vec(&shape).unwrap_or_default().into()
    }

    /// When whoever was refused has room again: what `retry-after` says, as a time.
    fn reset_at(&self, now: SystemTime) -> Option<SystemTime> {
        let wait = self.retry_after.filter(|_| self.status == StatusCode::TOO_MANY_REQUESTS)?;
        now.checked_add(wait)
    }

    /// The error's JSON in OpenAI's shape.
    pub(super) fn openai_json(&self) -> Bytes {
        let error = OpenAiError {
            message: &self.details,
            r#type: self.openai_type(),
            param: self.param.as_deref(),
            code: self.openai_code(),
        };
        // Strings in memory can always be written.
        serde_json::to_vec(&OpenAiShape { error }).unwrap_or_default().into()
    }

    fn openai_code(&self) -> &str {
        let own = self.code.in_dialect(self.status, Dialect::OpenAi).word();
        self.upstream_code.as_deref().unwrap_or(own)
    }

    fn openai_type(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "authentication_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            // What an upstream did is not this server's failure.
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => "api_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// Gives the answer that stands for this error its body and headers.
    pub(super) fn render(self, response: &mut Response, dialect: Dialect, request_id: &str) {
        let json = match dialect {
            Dialect::Own => self.json(request_id),
            Dialect::OpenAi => self.openai_json(),
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, json.len().into());
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, whole_seconds(wait));
        }
        if let Some(standing) = &self.standing {
            put_standing(headers, standing);
        }
        *response.body_mut() = json.into();
    }
}

impl IntoResponse for ApiError {
    /// Without a body: that needs the request's id, which the outermost layer knows and adds.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What is wrong with a query, without the words around it that are of no use to whoever has written it.
pub(super) fn query_problem(error: &QueryRejection) -> String {
    let text = error.body_text();
    text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text).to_owned()
}

/// A time as it stands in answers.
pub(super) fn timestamp(time: SystemTime) -> String {
    // No later one can be written.
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(time.min(last)).to_string()
}

pub(super) async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, Code::NotFound, "There is nothing at this path")
}

pub(super) async fn method_not_allowed() -> ApiError {
    let details = "This path does not take this method; the header `allow` lists those it takes";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, details)
}

/// Answers everything with that: the other host serves already.
pub(super) fn upgrading() -> Router {
    Router::new().fallback(async || ApiError::upgrading(Duration::from_secs(1)))
}

/// Upstreams ask for any time they like; nobody is sent away for longer than a day for that.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// Rounded up: who comes a moment too early is refused again.
pub(super) fn whole_seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(seconds(wait))
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_v1_is_openais() {
        for (path, dialect) in [
            ("/v1", Dialect::OpenAi),
            ("/v1/models/a/b", Dialect::OpenAi),
            ("/v10/models", Dialect::Own),
            ("/api/v1/", Dialect::Own),
        ] {
            assert_eq!(Dialect::of_path(path), dialect, "{path}");
        }
    }
}

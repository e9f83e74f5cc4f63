//! What can go wrong with a provider, and what follows from it.

use std::fmt;
use std::time::Duration;

use abi_stable::std_types::RString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::abi::AbiError;
use crate::json;

/// The result of everything a provider does.
pub type Result<T, E = ProviderError> = std::result::Result<T, E>;

/// What went wrong, in the terms in which gateway and client act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request or the configuration is not acceptable as it is.
    InvalidInput,
    /// The provider does not accept the key.
    Authentication,
    /// The provider answered that it failed.
    Provider,
    /// The provider's answer could not be understood.
    UnreadableAnswer,
    /// The answer broke off.
    BrokenStream,
    /// The provider could not be reached.
    Connection,
    /// The provider asks for fewer requests.
    RateLimited,
    /// The answer did not come in time.
    TimedOut,
    /// The caller went away.
    Cancelled,
    /// The plugin's code panicked; this one call is lost.
    Panicked,
    /// The provider does not do this.
    Unsupported,
}

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Whoever sent the request.
    Client,
    /// The provider upstream, or the way to it.
    Provider,
    /// The plugin's author.
    Plugin,
    /// Whoever runs the host.
    Host,
}

impl ErrorKind {
    /// Every kind, in the order of their codes.
    pub const ALL: [Self; 11] = [
        Self::InvalidInput,
        Self::Authentication,
        Self::Provider,
        Self::UnreadableAnswer,
        Self::BrokenStream,
        Self::Connection,
        Self::RateLimited,
        Self::TimedOut,
        Self::Cancelled,
        Self::Panicked,
        Self::Unsupported,
    ];

    /// The number that stands for this kind in the ABI. Never changes.
    pub const fn code(self) -> u32 {
        self as u32 + 1
    }

    /// The kind of a number; one this version does not know is a failure of the provider.
    pub fn from_code(code: u32) -> Self {
        Self::ALL.into_iter().find(|kind| kind.code() == code).unwrap_or(Self::Provider)
    }

    /// What an upstream's status of failure means for whoever asked.
    pub const fn of_status(status: u16) -> Self {
        match status {
            400 | 413 | 415 | 422 => Self::InvalidInput,
            401 | 403 => Self::Authentication,
            408 | 504 => Self::TimedOut,
            429 => Self::RateLimited,
            // A model that is not there (404) or no credit (402) is this provider's failure: another may do it.
            _ => Self::Provider,
        }
    }

    /// The word for it in logs, metrics and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Authentication => "authentication",
            Self::Provider => "provider",
            Self::UnreadableAnswer => "unreadable_answer",
            Self::BrokenStream => "broken_stream",
            Self::Connection => "connection",
            Self::RateLimited => "rate_limited",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
            Self::Unsupported => "unsupported",
        }
    }

    /// Whose fault it is.
    pub const fn fault(self) -> Fault {
        match self {
            Self::InvalidInput | Self::Cancelled | Self::Unsupported => Fault::Client,
            Self::Authentication => Fault::Host,
            Self::Panicked => Fault::Plugin,
            _ => Fault::Provider,
        }
    }

    /// Whether another try may succeed, here or at another provider. A request that one finds wrong is wrong everywhere.
    pub const fn retryable(self) -> bool {
        !matches!(self, Self::InvalidInput)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a provider could not do what it was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// For the client, in a sentence. Never a secret.
    pub message: String,
    /// For the log: what only an operator should see.
    pub detail: Option<String>,
    /// The status upstream answered with.
    pub status: Option<u16>,
    /// How long upstream wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Upstream's own word for what is wrong, such as `context_length_exceeded`: clients act on it.
    pub code: Option<String>,
    /// The member of the request that upstream says it is about.
    pub param: Option<String>,
}

/// No code or name of a member is longer.
const LONGEST_WORD: usize = 64;

impl ProviderError {
    /// An error of a kind with its public message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            detail: None,
            status: None,
            retry_after: None,
            code: None,
            param: None,
        }
    }

    /// The request or configuration cannot be used.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// A member of the request cannot be used.
    pub fn unusable(member: &str) -> Self {
        Self::invalid_input(format!("the request has an unusable `{member}`")).with_param(member)
    }

    /// Upstream sent something that is not what its documentation says.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::UnreadableAnswer, message)
    }

    /// This provider does not do what was asked.
    pub fn unsupported(what: &str) -> Self {
        Self::new(ErrorKind::Unsupported, format!("this provider does not support {what}"))
    }

    /// Adds what only the log should show.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds upstream's status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds how long to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds upstream's own code. What is not a word or a path of at most 64 characters (letters, digits, `_.-[]`) is
    /// left out: no client knows such a code, and nobody knows what is in it.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        self.code = word(code);
        self
    }

    /// Adds the member of the request that it is about, such as `messages[0].content`, under the same rule.
    #[must_use]
    pub fn with_param(mut self, param: &str) -> Self {
        self.param = word(param);
        self
    }
}

fn word(text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-[]".contains(&byte);
    let fits = !text.is_empty() && text.len() <= LONGEST_WORD && text.bytes().all(allowed);
    fits.then(|| text.to_owned())
}

/// What [`AbiError::extra`] holds, as JSON; nothing at all where there is nothing to say.
fn extra(code: Option<String>, param: Option<String>) -> RString {
    let mut extra = Map::new();
    for (name, word) in [("code", code), ("param", param)] {
        extra.extend(word.map(|word| (name.to_owned(), word.into())));
    }
    if extra.is_empty() { RString::new() } else { json::to_string(&extra).into() }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ProviderError {}

impl AbiError {
    pub(crate) fn panicked(message: &str) -> Self {
        ProviderError::new(ErrorKind::Panicked, message).into()
    }
}

impl From<ProviderError> for AbiError {
    #[inline(never)]
    fn from(error: ProviderError) -> Self {
        Self {
            kind: error.kind.code(),
            status: error.status.map_or(0, u32::from),
            retry_after_ms: error
                .retry_after
                .map_or(u64::MAX, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX - 1)),
            message: error.message.into(),
            detail: error.detail.unwrap_or_default().into(),
            extra: extra(error.code, error.param),
        }
    }
}

impl From<AbiError> for ProviderError {
    /// Copies: nothing of the result belongs to the other side any more.
    #[inline(never)]
    fn from(error: AbiError) -> Self {
        // Empty from plugins of before, and of a plugin's own making otherwise: what cannot be read says nothing.
        let extra: Map<String, Value> = serde_json::from_str(&error.extra).unwrap_or_default();
        let said = |name: &str| extra.get(name).and_then(Value::as_str).and_then(word);
        Self {
            kind: ErrorKind::from_code(error.kind),
            message: error.message.as_str().to_owned(),
            detail: (!error.detail.is_empty()).then(|| error.detail.as_str().to_owned()),
            status: u16::try_from(error.status).ok().filter(|status| *status != 0),
            retry_after: (error.retry_after_ms != u64::MAX)
                .then(|| Duration::from_millis(error.retry_after_ms)),
            code: said("code"),
            param: said("param"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_survive_the_boundary() {
        for kind in ErrorKind::ALL {
            let bare = ProviderError::new(kind, "no");
            assert_eq!(ProviderError::from(AbiError::from(bare.clone())), bare);
            let full = bare
                .with_detail("because")
                .with_status(429)
                .with_retry_after(Duration::from_millis(1500))
                .with_code("too_long")
                .with_param("messages[0].content");
            assert_eq!((full.code.is_some(), full.param.is_some()), (true, true));
            assert_eq!(ProviderError::from(AbiError::from(full.clone())), full);
        }
    }

    #[test]
    fn a_code_is_a_word() {
        let long = "x".repeat(65);
        for (code, kept) in [
            ("context_length_exceeded", true),
            ("tools[0].function-name", true),
            (&long[..64], true),
            (&long, false),
            ("", false),
            ("two words", false),
            ("<b>", false),
            ("\u{e9}t\u{e9}", false),
        ] {
            let error = ProviderError::invalid_input("no").with_code(code).with_param(code);
            let expected = kept.then_some(code);
            assert_eq!((error.code.as_deref(), error.param.as_deref()), (expected, expected), "{code}");
            // Whoever writes the fields by hand gets no further with it.
            let by_hand = ProviderError { code: Some(code.into()), ..ProviderError::invalid_input("no") };
            assert_eq!(ProviderError::from(AbiError::from(by_hand)).code.as_deref(), expected, "{code}");
        }
    }

    #[test]
    fn what_comes_with_an_error_may_be_anything() {
        for (extra, code) in [
            ("", None),
            ("{}", None),
            ("nonsense", None),
            (r#"{"code": 5}"#, None),
            (r#"{"code": "a", "later": {"b": 1}}"#, Some("a")),
        ] {
            let error = AbiError { extra: extra.into(), ..ProviderError::invalid_input("no").into() };
            assert_eq!(ProviderError::from(error).code.as_deref(), code, "{extra}");
        }
    }

    #[test]
    fn an_unknown_kind_is_a_failure_of_the_provider() {
        assert_eq!(ErrorKind::from_code(0), ErrorKind::Provider);
        assert_eq!(ErrorKind::from_code(4_000_000_000), ErrorKind::Provider);
    }
}

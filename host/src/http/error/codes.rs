//! The codes of errors: for each the word that programs look at, the few words that people see, and a sentence on what
//! it means and what to do. One table, so that none of them can be without the others.

use std::borrow::Cow;

use http::StatusCode;
use patchbay_plugin_api::ErrorKind;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::Dialect;
use crate::plugins::ProblemCode;

/// Makes the codes of the table. The sentence is the comment: a code without one does not compile.
macro_rules! codes {
    ($($(#[doc = $about:literal])+ $code:ident = $word:literal, $error:literal;)+) => {
        /// What an error is called, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(in crate::http) enum Code {
            $($(#[doc = $about])+ $code,)+
        }

        impl Code {
            /// In the order of the table.
            pub(in crate::http) const ALL: &[Self] = &[$(Self::$code),+];

            /// As it stands in answers.
            pub(in crate::http) const fn word(self) -> &'static str {
                match self { $(Self::$code => $word,)+ }
            }

            /// For people; short, and always the same.
            pub(in crate::http) const fn error(self) -> &'static str {
                match self { $(Self::$code => $error,)+ }
            }

            /// What it means, and what to do.
            pub(in crate::http) const fn about(self) -> &'static str {
                match self { $(Self::$code => concat!($($about),+).trim_ascii(),)+ }
            }
        }
    };
}

// In the order in which a request meets them; examples show the first that a status has.
codes! {
    /// A token is needed, or the one that came is not known or has expired: send `authorization: Bearer <token>`.
    Unauthorized = "unauthorized", "Not authorized";
    /// A key of this host, or its admin token, is needed, or the one that came is not known or has expired. Elsewhere than
    /// below /v1 it is called `unauthorized`.
    InvalidApiKey = "invalid_api_key", "Not authorized";
    /// Whoever asks may not do this: use a key with the scope that `details` names, or ask from where it is allowed.
    Forbidden = "forbidden", "Not allowed";
    /// The key is not for this model or provider: ask for another one, or have the key changed.
    NotPermitted = "not_permitted", "Not allowed";
    /// There is a budget, and the model has no price that it could count: ask for one that has, or give it one (`pricing`).
    UnpricedModel = "unpriced_model", "Not allowed";
    /// The path is there, but not for this method: the header `allow` lists those that it takes.
    MethodNotAllowed = "method_not_allowed", "Method not allowed";
    /// A body has to be JSON and to say so: send `content-type: application/json`.
    UnsupportedMediaType = "unsupported_media_type", "Unsupported media type";

    /// A member of the body that has to be there is not: `details` names it, below /v1 `param` as well.
    MissingField = "missing_field", "Missing required field";
    /// A member of the body is not as it has to be: `details` names it and says what it may be.
    InvalidField = "invalid_field", "Invalid field";
    /// The messages are not as they have to be: `details` says which of them, counted from 0, and what is wrong with it.
    InvalidMessages = "invalid_messages", "Invalid messages format";
    /// The body is no JSON, or no object: `details` says where it breaks off or goes wrong.
    InvalidJson = "invalid_json", "Invalid JSON";
    /// The query has a name that is not known, or a value that is not taken: `details` says what there is.
    InvalidQuery = "invalid_query", "Invalid query";
    /// The connection ended in the middle of the body: send the request again.
    IncompleteBody = "incomplete_body", "Incomplete body";
    /// The body came too slowly: send it again, faster or smaller.
    RequestTimeout = "request_timeout", "Request timed out";
    /// The body has more bytes than the host takes: make it smaller, or raise `server.max_body_bytes`.
    BodyTooLarge = "body_too_large", "Body too large";

    /// No provider has this name: `details` lists near ones, `GET /api/providers` all.
    ProviderNotFound = "provider_not_found", "Unknown provider";
    /// No provider serves this model: `details` lists near names, `GET /v1/models` all.
    ModelNotFound = "model_not_found", "Unknown model";
    /// Nobody is configured: add a provider to the configuration, or with `POST /api/providers`.
    NoProviders = "no_providers", "No providers available";
    /// Nobody who could serve this request can at the moment: `details` says why of each; try again, after `retry-after`
    /// if it is there.
    NoProvidersAvailable = "no_providers_available", "No providers available";
    /// The request has come through this host again and again: mend the `base_url` that leads back to where it came from.
    LoopDetected = "loop_detected", "The request goes round in a loop";

    /// Too many requests or tokens in a minute, or too many at one time: wait for as long as `retry-after` says.
    RateLimitExceeded = "rate_limit_exceeded", "Too many requests";
    /// The budget is spent: wait until it begins anew, which `retry-after` says, or have it raised.
    BudgetExceeded = "budget_exceeded", "Budget exceeded";
    /// What is left of the budget is set aside for requests under way: try again when one of them has ended.
    BudgetSetAside = "budget_set_aside", "Budget set aside";
    /// This request alone may take more tokens than there are in a minute: shorten it, or lower `max_tokens`. Waiting is
    /// of no use.
    TooManyTokens = "too_many_tokens", "Request too large";
    /// This request alone may cost more than the whole budget: shorten it, lower `max_tokens`, or ask for a cheaper
    /// model. Waiting is of no use.
    TooExpensive = "too_expensive", "Request too expensive";

    /// The provider refused the request as it is, with its own words in `details`: change the request.
    InvalidInput = "invalid_input", "The provider refused the request";
    /// The provider does not accept the key that the host has for it: the operator has to put in another one.
    Authentication = "authentication", "The provider does not accept the key";
    /// The provider answered that it failed: try again, or ask another one.
    Provider = "provider", "The provider failed";
    /// The provider's answer could not be understood: look at its `base_url`, or at the plugin.
    UnreadableAnswer = "unreadable_answer", "The provider's answer is unreadable";
    /// The provider's answer broke off: what came before it is not the whole; ask again.
    BrokenStream = "broken_stream", "The provider's answer broke off";
    /// The provider could not be reached: look at the network and at its `base_url`, or try again.
    Connection = "connection", "The provider cannot be reached";
    /// The provider asks for fewer requests: wait for as long as `retry-after` says, where it is there.
    RateLimited = "rate_limited", "The provider limits requests";
    /// The provider's answer did not come in time: try again, ask for less, or have its time raised.
    TimedOut = "timed_out", "The provider did not answer in time";
    /// The request was ended before it was answered, mostly because the host or the plugin goes: send it again.
    Cancelled = "cancelled", "The request was cancelled";
    /// The plugin's code failed on this one request: try again, and tell its author; the log has the place.
    Panicked = "panicked", "The provider's plugin failed";
    /// The provider, or its plugin, does not do this: ask another one.
    Unsupported = "unsupported", "Not supported by the provider";

    /// There is a provider of this name already: take another name, or change it with `PATCH`.
    ProviderExists = "provider_exists", "Provider exists";
    /// The provider has another version than `if-match` says: read it again, and decide anew.
    StaleVersion = "stale_version", "Provider changed meanwhile";
    /// `if-match` is no version: send the `etag` that the provider was read with.
    InvalidIfMatch = "invalid_if_match", "Invalid If-Match";
    /// The provider was made anew while its vendor was asked: ask again.
    ProviderChanged = "provider_changed", "The provider changed meanwhile";
    /// The configuration, with this change in it, cannot be used: `details` says what is wrong where.
    ConfigurationInvalid = "configuration_invalid", "Configuration cannot be used";
    /// The entry is not as it has to be: `details` says which member, and what it may be.
    EntryInvalid = "entry_invalid", "Provider not accepted";
    /// Another `base_url` needs the key again: send `api_key` with it.
    KeyNeeded = "key_needed", "Provider not accepted";
    /// The plugin does not accept the configuration, for the reason in `details`: change that.
    ConfigurationRefused = "configuration_refused", "Provider not accepted";
    /// The plugin failed to make the provider, for the reason in `details`.
    CreateFailed = "create_failed", "Provider not accepted";
    /// The plugin did not make the provider in time: tell its author.
    CreateHung = "create_hung", "Provider not accepted";
    /// The plugin's code failed while it made the provider: tell its author; the log has the place.
    CreatePanicked = "create_panicked", "Provider not accepted";
    /// No plugin has the name that the provider asks for: install it, or name another with `plugin`.
    PluginMissing = "plugin_missing", "Provider not accepted";
    /// The provider's plugin is there and cannot be used: `GET /api/plugins` says why.
    PluginRefused = "plugin_refused", "Provider not accepted";
    /// No plugin has this id: `GET /api/plugins` lists them.
    PluginNotFound = "plugin_not_found", "Unknown plugin";
    /// No key has this id: `GET /api/keys` lists them.
    KeyNotFound = "key_not_found", "Unknown key";
    /// The key cannot be made or changed like this: `details` says which member, and what it may be.
    InvalidKey = "invalid_key", "Key not accepted";
    /// The level, or the time that it is to hold, is none: `details` says what there is.
    InvalidLogLevel = "invalid_log_level", "Log level not accepted";
    /// `last-event-id` is no number: send the `id` of the last event, or leave the header out.
    InvalidLastEventId = "invalid_last_event_id", "Invalid Last-Event-ID";

    /// There is nothing at this path: compare it with the paths of this document.
    NotFound = "not_found", "Not found";

    /// As many listen to events as may: let one of them go, or try again later.
    TooManyListeners = "too_many_listeners", "Too many listeners";
    /// What is kept on disk cannot be read or written at the moment, or too much of it was asked for: `details` says
    /// which.
    StoreUnavailable = "store_unavailable", "Store not available";
    /// The host is being upgraded: send the request again when the header `retry-after` says.
    Upgrading = "upgrading", "Being upgraded";
    /// The host ends, and has waited for this answer for as long as it may: send the request again.
    ShuttingDown = "shutting_down", "Shutting down";
    /// The host itself failed: its log has more under the request's id.
    InternalError = "internal_error", "Internal error";
}

impl Code {
    /// Whether it tells what a provider that was asked came to.
    pub(in crate::http) fn is_of_provider(self) -> bool {
        ErrorKind::ALL.into_iter().any(|kind| Self::from(kind) == self)
    }

    /// What it is called with this status in this dialect.
    pub(in crate::http) fn in_dialect(self, status: StatusCode, dialect: Dialect) -> Self {
        match (dialect, self, status) {
            (Dialect::OpenAi, Self::Unauthorized, _) => Self::InvalidApiKey,
            // There is nothing else that an upstream would look for and not find.
            (Dialect::OpenAi, Self::InvalidInput | Self::Provider, StatusCode::NOT_FOUND) => {
                Self::ModelNotFound
            }
            _ => self,
        }
    }
}

impl From<ErrorKind> for Code {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput => Self::InvalidInput,
            ErrorKind::Authentication => Self::Authentication,
            ErrorKind::Provider => Self::Provider,
            ErrorKind::UnreadableAnswer => Self::UnreadableAnswer,
            ErrorKind::BrokenStream => Self::BrokenStream,
            ErrorKind::Connection => Self::Connection,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::Panicked => Self::Panicked,
            ErrorKind::Unsupported => Self::Unsupported,
        }
    }
}

/// Why a provider was not made.
impl From<ProblemCode> for Code {
    fn from(code: ProblemCode) -> Self {
        match code {
            ProblemCode::ConfigurationInvalid => Self::ConfigurationInvalid,
            ProblemCode::ConfigurationRefused => Self::ConfigurationRefused,
            ProblemCode::CreateHung => Self::CreateHung,
            ProblemCode::CreatePanicked => Self::CreatePanicked,
            ProblemCode::PluginMissing => Self::PluginMissing,
            ProblemCode::PluginRefused => Self::PluginRefused,
            // The others are about files, which no provider is.
            _ => Self::CreateFailed,
        }
    }
}

/// Each with its sentence.
impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "ErrorCode".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        let one =
            |code: &Self| json!({ "const": code.word(), "title": code.error(), "description": code.about() });
        let all: Vec<Value> = Self::ALL.iter().map(one).collect();
        schemars::json_schema!({
            "type": "string",
            "description": "For programs: what went wrong, and what to do.",
            "oneOf": all,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_word_and_whole_sentences() {
        let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.word().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code:?}");
            assert!(!code.error().is_empty() && !code.error().ends_with('.'), "{code:?}");
            assert!(code.about().ends_with('.') && !code.about().contains("  "), "{code:?}");
        }
    }

    #[test]
    fn what_providers_come_to_is_called_as_plugins_call_it() {
        for kind in ErrorKind::ALL {
            assert_eq!(Code::from(kind).word(), kind.as_str());
        }
    }
}

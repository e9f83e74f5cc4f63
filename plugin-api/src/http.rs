//! HTTP as a plugin sees it: the host makes the request.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use abi_stable::std_types::{RString, RVec};
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;

use crate::abi::{self, HostServices, KEY_PLACEHOLDER, PullStream};
use crate::guard::WakerGuard;
use crate::{ProviderError, Result};

/// A request for the host to make.
///
/// ```
/// # use patchbay_plugin_api::http::HttpRequest;
/// let request = HttpRequest::post("https://api.example.com/v1/generate")
///     .bearer_key()
///     .header("x-api-version", "2")
///     .json(&serde_json::json!({"prompt": "hi"}))?;
/// # Ok::<(), patchbay_plugin_api::ProviderError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Absolute URL; its query may hold [`KEY_PLACEHOLDER`].
    pub url: String,
    /// Names and values; a value may hold [`KEY_PLACEHOLDER`].
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// A request of any method.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST`.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds `authorization: Bearer` with the call's key, which the host fills in.
    #[must_use]
    pub fn bearer_key(self) -> Self {
        self.header("authorization", format!("Bearer {KEY_PLACEHOLDER}"))
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = bytes.into();
        self
    }

    /// Sets the body to JSON and says so in a header.
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|error| {
            ProviderError::invalid_input("the request cannot be written as JSON")
                .with_detail(error.to_string())
        })?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// The same for the ABI, made for this call.
    #[inline(never)]
    pub(crate) fn into_abi(self, call: u64) -> abi::HttpRequest {
        let header = |(name, value): (String, String)| abi::Header { name: name.into(), value: value.into() };
        abi::HttpRequest {
            call,
            method: self.method.into(),
            url: self.url.into(),
            headers: self.headers.into_iter().map(header).collect(),
            body: self.body.into(),
            options: RString::new(),
        }
    }
}

/// The head of a response, and its body still on the way.
#[derive(Debug)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Names, in lower case, and values in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

impl HttpResponse {
    /// The first header of this name, which is written in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The first header of a name in lower case.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

impl HttpResponse {
    pub(crate) fn from_abi(response: abi::HttpResponse, services: HostServices) -> Self {
        let header = |header: abi::Header| (header.name.into_string(), header.value.into_string());
        Self {
            status: response.status,
            headers: response.headers.into_iter().map(header).collect(),
            body: Body { pieces: response.body, waker: WakerGuard::new(services) },
        }
    }
}

/// The body of a response, in the pieces it arrives in. Dropping it ends the request.
pub struct Body {
    pieces: PullStream<RVec<u8>>,
    waker: WakerGuard,
}

impl Body {
    /// Reads all of it, or fails if there are more bytes than `limit`.
    pub async fn collect(mut self, limit: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await.transpose()? {
            if piece.len() > limit - bytes.len() {
                return Err(ProviderError::unreadable(format!(
                    "the provider's answer has more than {limit} bytes"
                )));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Reads no more than so many bytes, and no error on the way: for what is only to be shown.
    pub async fn beginning(mut self, limit: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < limit
            && let Some(Ok(piece)) = self.next().await
        {
            bytes.extend_from_slice(&piece);
        }
        bytes.truncate(limit);
        bytes
    }
}

impl Stream for Body {
    type Item = Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { pieces, waker } = &mut *self;
        let piece = waker.poll(context, |context| pieces.poll_next_unpin(context));
        piece.map(|piece| piece.map(|piece| piece.map(RVec::into_vec).map_err(ProviderError::from)))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

//! The host's HTTP client towards upstreams: one for everybody, so that connections, limits and timeouts are
//! in one place.

// Clients and their connection pools.
mod pool;
// The key's way into a request.
mod key;
// What can go wrong, said without secrets.
mod failure;
// How many hosts a request has come through.
mod hops;
// Pieces of bodies.
mod together;

pub use hops::Hops;
pub use together::{MOST_TOGETHER_BYTES, Together, give_way};

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body::Body as _;
use patchbay_plugin_api::{ErrorKind, ProviderError};
use reqwest::Url;
use secrecy::SecretString;

use pool::Pool;

/// A request to an upstream, but for its body.
#[derive(Debug)]
pub struct Request<'a> {
    /// `GET`, `POST`, ...
    pub method: Method,
    /// Absolute; its query may hold the key's placeholder.
    pub url: &'a str,
    /// Name and value; values may hold the key's placeholder, and are then left out without a key.
    pub headers: &'a [(String, String)],
    /// What goes in where the placeholder is.
    pub key: Option<&'a SecretString>,
    /// The connection within this time.
    pub connect_timeout: Duration,
    /// Whether plain http is allowed beyond loopback.
    pub allow_http: bool,
}

/// A request that was checked and has its key: it can be sent again and again.
pub struct Prepared {
    method: Method,
    url: Url,
    headers: HeaderMap,
    origin: Arc<str>,
    loopback: bool,
    connect_timeout: Duration,
}

/// Its URL may hold the key.
impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Request<'_> {
    /// Checks it, and puts the key in.
    pub fn prepare(&self) -> Result<Prepared, ProviderError> {
        let url = parse_url(self)?;
        Ok(Prepared {
            method: self.method.clone(),
            headers: fill_headers(self)?,
            origin: origin_of(&url).into(),
            loopback: is_loopback(&url),
            connect_timeout: self.connect_timeout,
            url,
        })
    }
}

/// The head of an answer, and its body on the way.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body. Dropping it ends the request.
    pub body: Body,
}

/// The way to upstreams. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug, Default)]
pub struct HttpClient(Arc<Pool>);

impl HttpClient {
    /// Sends a request; done when the head of the answer is there. Dropping the future cancels. Headers in `more`
    /// are sent unless the request has its own of that name.
    pub async fn send(
        &self,
        request: &Prepared,
        more: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Response, ProviderError> {
        let client = self.0.client(request.connect_timeout, request.loopback)?;
        let mut headers = request.headers.clone();
        for (name, value) in more {
            headers.entry(name).or_insert(value);
        }
        let mut outgoing = reqwest::Request::new(request.method.clone(), request.url.clone());
        *outgoing.headers_mut() = headers;
        *outgoing.body_mut() = Some(body.into());
        let origin = &request.origin;
        let sent = client.execute(outgoing).await;
        let response = sent.map_err(|error| failure::of_sending(error, origin, request.connect_timeout))?;
        let (parts, inner) = http::Response::<reqwest::Body>::from(response).into_parts();
        let body = Body { inner, origin: Arc::clone(origin) };
        Ok(Response { status: parts.status, headers: parts.headers, body })
    }
}

fn parse_url(request: &Request<'_>) -> Result<Url, ProviderError> {
    let filled = key::fill_query(request.url, request.key)?;
    // Neither the parser's error nor the URL is shown: both may hold the key by now.
    let url = Url::parse(&filled)
        .map_err(|_| misconfigured("the upstream URL is not an absolute http or https URL"))?;
    match url.scheme() {
        _ if url.host_str().is_none() => {}
        "https" => return Ok(url),
        "http" if request.allow_http || is_loopback(&url) => return Ok(url),
        "http" => {
            let host = url.host_str().unwrap_or_default();
            return Err(misconfigured(format!(
                "plain http to {host} would send the key unprotected: use https, or set allow_http"
            )));
        }
        _ => {}
    }
    Err(misconfigured("the upstream URL is not an absolute http or https URL"))
}

fn fill_headers(request: &Request<'_>) -> Result<HeaderMap, ProviderError> {
    // With room for what each request adds.
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 8);
    for (name, template) in request.headers {
        let Some(filled) = key::fill_header(template, request.key) else { continue };
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&filled.value).ok());
        let Some((name, mut value)) = parsed else {
            return Err(misconfigured(format!(
                "the header {name:?} holds characters that HTTP does not allow"
            )));
        };
        value.set_sensitive(filled.secret);
        headers.append(name, value);
    }
    Ok(headers)
}

/// A fault of the configuration is none of the client's, and another provider may be configured better.
fn misconfigured(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::Provider, message)
}

/// Host and port: enough to know who failed, and never a secret.
fn origin_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// An answer's body, in the pieces it arrives in.
#[derive(Debug)]
pub struct Body {
    inner: reqwest::Body,
    origin: Arc<str>,
}

impl Body {
    /// The whole body, unless it is larger than `limit`.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, ProviderError> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await.transpose()? else { return within(first, limit) };
        let mut whole = BytesMut::with_capacity((first.len() + second.len()) * 2);
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.next().await.transpose()? {
            if whole.len() + piece.len() > limit {
                return Err(too_large(limit));
            }
            whole.extend_from_slice(&piece);
        }
        within(whole.freeze(), limit)
    }

    /// The beginning of the body, for what is only looked at by people. An error on the way is its end.
    pub async fn beginning(mut self, limit: usize) -> Bytes {
        let mut start = BytesMut::new();
        while start.len() < limit {
            let Some(Ok(piece)) = self.next().await else { break };
            start.extend_from_slice(&piece);
        }
        start.truncate(limit);
        start.freeze()
    }
}

fn within(whole: Bytes, limit: usize) -> Result<Bytes, ProviderError> {
    if whole.len() > limit { Err(too_large(limit)) } else { Ok(whole) }
}

fn too_large(limit: usize) -> ProviderError {
    ProviderError::unreadable(format!("the answer is larger than {limit} bytes"))
}

impl Stream for Body {
    type Item = Result<Bytes, ProviderError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
            return Poll::Ready(match frame {
                None => None,
                Some(Err(error)) => Some(Err(failure::of_reading(&error, &self.origin))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => Some(Ok(data)),
                    // Trailers: nobody asked for them.
                    Err(_) => continue,
                },
            });
        }
    }
}

#[cfg(test)]
mod tests;

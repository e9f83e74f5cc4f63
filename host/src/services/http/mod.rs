//! The host's HTTP client towards upstreams: one for everybody, so that connections, limits and timeouts are
//! in one place.

// Clients and their connection pools.
mod pool;
// The key's way into a request.
mod key;
// What can go wrong, said without secrets.
mod failure;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body::Body as _;
use patchbay_plugin_api::ProviderError;
use reqwest::Url;
use secrecy::SecretString;

use pool::Pool;

/// A request to an upstream.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: Method,
    /// Absolute; its query may hold the key's placeholder.
    pub url: String,
    /// Name and value; values may hold the key's placeholder, and are then left out without a key.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
    /// What goes in where the placeholder is.
    pub key: Option<SecretString>,
    /// The connection within this time.
    pub connect_timeout: Duration,
    /// Whether plain http is allowed beyond loopback.
    pub allow_http: bool,
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
    /// Sends a request; done when the head of the answer is there. Dropping the future cancels.
    pub async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        let url = parse_url(&request)?;
        let headers = fill_headers(&request)?;
        let origin = origin_of(&url);
        let client = self.0.client(request.connect_timeout, is_loopback(&url))?;
        let sent = client.request(request.method, url).headers(headers).body(request.body).send().await;
        let response = sent.map_err(|error| failure::of_sending(error, &origin, request.connect_timeout))?;
        let (parts, inner) = http::Response::<reqwest::Body>::from(response).into_parts();
        Ok(Response { status: parts.status, headers: parts.headers, body: Body { inner, origin } })
    }
}

fn parse_url(request: &Request) -> Result<Url, ProviderError> {
    let filled = key::fill_query(&request.url, request.key.as_ref())?;
    // Neither the parser's error nor the URL is shown: both may hold the key by now.
    let url = Url::parse(&filled)
        .map_err(|_| ProviderError::invalid_input("the upstream URL is not an absolute http or https URL"))?;
    match url.scheme() {
        _ if url.host_str().is_none() => {}
        "https" => return Ok(url),
        "http" if request.allow_http || is_loopback(&url) => return Ok(url),
        "http" => {
            let host = url.host_str().unwrap_or_default();
            return Err(ProviderError::invalid_input(format!(
                "plain http to {host} would send the key unprotected: use https, or set allow_http"
            )));
        }
        _ => {}
    }
    Err(ProviderError::invalid_input("the upstream URL is not an absolute http or https URL"))
}

fn fill_headers(request: &Request) -> Result<HeaderMap, ProviderError> {
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for (name, template) in &request.headers {
        let Some(filled) = key::fill_header(template, request.key.as_ref()) else { continue };
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&filled.value).ok());
        let Some((name, mut value)) = parsed else {
            return Err(ProviderError::invalid_input(format!(
                "the header {name:?} holds characters that HTTP does not allow"
            )));
        };
        value.set_sensitive(filled.secret);
        headers.append(name, value);
    }
    Ok(headers)
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
    origin: String,
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

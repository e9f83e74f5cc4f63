//! Where traces go.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use patchbay_plugin_api::ProviderError;
use reqwest::Url;
use secrecy::ExposeSecret as _;
use thiserror::Error;
use tokio::time::timeout;

use super::span::{Attributes, Span};
use super::{json, protobuf};
use crate::config::{TraceProtocol, TraceSettings};
use crate::services::http::{HttpClient, Prepared, Request};

/// A receiver has this long for a batch.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// What is read of an answer that says why not.
const MAX_WORDS: usize = 300;

const SCOPE: (&str, &str) = ("patchbay", env!("CARGO_PKG_VERSION"));

/// Nobody can be sent traces there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// It is no address.
    #[error(
        "telemetry.traces.otlp_endpoint is no http or https address: write it as in http://127.0.0.1:4318, and \
         what proves who you are into telemetry.traces.headers"
    )]
    Address,
    /// A header cannot be sent.
    #[error("telemetry.traces.headers: {0}")]
    Headers(String),
}

/// Why a batch was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotTaken {
    pub(super) why: String,
    /// Whether it may be taken later.
    pub(super) again: bool,
}

/// See the module.
pub(super) struct Target {
    client: HttpClient,
    request: Prepared,
    protocol: TraceProtocol,
    resource: Attributes,
}

impl Target {
    /// None where none is configured.
    pub(super) fn of(settings: &TraceSettings, client: HttpClient) -> Result<Option<Self>, TargetError> {
        let Some(endpoint) = settings.otlp_endpoint.as_deref().filter(|it| !it.is_empty()) else {
            return Ok(None);
        };
        let url = address(endpoint).ok_or(TargetError::Address)?;
        let content_type = match settings.protocol {
            TraceProtocol::Protobuf => "application/x-protobuf",
            TraceProtocol::Json => "application/json",
        };
        let own = settings.headers.iter();
        let mut headers: Vec<(String, String)> =
            own.map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect();
        headers.push(("content-type".to_owned(), content_type.to_owned()));
        let request = Request {
            method: Method::POST,
            url: url.as_str(),
            headers: &headers,
            key: None,
            connect_timeout: CONNECT_PATIENCE,
            // Receivers stand on the next machine, and what they are sent holds no secrets.
            allow_http: true,
        };
        let request = request.prepare().map_err(|error| TargetError::Headers(error.message))?;
        Ok(Some(Self { client, request, protocol: settings.protocol, resource: resource(settings) }))
    }

    /// Sends spans; done when the receiver has them.
    pub(super) async fn send(&self, spans: &[Span]) -> Result<(), NotTaken> {
        let body = match self.protocol {
            TraceProtocol::Protobuf => protobuf::request(&self.resource, SCOPE, spans),
            TraceProtocol::Json => json::request(&self.resource, SCOPE, spans),
        };
        let sent = timeout(PATIENCE, self.post(body.into())).await;
        let late = |_| Err(NotTaken { why: format!("no answer within {PATIENCE:?}"), again: true });
        sent.unwrap_or_else(late)
    }

    async fn post(&self, body: Bytes) -> Result<(), NotTaken> {
        let unreachable = |error: ProviderError| NotTaken { why: error.message, again: true };
        let response = self.client.send(&self.request, [], body).await.map_err(unreachable)?;
        let status = response.status;
        let words = response.body.beginning(MAX_WORDS).await;
        if status.is_success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&words).replace(char::is_control, " ");
        Err(NotTaken { why: format!("{status}: {words}"), again: may_be_taken_later(status) })
    }
}

/// What OTLP's specification says of statuses.
fn may_be_taken_later(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// The whole address. Without a path of its own it is the usual one.
fn address(endpoint: &str) -> Option<Url> {
    let mut url = Url::parse(endpoint).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    if !is_web || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    if matches!(url.path(), "" | "/") {
        url.set_path("/v1/traces");
    }
    Some(url)
}

fn resource(settings: &TraceSettings) -> Attributes {
    let mut resource = Attributes::default();
    let named = settings.resource.get("service.name").map_or("patchbay", String::as_str);
    resource.text("service.name", settings.service_name.as_deref().unwrap_or(named));
    resource.text("service.version", env!("CARGO_PKG_VERSION"));
    for (name, value) in &settings.resource {
        if !matches!(name.as_str(), "service.name" | "service.version") {
            resource.text(name.clone(), &**value);
        }
    }
    resource
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_has_the_usual_one() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:4318", Some("http://127.0.0.1:4318/v1/traces")),
            ("http://collector:4318/", Some("http://collector:4318/v1/traces")),
            ("https://example.com/otlp/v1/traces", Some("https://example.com/otlp/v1/traces")),
            ("https://user:secret@example.com", None),
            ("collector:4318", None),
            ("grpc://collector:4317", None),
            ("", None),
        ] {
            assert_eq!(address(endpoint).map(String::from).as_deref(), expected, "{endpoint}");
        }
    }
}

//! The HTTP client as one provider's plugin gets it lent: with that provider's key, headers and limits.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use http::Method;
use patchbay_plugin_api::{ProviderError, Result};
use secrecy::SecretString;

use super::fetch::{Fetch, Incoming, Outgoing};
use crate::config::ProviderSettings;
use crate::services::http::{HttpClient, Request};

/// See the module.
pub(super) struct Outbound {
    pub(super) client: HttpClient,
    pub(super) settings: Arc<ProviderSettings>,
}

impl Fetch for Outbound {
    fn fetch(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming>> {
        let (client, settings) = (self.client.clone(), Arc::clone(&self.settings));
        async move {
            let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| {
                ProviderError::invalid_input("the plugin asked for a method that HTTP does not have")
            })?;
            let mut headers = request.headers;
            headers.extend(settings.extra_headers.iter().map(|(name, value)| (name.clone(), value.clone())));
            let response = client
                .send(Request {
                    method,
                    url: request.url,
                    headers,
                    body: request.body,
                    key: settings.keys.first().cloned(),
                    connect_timeout: settings.connect_timeout,
                    allow_http: settings.allow_http,
                })
                .await?;
            let headers = response.headers.iter();
            Ok(Incoming {
                status: response.status.as_u16(),
                headers: headers
                    .map(|(name, value)| {
                        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                    })
                    .collect(),
                body: response.body.boxed(),
            })
        }
        .boxed()
    }

    fn keys(&self) -> &[SecretString] {
        &self.settings.keys
    }
}

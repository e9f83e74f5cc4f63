//! The HTTP client as one provider's plugin gets it lent: with that provider's key, headers and limits.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use http::Method;
use patchbay_plugin_api::{ErrorKind, ProviderError, Result};
use secrecy::SecretString;

use super::call_keys::{CallKeys, OfCall};
use super::fetch::{Fetch, Incoming, Outgoing};
use crate::accounts::TraceHeaders;
use crate::config::ProviderSettings;
use crate::services::http::{HttpClient, Request};

/// See the module.
pub(super) struct Outbound {
    pub(super) client: HttpClient,
    pub(super) settings: Arc<ProviderSettings>,
    pub(super) calls: Arc<CallKeys>,
}

impl Fetch for Outbound {
    fn fetch(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming>> {
        let (client, settings) = (self.client.clone(), Arc::clone(&self.settings));
        let OfCall { key: own_key, trace, hops } = self.calls.of_call(request.call).unwrap_or_default();
        async move {
            let key = match own_key {
                Some(key) => Some(key),
                // Requests outside of a call, such as those of a plugin that prepares something, have the first.
                None if request.call == 0 => settings.keys.first().cloned(),
                None if settings.keys.is_empty() => None,
                None => return Err(ProviderError::new(ErrorKind::Cancelled, "the call is over")),
            };
            let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| {
                ProviderError::invalid_input("the plugin asked for a method that HTTP does not have")
            })?;
            // A key goes where the operator said that upstream is, wherever else the plugin may ask.
            let home = settings.base_url.as_deref().is_none_or(|base| same_origin(base, &request.url));
            let mut headers = request.headers;
            headers.extend(settings.extra_headers.iter().map(|(name, value)| (name.clone(), value.clone())));
            let prepared = Request {
                method,
                url: &request.url,
                headers: &headers,
                key: key.as_ref().filter(|_| home),
                connect_timeout: settings.connect_timeout,
                allow_http: settings.allow_http,
            }
            .prepare()?;
            let more = trace.iter().flat_map(TraceHeaders::pairs).chain([hops.onward()]);
            let response = client.send(&prepared, more, request.body).await?;
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

fn same_origin(base: &str, url: &str) -> bool {
    let origin = |url: &str| reqwest::Url::parse(url).ok().map(|url| url.origin());
    origin(base).is_some() && origin(base) == origin(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_host_and_port() {
        for (base, url, same) in [
            ("https://api.example.com/v1", "https://api.example.com/v2/models?key=x", true),
            ("https://api.example.com", "https://API.example.com:443/", true),
            ("https://api.example.com", "http://api.example.com/", false),
            ("https://api.example.com", "https://api.example.com.evil.test/", false),
            ("https://api.example.com", "https://api.example.com@evil.test/", false),
            ("not a url", "not a url", false),
        ] {
            assert_eq!(same_origin(base, url), same, "{base} {url}");
        }
    }
}

//! Talking to a host that is running.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use reqwest::{Client, Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::failure::chain;
use super::{Failure, environment};

#[derive(Debug, Args)]
pub(super) struct RemoteArgs {
    /// Where the host listens [env: PATCHBAY_URL] [default: http://127.0.0.1:5000]; the token is taken from
    /// ADMIN_TOKEN
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

#[derive(Debug)]
pub(super) struct Remote {
    base: Url,
    client: Client,
    token: Option<SecretString>,
}

/// How the host words an error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    details: String,
}

impl Remote {
    pub(super) fn new(args: RemoteArgs) -> Result<Remote, Failure> {
        let url = args.url.or_else(|| environment("PATCHBAY_URL"));
        let base = base(url.as_deref().unwrap_or("http://127.0.0.1:5000"))?;
        // Fails when there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // A reload loads every plugin; what takes longer than this has gone wrong.
            .timeout(Duration::from_secs(120))
            // The token is for this host and no other.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&base) {
            // A proxy would look for the host on its own machine.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| Failure::failed(chain(&error)))?;
        Ok(Remote { base, client, token: environment("ADMIN_TOKEN").map(SecretString::from) })
    }

    /// The body of a successful answer.
    pub(super) async fn send(&self, method: Method, path: &str) -> Result<Vec<u8>, Failure> {
        let url = self.base.join(path).map_err(|error| Failure::bad_input(format!("{path}: {error}")))?;
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let answer = request.send().await.map_err(|error| self.no_answer(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.no_answer(&error))?;
        if status.is_success() { Ok(body.into()) } else { Err(refusal(status, &body, self.token.is_some())) }
    }

    fn no_answer(&self, error: &reqwest::Error) -> Failure {
        let base = &self.base;
        if error.is_connect() {
            Failure::failed(format!(
                "no host answers at {base}: start one with `patchbay serve`, or give its --url"
            ))
        } else {
            Failure::failed(format!("{base}: {}", chain(error)))
        }
    }
}

fn base(url: &str) -> Result<Url, Failure> {
    let bad = |reason: &str| Failure::bad_input(format!("{url} is not the address of a host: {reason}"));
    let base = Url::parse(url).map_err(|error| bad(&error.to_string()))?;
    match base.scheme() {
        "http" | "https" if base.has_host() => Ok(base),
        _ => Err(bad("it has to start with http:// or https://")),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn refusal(status: StatusCode, body: &[u8], had_token: bool) -> Failure {
    let said: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let mut message = format!("the host answered {status}");
    for part in [said.error, said.details] {
        if !part.is_empty() {
            message = format!("{message}: {part}");
        }
    }
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) && !had_token {
        message.push_str(" (the token is taken from ADMIN_TOKEN, which is not set)");
    }
    Failure::failed(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_hosts() {
        assert!(base("http://127.0.0.1:5000").is_ok());
        for url in ["localhost:5000", "127.0.0.1", "file:///etc/passwd", ""] {
            assert_eq!(base(url).unwrap_err().code(), 64, "{url}");
        }
    }

    #[test]
    fn loopback_is_known_by_any_of_its_names() {
        for (url, expected) in [
            ("http://127.0.0.1:5000", true),
            ("http://[::1]:5000", true),
            ("http://localhost", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(is_loopback(&base(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_hosts_words() {
        let body = br#"{"error":"Forbidden","code":"admin_only","details":"set a token"}"#;
        let failure = format!("{:?}", refusal(StatusCode::FORBIDDEN, body, false));
        assert!(
            failure.contains("403 Forbidden: Forbidden: set a token (the token is taken from ADMIN_TOKEN"),
            "{failure}"
        );
        let failure = format!("{:?}", refusal(StatusCode::BAD_GATEWAY, b"<html>", true));
        assert!(failure.contains("the host answered 502 Bad Gateway\""), "{failure}");
    }
}

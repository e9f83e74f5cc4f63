//! Talking to a host that is running.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use reqwest::header::{CONTENT_TYPE, HeaderMap, IF_MATCH};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::chain;
use super::{Failure, environment, progress};

// A host that takes no changes for a while.
mod upgrade;

/// A model may think for long, but not for ever.
const LONGEST_STREAM: Duration = Duration::from_secs(3600);

/// Who listens does so for as long as there is a host: then the connection is made anew.
const LONGEST_LISTENING: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Debug, Default, Args)]
pub(super) struct RemoteArgs {
    /// Where the host listens [env: PATCHBAY_URL] [default: http://127.0.0.1:5000]; the token is taken from
    /// ADMIN_TOKEN
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Remote {
    base: Url,
    client: Client,
    token: Option<SecretString>,
    /// Whether somebody else tells that something goes on.
    is_quiet: bool,
}

/// How the host words an error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    code: String,
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
        Ok(Remote {
            base,
            client,
            token: environment("ADMIN_TOKEN").map(SecretString::from),
            is_quiet: false,
        })
    }

    /// The same, where somebody else tells that something goes on.
    pub(super) fn quiet(&self) -> Remote {
        Remote { is_quiet: true, ..self.clone() }
    }

    /// The body of a successful answer to a request without a body.
    pub(super) async fn send(&self, method: Method, path: &str) -> Result<Vec<u8>, Failure> {
        self.successful(self.request(method, path)?).await
    }

    /// The body of a successful answer to a request with one, which is made for this version of what it changes.
    pub(super) async fn send_json(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        version: Option<&str>,
    ) -> Result<Vec<u8>, Failure> {
        let mut request = with_json(self.request(method, path)?, body);
        if let Some(version) = version {
            request = request.header(IF_MATCH, format!("\"{version}\""));
        }
        self.successful(request).await
    }

    #[cfg(test)]
    pub(super) fn at(url: &str) -> Remote {
        Remote::new(RemoteArgs { url: Some(url.to_owned()) }).unwrap()
    }

    /// What a path holds, as it came and as it was understood.
    pub(super) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<(Vec<u8>, T), Failure> {
        let body = self.send(Method::GET, path).await?;
        let read = self.understand(path, &body)?;
        Ok((body, read))
    }

    /// The same for pages whose status is part of what they say.
    pub(super) async fn read_any<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<(StatusCode, Vec<u8>, T), Failure> {
        let (status, body) = self.answer(self.request(Method::GET, path)?).await?;
        match serde_json::from_slice(&body) {
            Ok(read) => Ok((status, body, read)),
            Err(_) if !status.is_success() => Err(refusal(status, &body, self.token.is_some())),
            Err(_) => self.understand(path, &body).map(|read| (status, body, read)),
        }
    }

    pub(super) fn understand<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(body).map_err(|error| {
            let base = &self.base;
            Failure::failed(format!("{base} does not answer {path} as a host does: {}", chain(&error)))
        })
    }

    /// Whether anything listens there.
    pub(super) async fn is_there(&self) -> Result<bool, Failure> {
        match self.request(Method::GET, "/livez")?.send().await {
            Err(error) if error.is_connect() => Ok(false),
            Err(error) => Err(self.no_answer(&error)),
            Ok(_) => Ok(true),
        }
    }

    pub(super) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// An answer that is read while it comes.
    pub(super) async fn stream(&self, path: &str, body: &Value) -> Result<Stream<'_>, Failure> {
        let request = with_json(self.request(Method::POST, path)?, body).timeout(LONGEST_STREAM);
        self.begun(progress::shown("waiting for the first word", request.send()).await).await
    }

    /// Events for as long as the host lives: those after the one that was heard last, if there was one.
    pub(super) async fn listen(&self, path: &str, heard: Option<u64>) -> Result<Stream<'_>, Failure> {
        let mut request = self.request(Method::GET, path)?.timeout(LONGEST_LISTENING);
        if let Some(heard) = heard {
            request = request.header("last-event-id", heard);
        }
        self.begun(request.send().await).await
    }

    async fn begun(&self, sent: reqwest::Result<Response>) -> Result<Stream<'_>, Failure> {
        let answer = sent.map_err(|error| self.no_answer(&error))?;
        if answer.status().is_success() {
            return Ok(Stream { answer, remote: self });
        }
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.no_answer(&error))?;
        Err(refusal(status, &body, self.token.is_some()))
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        let url = self.base.join(path).map_err(|error| Failure::bad_input(format!("{path}: {error}")))?;
        let request = self.client.request(method, url);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        })
    }

    async fn successful(&self, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let (status, body) = self.answer(request).await?;
        if status.is_success() { Ok(body) } else { Err(refusal(status, &body, self.token.is_some())) }
    }

    async fn answer_of_now(
        &self,
        request: RequestBuilder,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), Failure> {
        let answered = async {
            let answer = request.send().await?;
            Ok((answer.status(), answer.headers().clone(), answer.bytes().await?.into()))
        };
        self.shown("waiting for the host", answered).await.map_err(|error| self.no_answer(&error))
    }

    async fn shown<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        if self.is_quiet { work.await } else { progress::shown(what, work).await }
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

/// A text on its way.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    answer: Response,
    remote: &'a Remote,
}

impl Stream<'_> {
    /// The next piece; none at the end, and a failure where the answer was cut.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        self.answer.chunk().await.map_err(|error| {
            Failure::failed(format!(
                "the answer was cut before its end: {}: {}",
                self.remote.base,
                chain(&error)
            ))
        })
    }

    /// The first header of this name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers().get(name)?.to_str().ok()
    }
}

fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header(CONTENT_TYPE, "application/json").body(body.to_string())
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
        message.push_str(" (the token is taken from ADMIN_TOKEN, which is not set; a key of `patchbay keys create` will do there, too)");
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

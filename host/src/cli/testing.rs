//! A host for tests of commands: it answers what it was told to, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use clap::Parser as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::remote::Remote;
use super::{CommandLine, Failure};

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// Method, path and version.
    pub(super) line: String,
    pub(super) head: String,
    pub(super) body: Value,
}

#[derive(Debug)]
pub(super) struct FakeHost {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl FakeHost {
    /// Gives these answers, one for each request; after the last it is gone.
    pub(super) async fn start<const N: usize>(answers: [(&str, &str); N]) -> FakeHost {
        let whole = answers.map(|(status, body)| {
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        });
        FakeHost::raw(whole.into()).await
    }

    /// The same with answers byte by byte.
    pub(super) async fn raw(answers: Vec<String>) -> FakeHost {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host =
            FakeHost { url: format!("http://{}", listener.local_addr().unwrap()), requests: Arc::default() };
        let requests = Arc::clone(&host.requests);
        tokio::spawn(async move {
            for answer in answers {
                let (mut connection, _) = listener.accept().await.unwrap();
                let request = read(&mut connection).await;
                requests.lock().unwrap().push(request);
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        host
    }

    /// A way to it, for parts of commands.
    pub(super) fn remote(&self) -> Remote {
        Remote::at(&self.url)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read(connection: &mut TcpStream) -> Request {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                let line = text.lines().next().unwrap().to_owned();
                let body = serde_json::from_str(body).unwrap_or_default();
                return Request { line, head, body };
            }
        }
        assert_ne!(connection.read_buf(&mut bytes).await.unwrap(), 0, "half a request: {text}");
    }
}

/// Runs a command against it.
pub(super) async fn run(host: &FakeHost, arguments: &[&str]) -> Result<u8, Failure> {
    let arguments = ["patchbay"].iter().chain(arguments).copied().chain(["--url", &host.url]);
    super::run(CommandLine::try_parse_from(arguments).unwrap(), crate::config::Environment::default()).await
}

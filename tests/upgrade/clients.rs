//! Clients that ask without pause, each in a way of its own, and take nothing but a whole answer for one.

use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::harness::PATIENCE;

/// What the mock says to this.
const TEXT: &str = "one two three four five six seven eight nine ten";

/// How a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// On one connection for as long as nobody says that it is over.
    Kept,
    /// On a new one each time.
    Fresh,
    /// For a stream, on a pool of connections.
    Stream,
    /// For a stream, over HTTP/2.
    Multiplexed,
}

const WAYS: [Way; 4] = [Way::Kept, Way::Fresh, Way::Stream, Way::Multiplexed];

/// See the module.
pub(super) struct Clients {
    address: String,
    /// How many answers each has got, and whether they go on.
    heard: watch::Sender<(Vec<usize>, bool)>,
}

impl Clients {
    pub(super) fn new(address: &str, count: usize) -> Self {
        let address = address.strip_prefix("http://").unwrap().to_owned();
        Self { address, heard: watch::Sender::new((vec![0; count], true)) }
    }

    /// Everybody, until they are stopped.
    pub(super) async fn run(&self) {
        let count = self.heard.borrow().0.len();
        let asking = |client: usize| -> BoxFuture<'_, ()> {
            match WAYS[client % WAYS.len()] {
                Way::Kept => Box::pin(self.keep(client)),
                Way::Fresh => Box::pin(self.begin_anew(client)),
                Way::Stream => Box::pin(self.stream(client, reqwest::Client::builder())),
                Way::Multiplexed => {
                    Box::pin(self.stream(client, reqwest::Client::builder().http2_prior_knowledge()))
                }
            }
        };
        join_all((0..count).map(asking)).await;
    }

    /// Waits until each of them has heard so many more; answers with how many all have heard.
    pub(super) async fn all_have_heard(&self, more: usize) -> usize {
        let before = self.heard.borrow().0.clone();
        let mut heard = self.heard.subscribe();
        let enough =
            |now: &(Vec<usize>, bool)| now.0.iter().zip(&before).all(|(now, before)| *now >= before + more);
        let waited = timeout(PATIENCE, heard.wait_for(enough)).await.is_ok();
        assert!(waited, "waited in vain: {before:?}, and now {:?}", self.heard.borrow());
        self.count()
    }

    /// Lets everybody end with the answer that they wait for.
    pub(super) fn stop(&self) {
        self.heard.send_modify(|(_, goes_on)| *goes_on = false);
    }

    /// How many answers there were.
    pub(super) fn count(&self) -> usize {
        self.heard.borrow().0.iter().sum()
    }

    fn has_heard(&self, client: usize) -> bool {
        self.heard.send_modify(|(heard, _)| heard[client] += 1);
        self.heard.borrow().1
    }

    /// A connection is given up where the answer on it says so, and nowhere else: there is no second try.
    async fn keep(&self, client: usize) {
        loop {
            let mut connection = TcpStream::connect(&self.address).await.unwrap();
            loop {
                let head = self.ask_on(&mut connection).await;
                if !self.has_heard(client) {
                    return;
                }
                if head.contains("\r\nconnection: close\r\n") {
                    break;
                }
            }
        }
    }

    async fn begin_anew(&self, client: usize) {
        loop {
            let mut connection = TcpStream::connect(&self.address).await.unwrap();
            self.ask_on(&mut connection).await;
            if !self.has_heard(client) {
                return;
            }
        }
    }

    /// A whole answer; its head.
    async fn ask_on(&self, connection: &mut TcpStream) -> String {
        let body = question();
        let (address, length) = (&self.address, body.len());
        let request = format!(
            "POST /api/chat/complete HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        loop {
            let read = timeout(PATIENCE, connection.read_buf(&mut answer)).await.unwrap().unwrap();
            let text = String::from_utf8_lossy(&answer);
            assert!(read > 0, "the connection ended without an answer: {text:?}");
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            assert!(head.starts_with("HTTP/1.1 200 "), "{text}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                assert!(body.contains(TEXT), "{text}");
                return format!("{head}\r\n");
            }
        }
    }

    async fn stream(&self, client: usize, builder: reqwest::ClientBuilder) {
        let http =
            builder.no_proxy().timeout(PATIENCE).pool_idle_timeout(Duration::from_secs(600)).build().unwrap();
        let url = format!("http://{}/api/chat", self.address);
        loop {
            let request = http.post(&url).header("content-type", "application/json").body(question());
            let answer = request.send().await.unwrap_or_else(|error| panic!("{client}: {error:?}"));
            assert_eq!(answer.status(), 200);
            let text = answer.text().await.unwrap_or_else(|error| panic!("{client} was cut: {error:?}"));
            assert_eq!(text, format!("You said: {TEXT}"));
            if !self.has_heard(client) {
                return;
            }
        }
    }
}

fn question() -> String {
    json!({ "provider": "mock", "messages": [{ "role": "user", "content": TEXT }] }).to_string()
}

//! Listening over sockets: to all of it, to some of it, slowly, and to the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::config::ServerSettings;
use crate::events::{Bus, News, PluginNews};
use crate::http::{Parts, Server, router};

struct Host {
    address: SocketAddr,
    events: Bus,
    _running: DropGuard,
}

impl Host {
    async fn start(keep_alive: Duration) -> Self {
        let settings = ServerSettings {
            host: "127.0.0.1".to_owned(),
            port: 0,
            open: false,
            max_body_bytes: 2000,
            keep_alive,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            admin_token: None,
        };
        let parts = Parts::of(Arc::default(), crate::access::testing::book(Vec::new()));
        let events = parts.manager.events().clone();
        let state = AppState::new(&settings, parts);
        let server = Server::bind(("127.0.0.1", 0)).await.unwrap();
        let (address, shutdown) = (server.local_addr().unwrap(), CancellationToken::new());
        tokio::spawn(server.run(router(state), shutdown.clone(), Duration::from_secs(5)));
        Self { address, events, _running: shutdown.drop_guard() }
    }

    /// Something that happened, as large as it is told.
    fn happens(&self, plugin: usize, text: &str) {
        let news = PluginNews::Resident { generation: 1, reason: text.to_owned() };
        self.events.tell(News::Plugin { plugin: Some(plugin.to_string()), news });
    }

    async fn ask(&self, path: &str, lines: &str) -> Heard {
        let socket = TcpSocket::new_v4().unwrap();
        // A reader that stops is a burden to the host soon.
        socket.set_recv_buffer_size(4096).unwrap();
        let mut socket = socket.connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        Heard { socket, text: String::new() }
    }
}

/// What a client was sent.
struct Heard {
    socket: TcpStream,
    text: String,
}

impl Heard {
    /// Reads on until it has come.
    async fn until(&mut self, text: &str) {
        let mut bytes = vec![0; 65_536];
        let mut looked_at = 0;
        while !self.text[looked_at..].contains(text) {
            // Half of it may have come.
            looked_at = self.text.len().saturating_sub(text.len());
            let read = self.socket.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "it ended without {text:?}: {}", self.text);
            self.text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
    }

    /// The bodies of the events so far.
    fn bodies(&self) -> Vec<Value> {
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|json| serde_json::from_str(json).ok()).collect()
    }
}

#[tokio::test]
async fn who_does_not_read_holds_up_nobody_and_is_told_what_was_missed() {
    let host = Host::start(Duration::from_secs(15)).await;
    let mut stalled = host.ask("/api/events", "").await;
    stalled.until("retry: 2000").await;
    // More than all buffers between the two take. Telling returns each time, though nobody reads.
    let large = "x".repeat(20_000);
    for number in 0..1_200 {
        host.happens(number, &large);
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    host.happens(1_200, "the last");
    let mut other = host.ask("/api/events", "").await;
    other.until("\"the last\"}\n\n").await;
    stalled.until("\"the last\"}\n\n").await;
    let missed: Vec<u64> = stalled.bodies().iter().filter_map(|body| body["count"].as_u64()).collect();
    assert!(!missed.is_empty(), "so many large events were not in any buffer");
    // What was not missed came once, and in order.
    let plugins: Vec<u64> =
        stalled.bodies().iter().filter_map(|body| body["plugin"].as_str()?.parse().ok()).collect();
    assert!(plugins.is_sorted_by(|one, next| one < next), "{plugins:?}");
    assert_eq!(plugins.len() as u64 + missed.iter().sum::<u64>(), 1_201);
}

#[tokio::test]
async fn silence_is_told_with_the_id_to_go_on_from() {
    let host = Host::start(Duration::from_millis(20)).await;
    host.happens(1, "x");
    let mut heard = host.ask("/api/events?types=provider,config", "").await;
    heard.until(": keep-alive\nid: ").await;
    heard.until("\n\n").await;
    assert_eq!(heard.bodies(), Vec::<Value>::new(), "it was left out");
    let id: u64 =
        heard.text.split_once(": keep-alive\nid: ").unwrap().1.lines().next().unwrap().parse().unwrap();
    let mut again = host.ask("/api/events", &format!("last-event-id: {id}\r\n")).await;
    host.happens(2, "x");
    again.until("\"plugin\":\"2\"").await;
    assert_eq!(again.bodies().len(), 1, "{}", again.text);
}

#[tokio::test]
async fn figures_have_the_id_to_go_on_from() {
    let host = Host::start(Duration::from_secs(15)).await;
    host.happens(1, "x");
    for types in ["stats", "provider,stats"] {
        // From a host before this one: whoever wants the figures alone has missed nothing.
        let mut heard = host.ask(&format!("/api/events?types={types}"), "last-event-id: 7\r\n").await;
        heard.until("event: stats\ndata: ").await;
        heard.until("\n\n").await;
        assert_eq!(heard.text.contains("event: missed"), types != "stats", "{}", heard.text);
        let (before, _) = heard.text.split_once("\nevent: stats").unwrap();
        let id: u64 = before.rsplit_once("id: ").unwrap().1.parse().unwrap();
        let mut again = host.ask("/api/events", &format!("last-event-id: {id}\r\n")).await;
        host.happens(2, "x");
        again.until("\"plugin\":\"2\"").await;
        assert_eq!(again.bodies().len(), 1, "{}", again.text);
    }
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_refused() {
    let host = Host::start(Duration::from_secs(15)).await;
    for (path, lines, code) in [
        ("/api/events?types=nothing", "", "invalid_query"),
        ("/api/events?type=reload", "", "invalid_query"),
        ("/api/events", "last-event-id: first\r\n", "invalid_last_event_id"),
    ] {
        let mut heard = host.ask(path, lines).await;
        heard.until(code).await;
        assert!(heard.text.starts_with("HTTP/1.1 400"), "{}", heard.text);
    }
    let mut listening = Vec::new();
    let refused = loop {
        let mut heard = host.ask("/api/events", "").await;
        heard.until("\r\n\r\n").await;
        if !heard.text.starts_with("HTTP/1.1 200") {
            break heard.text;
        }
        listening.push(heard);
        assert!(listening.len() < 1000, "there is no bound");
    };
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("too_many_listeners"), "{refused}");
}

#[tokio::test]
async fn the_end_of_the_bus_is_a_clean_end() {
    let host = Host::start(Duration::from_secs(15)).await;
    let mut heard = host.ask("/api/events", "connection: close\r\n").await;
    heard.until("retry: 2000").await;
    host.happens(1, "x");
    host.events.close();
    heard.until("\r\n0\r\n\r\n").await;
    assert_eq!(heard.bodies().len(), 1, "what had happened is told before: {}", heard.text);
}

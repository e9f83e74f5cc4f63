//! What two hosts have in common while the first one drains: keys, the store, and what is counted.

use reqwest::Method;
use serde_json::json;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{successor, used};
use crate::harness::{Host, HostOptions, PATIENCE, Upstream, eventually, libraries};

/// Somebody who asks for the models with a key, on one connection for as long as it lasts.
struct Asking {
    connection: TcpStream,
    question: String,
}

impl Asking {
    async fn of(host: &Host, key: &str) -> Self {
        let address = host.address().strip_prefix("http://").unwrap();
        let question =
            format!("GET /v1/models HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\r\n");
        Self { connection: TcpStream::connect(address).await.unwrap(), question }
    }

    /// The answer's status, or none where the connection is over.
    async fn ask(&mut self) -> Option<u16> {
        self.connection.write_all(self.question.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        loop {
            let read = timeout(PATIENCE, self.connection.read_buf(&mut answer)).await.unwrap();
            if !read.is_ok_and(|read| read > 0) {
                return None;
            }
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return head.split(' ').nth(1).unwrap().parse().ok();
            }
        }
    }
}

/// However the two hosts come to it: who has been told that a key is revoked may rely on it.
#[tokio::test]
async fn a_key_that_is_revoked_after_an_upgrade_is_good_for_nothing_anywhere() {
    let options = HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    let host = Host::start(options).await;
    let made = host.post_json("/api/keys", &json!({ "name": "team" })).await.json();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let mut asking = Vec::new();
    for _ in 0..3 {
        let mut one = Asking::of(&host, key).await;
        assert_eq!(one.ask().await, Some(200));
        asking.push(one);
    }
    let next = successor(&host).await;
    let path = format!("/api/keys/{id}");
    let revoke = async || next.answer(&path, next.request(Method::DELETE, &path)).await;
    let mut left = asking.split_off(1);
    let revoked = revoke().await;
    if revoked.status == 503 {
        // The former host may still begin a request, so nothing is changed.
        assert_eq!(revoked.json()["code"], "upgrading", "{}", revoked.body);
        eventually("leave to change something", async || (revoke().await.status == 204).then_some(())).await;
    } else {
        assert_eq!(revoked.status, 204, "{}", revoked.body);
    }
    left.push(Asking::of(&next, key).await);
    for mut one in left {
        assert_ne!(one.ask().await, Some(200), "it was revoked");
    }
    drop(asking);
    host.ends_with(0).await;
    next.stop().await;
}

/// The former host ends while nobody can write into the store: what it leaves is found by the other one.
#[tokio::test]
async fn usage_that_the_former_host_could_not_write_is_written_by_the_next() {
    let upstreams = [Upstream::start().await];
    let host = Host::start(super::providers(&upstreams)).await;
    upstreams[0].release(1);
    let mut stream = host.stream("up0", "hi").await;
    assert_eq!(stream.next().await.unwrap().as_deref(), Some("a"));
    let next = successor(&host).await;
    assert_eq!(next.ask("mock", "hello").await.status, 200);
    used(&next, |totals| totals["requests"] == 1).await;

    let data = host.dir().join(".patchbay");
    let options = SqliteConnectOptions::new().filename(data.join("store.sqlite"));
    let mut somebody = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut somebody).await.unwrap();
    // As a supervisor that stops both. The first is ending already, and does not cut anybody off for that.
    host.signal(libc::SIGTERM);
    host.logs("draining already", "SIGTERM").await;
    upstreams[0].release(10);
    assert_eq!(stream.rest().await.unwrap(), "a b c");
    host.ends_with(0).await;
    let lines = |name: &str| std::fs::read_to_string(data.join(name)).unwrap().lines().count();
    let taken = || (lines("usage.journal"), lines("usage.journal.1")) == (0, 1);
    eventually("what was left to be taken", async || taken().then_some(())).await;
    sqlx::raw_sql("COMMIT").execute(&mut somebody).await.unwrap();
    let totals = used(&next, |totals| totals["requests"].as_u64() >= Some(2)).await;
    assert_eq!((&totals["requests"], &totals["errors"]), (&json!(2), &json!(0)), "{totals}");
    next.stop().await;
}

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::testing::eventually;

const SHORT: Limits = Limits {
    connections: 100,
    head: Duration::from_millis(150),
    head_bytes: 64 * 1024,
    write_stall: Duration::from_millis(150),
    unread: Duration::from_millis(150),
    streams: 10,
};
/// How long `/slow` takes.
const SLOW: Duration = Duration::from_millis(800);
const GET: &[u8] = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";

/// Counts what lives.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Running {
    address: SocketAddr,
    leaving: CancellationToken,
    shutdown: CancellationToken,
    alive: Arc<AtomicUsize>,
    task: JoinHandle<Outcome>,
}

async fn run(limits: Limits, grace: Duration) -> Running {
    let alive = Arc::new(AtomicUsize::new(0));
    let (slow, endless) = (Arc::clone(&alive), Arc::clone(&alive));
    let router = Router::new()
        .route(
            "/slow",
            get(async move || {
                let _alive = Alive::new(&slow);
                tokio::time::sleep(SLOW).await;
                "done"
            }),
        )
        .route(
            "/endless",
            get(async move || {
                let piece = Bytes::from(vec![b'x'; 64 * 1024]);
                Body::from_stream(stream::unfold(Alive::new(&endless), move |alive| {
                    let piece = piece.clone();
                    async move { Some((Ok::<_, io::Error>(piece), alive)) }
                }))
            }),
        );
    let leaving = CancellationToken::new();
    let server = Server::bind("127.0.0.1:0").await.unwrap().with_limits(limits).until(leaving.clone());
    let (address, shutdown) = (server.local_addr().unwrap(), CancellationToken::new());
    let task = tokio::spawn(server.run(router, shutdown.clone(), grace));
    Running { address, leaving, shutdown, alive, task }
}

impl Running {
    async fn alive_comes_to(&self, count: usize) -> bool {
        eventually(|| self.alive.load(Ordering::SeqCst) == count).await
    }
}

/// How long it takes until the other side closes.
async fn closed_after(address: SocketAddr, sent: &[u8]) -> Duration {
    let began = Instant::now();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(sent).await.unwrap();
    let _ = timeout(Duration::from_secs(5), socket.read_to_end(&mut Vec::new())).await.expect("never closed");
    began.elapsed()
}

#[tokio::test]
async fn heads_that_do_not_come_are_not_waited_for() {
    let running = run(SHORT, Duration::from_secs(1)).await;
    for sent in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n"] {
        let took = closed_after(running.address, sent).await;
        assert!(took < Duration::from_secs(2), "{sent:?}: {took:?}");
    }
    // A connection that was used is closed when it has been idle.
    assert!(closed_after(running.address, GET).await >= SLOW);
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let running = run(Limits::default(), Duration::from_secs(1)).await;
    let head = |headers: &str| format!("GET /slow HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let large = head(&format!("x-large: {}\r\n", "x".repeat(64 * 1024)));
    let many = head(&"x-many: 1\r\n".repeat(100));
    // Without an end: the limit is not what a head turns out to be, but what is read of it.
    let endless = large.trim_end().to_owned();
    for request in [large, many, endless] {
        let mut socket = TcpStream::connect(running.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let answer = read_until(&mut socket, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert_eq!(running.alive.load(Ordering::SeqCst), 0, "no handler has seen them");
    let usual = head(&format!("x-large: {}\r\n{}", "x".repeat(32 * 1024), "x-many: 1\r\n".repeat(50)));
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    socket.write_all(usual.as_bytes()).await.unwrap();
    assert!(read_until(&mut socket, "done").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused_over_http2_too() {
    let running = run(Limits::default(), Duration::from_secs(1)).await;
    // An error says that the process has a provider already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let ask = |size: usize| {
        let request = client.get(format!("http://{}/slow", running.address));
        request.header("x-large", "x".repeat(size)).send()
    };
    assert_eq!(ask(20 * 1024).await.unwrap().status(), 431);
    // What is larger by far costs the connection, and the next one is as good.
    let error = ask(64 * 1024).await.unwrap_err();
    assert!(format!("{error:?}").contains("header_list_way_too_large"), "{error:?}");
    assert_eq!(running.alive.load(Ordering::SeqCst), 0, "no handler has seen them");
    assert_eq!(ask(8 * 1024).await.unwrap().status(), 200);
}

/// The head of a request that is refused without a look at its body.
fn refused(length: usize) -> Vec<u8> {
    format!("POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n").into_bytes()
}

async fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        read.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn a_refused_body_leaves_its_connection_in_order() {
    let running = run(Limits::default(), Duration::from_secs(1)).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    for chunk in [&[b'x'; 10][..], &[b'x'; 500_000][..]] {
        socket.write_all(&refused(chunk.len())).await.unwrap();
        let answer = read_until(&mut socket, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
        socket.write_all(chunk).await.unwrap();
    }
    socket.write_all(GET).await.unwrap();
    let answer = read_until(&mut socket, "done").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_refused_body_is_waited_for_within_bounds() {
    let running = run(SHORT, Duration::from_secs(1)).await;
    let patient = run(Limits::default(), Duration::from_secs(1)).await;
    for (address, head) in [(running.address, refused(10)), (patient.address, refused(1_000_000_000))] {
        let took = closed_after(address, &head).await;
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}

#[tokio::test]
async fn requests_under_way_are_ended_in_peace() {
    let running = run(Limits::default(), Duration::from_secs(5)).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    let _idle = TcpStream::connect(running.address).await.unwrap();
    socket.write_all(GET).await.unwrap();
    assert!(running.alive_comes_to(1).await);
    running.shutdown.cancel();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    assert_eq!(running.task.await.unwrap(), Outcome::Drained);
}

/// Somebody else takes connections; those that are here are not closed under a request that is on its way.
#[tokio::test]
async fn connections_that_are_left_may_bring_one_request_more() {
    let running = run(Limits::default(), Duration::from_secs(30)).await;
    let mut used = TcpStream::connect(running.address).await.unwrap();
    used.write_all(GET).await.unwrap();
    let answer = read_until(&mut used, "done").await;
    assert!(!answer.contains("connection: close"), "{answer}");
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let multiplexed = || client.get(format!("http://{}/slow", running.address)).send();
    assert_eq!(multiplexed().await.unwrap().status(), 200);
    let last = tokio::spawn(multiplexed());
    assert!(running.alive_comes_to(1).await);

    running.leaving.cancel();
    let closed = eventually(|| std::net::TcpStream::connect(running.address).is_err()).await;
    assert!(closed, "nobody new comes here");
    let began = Instant::now();
    assert_eq!(last.await.unwrap().unwrap().status(), 200);
    for socket in [&mut used, &mut silent] {
        socket.write_all(GET).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("\r\nconnection: close\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("done"), "{answer}");
    }
    // When the last has gone nothing is waited for.
    assert_eq!(running.task.await.unwrap(), Outcome::Drained);
    assert!(began.elapsed() < LINGER, "{:?}", began.elapsed());
}

/// What has changed meanwhile is known to whoever serves now.
#[tokio::test]
async fn a_request_that_comes_when_nothing_is_begun_any_more_is_sent_elsewhere() {
    let running = run(Limits::default(), Duration::from_secs(30)).await;
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    slow.write_all(&GET[..GET.len() - 2]).await.unwrap();
    // Taken, and read as far as that: connections are taken in order.
    let mut other = TcpStream::connect(running.address).await.unwrap();
    other.write_all(GET).await.unwrap();
    assert!(running.alive_comes_to(1).await);
    running.leaving.cancel();
    running.shutdown.cancel();
    slow.write_all(&GET[GET.len() - 2..]).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"code\":\"upgrading\""), "{answer}");
    assert!(
        answer.contains("\r\nconnection: close\r\n") && answer.contains("\r\nretry-after: 1\r\n"),
        "{answer}"
    );
    assert!(read_until(&mut other, "done").await.starts_with("HTTP/1.1 200 "), "it was begun before");
    assert_eq!(running.task.await.unwrap(), Outcome::Drained);
}

#[tokio::test]
async fn the_grace_time_is_a_bound() {
    let running = run(Limits::default(), Duration::from_millis(100)).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    socket.write_all(GET).await.unwrap();
    let mut unfinished = TcpStream::connect(running.address).await.unwrap();
    unfinished.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
    assert!(running.alive_comes_to(1).await);
    let (began, alive) = (Instant::now(), Arc::clone(&running.alive));
    running.shutdown.cancel();
    assert!(matches!(running.task.await.unwrap(), Outcome::Cut(1 | 2)));
    assert!(began.elapsed() < SLOW, "{:?}", began.elapsed());
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

/// Nor does it wait for whoever does not read that it is cut.
#[tokio::test]
async fn who_is_cut_and_does_not_read_is_let_go() {
    let running = run(Limits::default(), Duration::ZERO).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    socket.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(running.alive_comes_to(1).await);
    let alive = Arc::clone(&running.alive);
    running.shutdown.cancel();
    assert_eq!(running.task.await.unwrap(), Outcome::Cut(1));
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_does_not_read_is_let_go() {
    let running = run(SHORT, Duration::from_secs(1)).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    socket.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(running.alive_comes_to(1).await);
    assert!(running.alive_comes_to(0).await);
}

#[tokio::test]
async fn more_connections_than_allowed_wait() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let running = run(limits, Duration::from_millis(100)).await;
    let first = TcpStream::connect(running.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut second = TcpStream::connect(running.address).await.unwrap();
    second.write_all(GET).await.unwrap();
    let mut answer = [0; 12];
    assert!(timeout(Duration::from_millis(1000), second.read_exact(&mut answer)).await.is_err());
    drop(first);
    timeout(Duration::from_secs(5), second.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

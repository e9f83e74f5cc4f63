//! The listener: takes connections, serves HTTP/1.1 and cleartext HTTP/2 on them, and ends in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use self::client::Client;
use super::error::Code;
use super::reception::Reception;
use crate::accounts::Books;

// One connection.
mod client;

/// After a failed accept (too many open files, mostly) nothing is gained by trying at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A client may send its next request just when its connection is closed for being idle, and never know what became
/// of it. Where somebody else goes on serving there is time to wait for that request, and to say that it was the last.
pub const LINGER: Duration = Duration::from_secs(10);

/// So long whoever is cut may take to be told. What is left then is not read by anybody.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// What connections may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at one time; more wait in the system's queue.
    pub connections: usize,
    /// A request's head within this time; also how long an idle connection is kept.
    pub head: Duration,
    /// A request's head, and what is read or written ahead on a connection, is no larger.
    pub head_bytes: usize,
    /// A client that does not read its answer for so long is let go, and upstream with it.
    pub write_stall: Duration,
    /// Bodies that nobody wanted are read for so long, so that their connection can be used again.
    pub unread: Duration,
    /// Requests at one time on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head: Duration::from_secs(30),
            head_bytes: 64 * 1024,
            write_stall: Duration::from_secs(120),
            unread: Duration::from_secs(5),
            streams: 250,
        }
    }
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every request was served to its end.
    Drained,
    /// So many connections were cut when the grace time was over.
    Cut(usize),
}

/// A bound listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    books: Arc<Books>,
    leaving: CancellationToken,
    reception: Arc<Reception>,
    connections: Connections,
}

/// Whoever is connected.
#[derive(Clone, Debug, Default)]
pub struct Connections(TaskTracker);

impl Connections {
    /// How many they are.
    pub fn open(&self) -> usize {
        self.0.len()
    }
}

impl Server {
    /// Binds, with the usual limits.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::on(TcpListener::bind(address).await?))
    }

    /// Takes connections from a socket that is bound already, with the usual limits.
    pub fn on(listener: TcpListener) -> Self {
        let leaving = CancellationToken::new();
        Self {
            listener,
            limits: Limits::default(),
            books: Arc::default(),
            leaving,
            connections: Connections::default(),
            reception: Arc::default(),
        }
    }

    /// From then on connections are another process's: those that are here may bring the requests that are on their
    /// way, and are told that each is the last.
    #[must_use]
    pub fn until(mut self, leaving: CancellationToken) -> Self {
        self.leaving = leaving;
        self
    }

    /// Changes the limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Has books kept of the requests.
    #[must_use]
    pub fn with_books(mut self, books: Arc<Books>) -> Self {
        self.books = books;
        self
    }

    /// Has requests looked at as they come.
    #[must_use]
    pub fn with_reception(mut self, reception: Reception) -> Self {
        self.reception = Arc::new(reception);
        self
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Whoever is connected to it.
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// Serves until `shutdown`, then lets requests end for as long as `grace`, then cuts what is left.
    pub async fn run(self, router: Router, shutdown: CancellationToken, grace: Duration) -> Outcome {
        let Connections(tasks) = self.connections.clone();
        let (cut, end) = (CancellationToken::new(), CancellationToken::new());
        let http = Arc::new(builder(self.limits));
        let places = Arc::new(Semaphore::new(self.limits.connections));
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.leaving.cancelled() => break,
                accepted = self.accept(&places) => accepted,
            };
            let Some((socket, peer, place)) = accepted else { continue };
            let client = Client {
                http: Arc::clone(&http),
                router: router.clone(),
                books: Arc::clone(&self.books),
                reception: Arc::clone(&self.reception),
                limits: self.limits,
                // One of its own: all requests of all connections look at it.
                leaving: self.leaving.child_token(),
                shutdown: shutdown.clone(),
                cut: cut.clone(),
                end: end.clone(),
            };
            tasks.spawn(async move {
                client.serve(socket, peer).await;
                drop(place);
            });
        }
        // Nobody new: who connects now learns at once that nobody is here, or is served by who is.
        drop(self.listener);
        tasks.close();
        let last = Instant::now() + grace;
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = timeout(grace.min(LINGER), tasks.wait()) => shutdown.cancel(),
        }
        if timeout_at(last, tasks.wait()).await.is_ok() {
            return Outcome::Drained;
        }
        let left = tasks.len();
        self.books.cut(Code::ShuttingDown.word());
        cut.cancel();
        if timeout(TOLD_WITHIN, tasks.wait()).await.is_err() {
            end.cancel();
            tasks.wait().await;
        }
        Outcome::Cut(left)
    }

    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((socket, peer)) => Some((socket, peer, place)),
            Err(error) => {
                warn!(%error, "cannot take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

fn builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(limits.head_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .keep_alive_interval(limits.head)
        .keep_alive_timeout(limits.head);
    builder
}

#[cfg(test)]
mod tests;

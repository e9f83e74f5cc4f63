//! One connection, from its first request to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Limits;
use crate::accounts::Books;
use crate::http::connection::{Connection, Watched};
use crate::http::reception::Reception;
use crate::http::unread::Unread;
use crate::http::{error, layers};

/// What one connection is served with.
pub(super) struct Client {
    pub(super) http: Arc<Builder<TokioExecutor>>,
    pub(super) router: Router,
    pub(super) books: Arc<Books>,
    pub(super) reception: Arc<Reception>,
    pub(super) limits: Limits,
    pub(super) leaving: CancellationToken,
    pub(super) shutdown: CancellationToken,
    pub(super) cut: CancellationToken,
    pub(super) end: CancellationToken,
}

/// What a connection is told while it is served.
enum Word {
    /// It has had the time that a first request may take. Until that is there, hyper may still wonder which protocol it
    /// is, without a limit of its own.
    Slow,
    /// What is under way is the last.
    Over,
    /// Not even that has time: who waits is told so.
    Cut,
    /// Who has not taken that by now does not get it.
    End,
}

impl Client {
    pub(super) async fn serve(self, socket: TcpStream, peer: SocketAddr) {
        // Tokens are small and come one by one: waiting to fill a packet would show.
        if let Err(error) = socket.set_nodelay(true) {
            debug!(%error, "cannot switch Nagle's algorithm off");
        }
        let connection = Connection::new(peer, self.limits.write_stall);
        let io = TokioIo::new(Watched::new(socket, &connection));
        let (spoken, multiplexed) = (AtomicBool::new(false), CancellationToken::new());
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            spoken.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(connection.clone());
            let version = request.version();
            if version == Version::HTTP_2 {
                multiplexed.cancel();
            }
            // Over HTTP/2 a request is told to stop, and who waits for leave to send a body gets an answer instead.
            let is_sent = request.version() < Version::HTTP_2 && !request.headers().contains_key(EXPECT);
            let request = request.map(|body| {
                if is_sent { Body::new(Unread::new(body, self.limits.unread)) } else { Body::new(body) }
            });
            let arrival = self.reception.look(&request);
            let router = if self.rests() { error::upgrading() } else { self.router.clone() };
            let (books, connection) = (Arc::clone(&self.books), connection.clone());
            let leaving = self.leaving.clone();
            async move {
                let mut answer = layers::answer(router, books, arrival, request, connection.is_cut()).await;
                if leaving.is_cancelled() && version < Version::HTTP_2 {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let mut serving = pin!(self.http.serve_connection(io, service));
        // Only one that was woken is looked at: every part of every request comes by here.
        let mut words = FuturesUnordered::<BoxFuture<'_, Word>>::new();
        words.push(Box::pin(async {
            tokio::time::sleep(self.limits.head).await;
            Word::Slow
        }));
        words.push(Box::pin(async {
            self.is_over(&multiplexed).await;
            Word::Over
        }));
        words.push(Box::pin(async {
            self.cut.cancelled().await;
            Word::Cut
        }));
        loop {
            tokio::select! {
                biased;
                outcome = serving.as_mut() => {
                    if let Err(error) = outcome {
                        debug!(error, %peer, "connection ended");
                    }
                    return;
                }
                Some(word) = words.next() => match word {
                    Word::Slow if spoken.load(Ordering::Relaxed) => {}
                    Word::Over => serving.as_mut().graceful_shutdown(),
                    Word::Cut if spoken.load(Ordering::Relaxed) => {
                        connection.cut();
                        words.push(Box::pin(async {
                            self.end.cancelled().await;
                            Word::End
                        }));
                    }
                    Word::Slow | Word::Cut | Word::End => return,
                },
            }
        }
    }

    /// Somebody else serves now, and what has changed there since is not known here: a request that was so long on its
    /// way is not begun any more.
    fn rests(&self) -> bool {
        self.leaving.is_cancelled() && self.shutdown.is_cancelled()
    }

    /// HTTP/2 has a way to say which request was the last; otherwise the answer to it says so.
    async fn is_over(&self, multiplexed: &CancellationToken) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = async { tokio::join!(self.leaving.cancelled(), multiplexed.cancelled()); } => {}
        }
    }
}

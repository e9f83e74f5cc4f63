//! Who does not read its answer is let go, over HTTP/2 too: there a piece is asked for only when the client has room for
//! it, so that nobody would notice that it never has, while upstream is kept waiting.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::connection::Connection;

type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// The pieces of an answer, for as long as somebody asks for them.
pub(super) struct Stalling {
    shared: Arc<Mutex<Shared>>,
    _watching: AbortOnDropHandle<()>,
}

struct Shared {
    /// None once the client was let go.
    pieces: Option<Pieces>,
    /// Since when the client has the last piece and has not asked for the next.
    unasked: Option<Instant>,
    /// Whoever asked last, to ask again when the connection is cut.
    asking: Waker,
}

impl Stalling {
    /// Lets the pieces go when nobody asked for one for as long as that may take.
    pub(super) fn new(pieces: Pieces, connection: Connection) -> Self {
        let (unasked, asking) = (Some(Instant::now()), Waker::noop().clone());
        let shared = Arc::new(Mutex::new(Shared { pieces: Some(pieces), unasked, asking }));
        let watching = tokio::spawn(watch(Arc::downgrade(&shared), connection));
        Self { shared, _watching: AbortOnDropHandle::new(watching) }
    }
}

async fn watch(shared: Weak<Mutex<Shared>>, connection: Connection) {
    tokio::select! {
        let_go = unasked(&shared, connection.stall_limit) => return drop(let_go),
        () = connection.is_cut() => {}
    }
    if let Some(shared) = shared.upgrade() {
        shared.lock().unwrap_or_else(PoisonError::into_inner).asking.wake_by_ref();
    }
}

/// Returns with the pieces that nobody asked for any more.
async fn unasked(shared: &Weak<Mutex<Shared>>, limit: Duration) -> Option<Pieces> {
    let mut due = Instant::now() + limit;
    loop {
        tokio::time::sleep_until(due).await;
        let shared = shared.upgrade()?;
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        // While upstream is waited for, it is not the client who holds things up.
        due = shared.unasked.unwrap_or_else(Instant::now) + limit;
        if due <= Instant::now() {
            // To be dropped with the lock free: this ends a request.
            return shared.pieces.take();
        }
    }
}

impl Stream for Stalling {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pieces) = &mut shared.pieces else {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer");
            return Poll::Ready(Some(Err(late)));
        };
        let polled = pieces.as_mut().poll_next(context);
        shared.asking.clone_from(context.waker());
        shared.unasked = polled.is_ready().then(Instant::now);
        polled
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use tokio::sync::oneshot;

    use super::*;

    fn connection(stall_limit_ms: u64) -> Connection {
        Connection::new(([127, 0, 0, 1], 1).into(), Duration::from_millis(stall_limit_ms))
    }

    fn piece() -> io::Result<Bytes> {
        Ok(Bytes::from_static(b"x"))
    }

    #[tokio::test]
    async fn who_does_not_ask_for_more_is_let_go() {
        let (held, dropped) = oneshot::channel::<()>();
        let pieces = stream::repeat_with(move || {
            let _ = &held;
            piece()
        });
        let mut stalling = Stalling::new(pieces.boxed(), connection(20));
        assert!(stalling.next().await.unwrap().is_ok());
        // The sender goes with the pieces.
        assert!(dropped.await.is_err());
        assert_eq!(stalling.next().await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_waits_for_upstream_is_not() {
        let (sender, receiver) = oneshot::channel::<io::Result<Bytes>>();
        let pieces = stream::once(async { receiver.await.unwrap() });
        let mut stalling = Stalling::new(pieces.boxed(), connection(5));
        let other = Stalling::new(stream::repeat_with(piece).boxed(), connection(50));
        let send = async {
            // By the time that another one would have been let go ten times over.
            while other.shared.lock().unwrap().pieces.is_some() {
                tokio::task::yield_now().await;
            }
            sender.send(piece()).unwrap();
        };
        let (next, ()) = tokio::join!(stalling.next(), send);
        assert!(next.unwrap().is_ok());
    }
    #[tokio::test]
    async fn who_waits_is_woken_when_the_connection_is_cut() {
        let connection = connection(60_000);
        let pieces = stream::once({
            let connection = connection.clone();
            async move {
                connection.is_cut_when_looked_at().await;
                piece()
            }
        });
        let mut stalling = Stalling::new(pieces.boxed(), connection.clone());
        // In this order: it waits already.
        let (next, ()) = tokio::join!(stalling.next(), async { connection.cut() });
        assert!(next.unwrap().is_ok());
    }
}

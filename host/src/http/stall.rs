//! Who does not read its answer is let go, over HTTP/2 too: there a piece is asked for only when the client has room for
//! it, so that nobody would notice that it never has, while upstream is kept waiting.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

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
}

impl Stalling {
    /// Lets the pieces go when nobody asked for one for so long.
    pub(super) fn new(pieces: Pieces, limit: Duration) -> Self {
        let shared = Arc::new(Mutex::new(Shared { pieces: Some(pieces), unasked: Some(Instant::now()) }));
        let watching = tokio::spawn(watch(Arc::downgrade(&shared), limit));
        Self { shared, _watching: AbortOnDropHandle::new(watching) }
    }
}

async fn watch(shared: Weak<Mutex<Shared>>, limit: Duration) {
    let mut due = Instant::now() + limit;
    loop {
        tokio::time::sleep_until(due).await;
        let Some(shared) = shared.upgrade() else { return };
        let let_go = {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            // While upstream is waited for, it is not the client who holds things up.
            due = shared.unasked.unwrap_or_else(Instant::now) + limit;
            if due > Instant::now() {
                continue;
            }
            shared.pieces.take()
        };
        // With the lock free: this ends a request.
        return drop(let_go);
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
        shared.unasked = polled.is_ready().then(Instant::now);
        polled
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use tokio::sync::oneshot;

    use super::*;

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
        let mut stalling = Stalling::new(pieces.boxed(), Duration::from_millis(20));
        assert!(stalling.next().await.unwrap().is_ok());
        // The sender goes with the pieces.
        assert!(dropped.await.is_err());
        assert_eq!(stalling.next().await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_waits_for_upstream_is_not() {
        let (sender, receiver) = oneshot::channel::<io::Result<Bytes>>();
        let pieces = stream::once(async { receiver.await.unwrap() });
        let mut stalling = Stalling::new(pieces.boxed(), Duration::from_millis(5));
        let other = Stalling::new(stream::repeat_with(piece).boxed(), Duration::from_millis(50));
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
}

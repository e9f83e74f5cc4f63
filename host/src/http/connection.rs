//! One client's connection: who it is, what has been flushed to it, how long it may refuse to read, and whether it is cut.

use std::future::{Future as _, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

/// What a request may know of its connection. Comes with every request as an extension.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    /// The other side's address.
    pub(super) peer: SocketAddr,
    /// How long it may refuse to read.
    pub(super) stall_limit: Duration,
    flushes: Arc<Flushes>,
    cut: Arc<Cut>,
}

#[derive(Debug, Default)]
struct Flushes {
    /// How often everything written so far had gone out.
    count: AtomicU64,
    changed: Notify,
}

/// Whether what is under way has to end now.
#[derive(Debug, Default)]
struct Cut {
    is_now: AtomicBool,
    told: Notify,
}

/// A moment on a connection, to wait for what was written before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(u64);

impl Connection {
    pub(super) fn new(peer: SocketAddr, stall_limit: Duration) -> Self {
        Self { peer, stall_limit, flushes: Arc::default(), cut: Arc::default() }
    }

    /// What is under way has to end now. Over HTTP/1 the connection has to be looked at after that.
    pub(super) fn cut(&self) {
        self.cut.is_now.store(true, Ordering::Release);
        self.cut.told.notify_waiters();
    }

    /// Returns when what is under way has to end.
    pub(super) async fn is_cut(&self) {
        let told = self.cut.told.notified();
        if !self.cut.is_now.load(Ordering::Acquire) {
            told.await;
        }
    }

    /// The same for what is looked at often: costs nothing, and is to be looked at once more by somebody else then.
    pub(super) async fn is_cut_when_looked_at(&self) {
        poll_fn(|_| if self.cut.is_now.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending })
            .await;
    }

    /// Now.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.flushes.count.load(Ordering::Acquire))
    }

    /// Waits until what was written up to `mark`, and whatever the server wrote with it, has gone out.
    pub(super) async fn flushed_since(&self, mark: Mark) {
        loop {
            let changed = self.flushes.changed.notified();
            if self.flushes.count.load(Ordering::Acquire) != mark.0 {
                return;
            }
            changed.await;
        }
    }
}

/// A socket that counts flushes, and fails once the other side has not read for too long.
pub(super) struct Watched {
    socket: TcpStream,
    flushes: Arc<Flushes>,
    stall_limit: Duration,
    /// Runs while the other side does not take what is written.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(super) fn new(socket: TcpStream, connection: &Connection) -> Self {
        let stall_limit = connection.stall_limit;
        Self { socket, flushes: Arc::clone(&connection.flushes), stall_limit, stalled: None }
    }

    fn watch<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let until = Instant::now() + self.stall_limit;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer")))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The server asks for this only when its own buffer is empty, so by now everything has gone out.
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        self.flushes.count.fetch_add(1, Ordering::Release);
        self.flushes.changed.notify_waiters();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

//! Bodies that nobody wanted, such as those of requests that are refused by their head.
//!
//! What a client is still sending when its answer comes has to go somewhere: a connection that is closed over it is
//! reset, and takes along the answer, or the next request of a client that meant to use it again.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// What is longer costs more than a new connection.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A body whose rest is read and forgotten when it is dropped.
pub(super) struct Unread {
    /// There until it is dropped.
    body: Option<Incoming>,
    within: Duration,
}

impl Unread {
    /// Reads the rest for as long as this.
    pub(super) fn new(body: Incoming, within: Duration) -> Self {
        Self { body: Some(body), within }
    }
}

impl Body for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        // Without a runtime there is no connection any more.
        if let Ok(runtime) = Handle::try_current() {
            let within = self.within;
            // Let go of when its time is over, or it is too long: then the connection is closed after all.
            runtime.spawn(async move { timeout(within, forget(body)).await });
        }
    }
}

async fn forget(mut body: Incoming) {
    let mut left = MAX_BYTES;
    while body.size_hint().lower() <= left {
        let Some(Ok(frame)) = body.frame().await else { return };
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
    }
}

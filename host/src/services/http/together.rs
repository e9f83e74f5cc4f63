//! What arrived together is handed on together.
//!
//! A connection hands the pieces of a body over one by one, and every piece that goes on alone costs a write to the
//! client or a change of threads. Nothing here waits for what has not arrived.

use std::future::poll_fn;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use patchbay_plugin_api::ProviderError;

/// No more than this is handed on together: whoever sends faster than anybody reads is not waited for.
pub const MOST_TOGETHER_BYTES: usize = 16 * 1024;

/// Lets others run that could, once: after it the next piece is usually there if it has arrived.
pub async fn give_way() {
    let mut gave = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A body whose pieces come together where they arrived so.
pub struct Together {
    body: BoxStream<'static, Result<Bytes, ProviderError>>,
    /// What came behind a piece, and is no piece: an error, or the end.
    behind: Option<Option<Result<Bytes, ProviderError>>>,
}

impl Together {
    /// Reads this.
    pub fn new(body: BoxStream<'static, Result<Bytes, ProviderError>>) -> Self {
        Self { body, behind: None }
    }

    /// The next pieces as one; none at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, ProviderError>> {
        if let Some(behind) = self.behind.take() {
            return behind;
        }
        let first = match self.body.next().await {
            Some(Ok(first)) => first,
            other => return other,
        };
        let mut joined: Option<BytesMut> = None;
        loop {
            give_way().await;
            match self.body.next().now_or_never() {
                Some(Some(Ok(piece))) => {
                    let joined = joined.get_or_insert_with(|| BytesMut::from(&first[..]));
                    joined.extend_from_slice(&piece);
                    if joined.len() < MOST_TOGETHER_BYTES {
                        continue;
                    }
                }
                Some(other) => self.behind = Some(other),
                None => {}
            }
            return Some(Ok(joined.map_or(first, BytesMut::freeze)));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use patchbay_plugin_api::ErrorKind;
    use tokio::sync::mpsc;

    use super::*;

    async fn all(pieces: Vec<Result<Bytes, ProviderError>>) -> Vec<Result<Bytes, ErrorKind>> {
        let mut together = Together::new(stream::iter(pieces).boxed());
        let mut read = Vec::new();
        while let Some(piece) = together.next().await {
            read.push(piece.map_err(|error| error.kind));
        }
        read
    }

    #[tokio::test]
    async fn what_is_there_comes_as_one_and_an_error_behind_it() {
        let piece = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
        assert_eq!(
            all(vec![piece("a"), piece("b"), piece("c")]).await,
            [piece("abc").map_err(|_: ProviderError| ErrorKind::Provider)]
        );
        let broken = ProviderError::new(ErrorKind::BrokenStream, "x");
        let read = all(vec![piece("a"), piece("b"), Err(broken)]).await;
        assert_eq!(read, [Ok(Bytes::from_static(b"ab")), Err(ErrorKind::BrokenStream)]);
        let long = Bytes::from(vec![b'x'; MOST_TOGETHER_BYTES]);
        let read = all(vec![piece("a"), Ok(long), piece("b")]).await;
        assert_eq!(read.len(), 2, "no more than so much at once");
    }

    #[tokio::test]
    async fn what_has_not_arrived_is_not_waited_for() {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(4);
        let body = stream::poll_fn(move |context| receiver.poll_recv(context).map(|piece| piece.map(Ok)));
        let mut together = Together::new(body.boxed());
        sender.send(Bytes::from_static(b"a")).await.unwrap();
        assert_eq!(together.next().await, Some(Ok(Bytes::from_static(b"a"))));
        drop(sender);
        assert_eq!(together.next().await, None);
    }
}

//! Bodies on their way from the host's runtime, where they are read, to a plugin's thread.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use abi_stable::std_types::RVec;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use patchbay_plugin_api::Result;
use patchbay_plugin_api::abi::AbiError;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::pulse::Pulse;
use super::slot::Operation;
use crate::services::http::Together;

/// What of a body was read by the time that the plugin gets its answer.
pub(super) enum Source {
    /// All of it: most answers that come in one piece.
    Whole(Option<Bytes>),
    /// More comes.
    Coming(Pieces),
}

type Pieces = mpsc::Receiver<Result<Bytes>>;

/// Begins to read a body, on the host's runtime. What is there already needs no further change of threads.
pub(super) fn read(mut body: BoxStream<'static, Result<Bytes>>, main: &Handle) -> Source {
    match body.next().now_or_never() {
        Some(None) => Source::Whole(None),
        Some(Some(Ok(first))) => match body.next().now_or_never() {
            Some(None) => Source::Whole(Some(first)),
            Some(Some(second)) => {
                Source::Coming(pump(stream::iter([Ok(first), second]).chain(body).boxed(), main))
            }
            None => Source::Coming(pump(stream::iter([Ok(first)]).chain(body).boxed(), main)),
        },
        Some(Some(error)) => Source::Coming(pump(stream::iter([error]).boxed(), main)),
        None => Source::Coming(pump(body, main)),
    }
}

/// Reads the body on the main runtime, one piece ahead of the plugin, until the plugin drops its end.
fn pump(body: BoxStream<'static, Result<Bytes>>, main: &Handle) -> Pieces {
    let mut body = Together::new(body);
    let (sender, receiver) = mpsc::channel(1);
    main.spawn(async move {
        while let Ok(place) = sender.reserve().await {
            tokio::select! {
                piece = body.next() => match piece {
                    Some(piece) => place.send(piece),
                    None => break,
                },
                () = sender.closed() => break,
            }
        }
    });
    receiver
}

/// The body as the plugin polls it, on its own thread.
pub(super) struct Body {
    /// None while `next` has it, and at the end.
    source: Option<Source>,
    next: Option<Operation<(Pieces, Option<Result<Bytes>>)>>,
    pulse: Arc<Pulse>,
}

impl Body {
    pub(super) fn new(source: Source, pulse: Arc<Pulse>) -> Self {
        Self { source: Some(source), next: None, pulse }
    }
}

impl Stream for Body {
    type Item = std::result::Result<RVec<u8>, AbiError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        match this.source.take() {
            None => {}
            Some(Source::Whole(bytes)) => return Poll::Ready(bytes.map(|bytes| Ok(RVec::from(&*bytes)))),
            Some(Source::Coming(mut pieces)) => match pieces.try_recv() {
                Ok(piece) => {
                    this.source = Some(Source::Coming(pieces));
                    return Poll::Ready(Some(handed_over(piece)));
                }
                Err(mpsc::error::TryRecvError::Disconnected) => return Poll::Ready(None),
                Err(mpsc::error::TryRecvError::Empty) => {
                    this.next = Some(Operation::start(&this.pulse, async move {
                        let piece = pieces.recv().await;
                        (pieces, piece)
                    }));
                }
            },
        }
        let Some(next) = &mut this.next else { return Poll::Ready(None) };
        let Poll::Ready((pieces, piece)) = Pin::new(next).poll(context) else { return Poll::Pending };
        (this.next, this.source) = (None, Some(Source::Coming(pieces)));
        Poll::Ready(piece.map(handed_over))
    }
}

/// Copied: the plugin frees it with an allocator of its own.
fn handed_over(piece: Result<Bytes>) -> std::result::Result<RVec<u8>, AbiError> {
    piece.map(|bytes| RVec::from(&*bytes)).map_err(AbiError::from)
}

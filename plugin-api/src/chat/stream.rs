//! A streamed answer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream;

use super::{Answer, Chunk};
use crate::Result;

/// An answer as it comes: pulled chunk by chunk, and given up by dropping it.
///
/// It ends after its last chunk or its first error. It stays on the thread where it was made, so it may hold
/// whatever a plugin likes, `Rc` and `RefCell` included.
pub struct ChunkStream(Pin<Box<dyn Stream<Item = Result<Chunk>>>>);

impl ChunkStream {
    /// Any stream of chunks.
    pub fn new(stream: impl Stream<Item = Result<Chunk>> + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// Chunks that are there already, or made without waiting.
    pub fn from_chunks<I>(chunks: I) -> Self
    where
        I: IntoIterator<Item = Chunk>,
        I::IntoIter: 'static,
    {
        Self::new(stream::iter(chunks.into_iter().map(Ok)))
    }

    /// A whole answer as a stream: how a provider that cannot stream serves those who want one.
    pub fn once(answer: Answer) -> Result<Self> {
        answer.into_chunks().map(Self::from_chunks)
    }

    /// A stream made by calling `step` again and again: it waits for what it needs and gives the next chunk and
    /// the state to go on with, or none at the end.
    ///
    /// ```
    /// # use patchbay_plugin_api::{Chunk, ChunkStream, FinishReason};
    /// let countdown = ChunkStream::unfold(3, async |left| {
    ///     Ok(match left {
    ///         1.. => Some((Chunk::text(format!("{left} ")), left - 1)),
    ///         // An answer says why it ended.
    ///         0 => Some((Chunk::finish(FinishReason::Stop), -1)),
    ///         _ => None,
    ///     })
    /// });
    /// ```
    pub fn unfold<S, F>(state: S, step: F) -> Self
    where
        S: 'static,
        F: AsyncFn(S) -> Result<Option<(Chunk, S)>> + 'static,
    {
        let step = std::rc::Rc::new(step);
        Self::new(stream::try_unfold(state, move |state| {
            let step = step.clone();
            async move { step(state).await }
        }))
    }
}

impl Stream for ChunkStream {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl fmt::Debug for ChunkStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkStream")
    }
}

//! From the body of a response to the chunks of an answer.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_util::{Stream, StreamExt as _};

use super::{Chunks, HttpProvider};
use crate::chat::Chunk;
use crate::http::Body;
use crate::split::{Event, Splitter};
use crate::{ErrorKind, ProviderError, Result};

/// A streamed answer: reads on only when all it has read is used up.
pub(super) struct Events<P: HttpProvider> {
    provider: Rc<P>,
    state: P::StreamState,
    /// The plan's word for the end, where there is one.
    terminal: Option<String>,
    /// None once nothing more is to be read.
    body: Option<Body>,
    splitter: Splitter,
    chunks: Chunks,
    /// Told after the chunks that came before it.
    failure: Option<ProviderError>,
}

impl<P: HttpProvider> Events<P> {
    pub(super) fn new(provider: Rc<P>, body: Body) -> Self {
        Self {
            state: P::StreamState::default(),
            terminal: provider.plan().map(|plan| plan.stream.terminal),
            body: Some(body),
            splitter: Splitter::with_limit(provider.framing(), provider.limits().event),
            chunks: Chunks::default(),
            failure: None,
            provider,
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.splitter.push(bytes);
        while !self.chunks.is_finished()
            && let Some(event) = self.splitter.next_event()?
        {
            let terminal = self.terminal.as_deref();
            read(&*self.provider, &mut self.state, terminal, &event, &mut self.chunks)?;
        }
        Ok(())
    }

    /// The body is over: was the answer?
    fn end(&mut self) -> Result<()> {
        let broken = |message| ProviderError::new(ErrorKind::BrokenStream, message);
        if let Some(event) = self.splitter.finish() {
            let terminal = self.terminal.as_deref();
            // Either upstream does not close its last event, or the event was cut; then it is not readable.
            read(&*self.provider, &mut self.state, terminal, &event, &mut self.chunks).map_err(|error| {
                match error.kind {
                    ErrorKind::UnreadableAnswer => {
                        broken("the provider's answer broke off within an event").with_detail(error.message)
                    }
                    _ => error,
                }
            })?;
        }
        if self.chunks.is_finished() || self.provider.ends_without_terminal() {
            return Ok(());
        }
        Err(broken("the provider's answer broke off before its end"))
    }
}

fn read<P: HttpProvider>(
    provider: &P,
    state: &mut P::StreamState,
    terminal: Option<&str>,
    event: &Event<'_>,
    chunks: &mut Chunks,
) -> Result<()> {
    if terminal == Some(&*event.data) {
        chunks.finish();
        return Ok(());
    }
    provider.event(state, event, chunks)
}

impl<P: HttpProvider> Unpin for Events<P> {}

impl<P: HttpProvider> Stream for Events<P> {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(chunk) = self.chunks.pop() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(self.failure.take().map(Err));
            };
            let outcome = match ready!(body.poll_next_unpin(context)) {
                Some(Ok(bytes)) => self.feed(&bytes),
                Some(Err(error)) => Err(error),
                None => {
                    self.body = None;
                    self.end()
                }
            };
            if outcome.is_err() || self.chunks.is_finished() {
                self.body = None;
                self.failure = outcome.err();
            }
        }
    }
}

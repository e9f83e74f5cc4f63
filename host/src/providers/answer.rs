//! An answer on its way: chunks as they come, each within its time.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use patchbay_plugin_api::ProviderError;
use tokio::time::Instant;

use super::admission::{Admission, replaced};
use super::alarm::Alarm;
use super::call::{NO_END, NO_TOKEN, timed_out};
use super::chunk::Chunk;
use super::plan::PlanStream;
use super::provider::Provider;
use crate::plugins::{ChunkBatch, Chunks, Overdue};

/// Where chunks come from.
#[derive(Debug)]
pub(super) enum Source {
    Plan(Box<PlanStream>),
    Plugin(Chunks),
    Whole(Option<Chunk>),
}

/// Until when something has to be there, and what to say when it is not.
#[derive(Clone, Copy, Debug)]
struct Limit {
    until: Instant,
    within: Duration,
    what: &'static str,
}

/// A streamed answer, pulled by whoever holds it. Dropping it cancels, upstream too.
#[derive(Debug)]
pub struct AnswerStream {
    source: Source,
    /// Whether the client has seen the answer begin.
    content: bool,
    /// The time limit of the chunk that is waited for; kept when `next` is dropped and called again.
    waiting: Option<Limit>,
    alarm: Alarm,
    /// Goes off when the plugin was replaced, and the time to finish is over.
    overdue: Pin<Box<Overdue>>,
    ended: bool,
    /// Last: keeps the generation alive until `source`, which came from it, is gone.
    admission: Admission,
}

impl AnswerStream {
    pub(super) fn new(source: Source, admission: Admission) -> Self {
        let alarm = Alarm::at(admission.began + admission.provider.settings.timeout);
        let overdue = Box::pin(admission.lease.overdue());
        Self { source, content: false, waiting: None, alarm, overdue, ended: false, admission }
    }

    /// Who answers.
    pub fn provider(&self) -> &Arc<Provider> {
        &self.admission.provider
    }

    /// What came is an answer, though there is no content in it.
    pub fn accept(&mut self) {
        let now = Instant::now();
        self.admission.begun(now);
        self.admission.succeeded(now);
    }

    /// What came so far is no answer, whatever its form.
    pub fn reject(&mut self, error: &ProviderError) {
        self.ended = true;
        self.admission.failed(error);
    }

    /// The next chunks, as many as are ready; none at the end. After an error there is nothing more. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<Vec<Chunk>, ProviderError>> {
        if self.ended {
            return None;
        }
        let limit = match self.waiting {
            Some(limit) => limit,
            None => {
                let limit = self.limit();
                self.alarm.set(limit.until);
                *self.waiting.insert(limit)
            }
        };
        let item = tokio::select! {
            biased;
            item = self.source.next_filled() => item.map(|item| item.map_err(|error| self.admission.provider.cleaned(error))),
            () = self.alarm.rung() => match self.source.at_hand() {
                // They came in time, and were about to be handed on.
                Some(chunks) => Some(Ok(chunks)),
                None => Some(Err(timed_out(limit.what, limit.within))),
            },
            () = &mut self.overdue => Some(Err(replaced())),
        };
        self.waiting = None;
        match &item {
            Some(Ok(chunks)) => {
                if !self.content && chunks.iter().any(Chunk::has_content) {
                    self.content = true;
                    self.admission.begun(Instant::now());
                }
            }
            Some(Err(error)) => {
                self.ended = true;
                self.admission.failed(error);
            }
            None => {
                self.ended = true;
                // One without any content is for others to judge.
                if self.content {
                    self.admission.succeeded(Instant::now());
                }
            }
        }
        item
    }

    fn limit(&self) -> Limit {
        let (settings, began) = (&self.admission.provider.settings, self.admission.began);
        let next = if self.content {
            let within = settings.chunk_timeout;
            Limit { until: Instant::now() + within, within, what: "no further chunk" }
        } else {
            let within = settings.timeout;
            Limit { until: began + within, within, what: NO_TOKEN }
        };
        match settings.total_timeout {
            Some(within) if began + within < next.until => {
                Limit { until: began + within, within, what: NO_END }
            }
            _ => next,
        }
    }
}

impl Source {
    /// Batches without anything in them are no sign of life.
    async fn next_filled(&mut self) -> Option<Result<Vec<Chunk>, ProviderError>> {
        loop {
            match self.next().await {
                Some(Ok(chunks)) if chunks.is_empty() => {}
                item => return item,
            }
        }
    }

    /// What was read and waits only to be joined by more.
    fn at_hand(&mut self) -> Option<Vec<Chunk>> {
        match self {
            Self::Plan(stream) => stream.at_hand(),
            Self::Plugin(_) | Self::Whole(_) => None,
        }
    }

    async fn next(&mut self) -> Option<Result<Vec<Chunk>, ProviderError>> {
        match self {
            Self::Plan(stream) => stream.next().await,
            Self::Plugin(chunks) => Some(chunks.next().await?.and_then(|batch| cut(&batch))),
            Self::Whole(chunk) => chunk.take().map(|chunk| Ok(vec![chunk])),
        }
    }
}

/// The chunks of a batch. Where they end was said by a plugin, so it may be wrong.
fn cut(batch: &ChunkBatch) -> Result<Vec<Chunk>, ProviderError> {
    let mut begin = 0;
    batch
        .chunks
        .iter()
        .map(|chunk| {
            let end = usize::try_from(chunk.end).unwrap_or(usize::MAX);
            if end < begin || end > batch.data.len() {
                return Err(ProviderError::unreadable("the plugin's chunks lie outside of their batch"));
            }
            let json = batch.data.slice(begin..end);
            begin = end;
            Ok(Chunk { json, flags: chunk.flags })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use patchbay_plugin_api::abi::ChunkEnd;

    use super::*;

    #[test]
    fn batches_are_cut_where_their_chunks_end() {
        let batch = |ends: &[u32]| ChunkBatch {
            data: Bytes::from_static(b"aabbb"),
            chunks: ends.iter().map(|end| ChunkEnd { end: *end, flags: 1 }).collect(),
        };
        let cut_at = |ends: &[u32]| {
            cut(&batch(ends)).map(|chunks| chunks.into_iter().map(|c| c.json).collect::<Vec<_>>())
        };
        assert_eq!(cut_at(&[2, 5]).unwrap(), ["aa", "bbb"]);
        assert_eq!(cut_at(&[]).unwrap(), Vec::<Bytes>::new());
        assert!(cut_at(&[2, 1]).is_err());
        assert!(cut_at(&[6]).is_err());
    }
}

//! An answer in chunks, as an upstream of OpenAI's dialect streams it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use patchbay_plugin_api::{ErrorKind, ProviderError};

use super::failure;
use crate::config::ProviderSettings;
use crate::providers::chunk::{self, Chunk, Seen};
use crate::providers::sse::SseSplitter;
use crate::services::http::{Body, MOST_TOGETHER_BYTES, give_way};
use crate::services::redact;

/// Chunks out of an upstream's events. Dropping it ends the request.
#[derive(Debug)]
pub(in crate::providers) struct PlanStream {
    body: Body,
    splitter: SseSplitter,
    terminal: Bytes,
    settings: Arc<ProviderSettings>,
    /// What was read and not handed on yet.
    ready: Vec<Chunk>,
    ready_bytes: usize,
    /// An error that chunks before it go ahead of.
    failed: Option<ProviderError>,
    ended: bool,
}

impl PlanStream {
    pub(super) fn new(body: Body, terminal: &str, settings: Arc<ProviderSettings>) -> Self {
        Self {
            body,
            splitter: SseSplitter::default(),
            terminal: Bytes::copy_from_slice(terminal.as_bytes()),
            settings,
            ready: Vec::new(),
            ready_bytes: 0,
            failed: None,
            ended: false,
        }
    }

    /// The next chunks, as many as arrived together; none at the end. Cancel-safe: what was read is kept.
    pub(in crate::providers) async fn next(&mut self) -> Option<Result<Vec<Chunk>, ProviderError>> {
        while self.ready.is_empty() {
            if let Some(error) = self.failed.take() {
                self.ended = true;
                return Some(Err(error));
            }
            if self.ended {
                return None;
            }
            let read = self.body.next().await;
            self.take(read);
        }
        while !self.ended && self.failed.is_none() && self.ready_bytes < MOST_TOGETHER_BYTES {
            give_way().await;
            let Some(read) = self.body.next().now_or_never() else { break };
            self.take(read);
        }
        self.at_hand().map(Ok)
    }

    /// What was read so far and not handed on, if anything was.
    pub(in crate::providers) fn at_hand(&mut self) -> Option<Vec<Chunk>> {
        self.ready_bytes = 0;
        Some(std::mem::take(&mut self.ready)).filter(|chunks| !chunks.is_empty())
    }

    /// Takes what was read of the body; none is its end.
    fn take(&mut self, read: Option<Result<Bytes, ProviderError>>) {
        match read {
            Some(Ok(bytes)) => {
                self.splitter.push(bytes);
                self.take_events(SseSplitter::next_event);
            }
            Some(Err(error)) => self.failed = Some(error),
            None => {
                // Some upstreams leave out the empty line behind the last event.
                self.take_events(SseSplitter::finish);
                // What cannot be read there is half an event, and no nonsense of the provider's.
                let is_half = |error: &ProviderError| error.kind == ErrorKind::UnreadableAnswer;
                if !self.ended && self.failed.as_ref().is_none_or(is_half) {
                    self.failed = Some(ProviderError::new(
                        ErrorKind::BrokenStream,
                        "the provider's stream ended before its end was announced",
                    ));
                }
            }
        }
    }

    /// Takes out what the splitter has, up to the end of the stream or its failure.
    fn take_events(&mut self, next: fn(&mut SseSplitter) -> Result<Option<Bytes>, ProviderError>) {
        while !self.ended && self.failed.is_none() {
            match next(&mut self.splitter) {
                Ok(None) => break,
                Ok(Some(data)) if data.trim_ascii() == self.terminal => self.ended = true,
                Ok(Some(data)) if data.trim_ascii().is_empty() => {}
                Ok(Some(data)) => match self.read(data) {
                    Ok(chunk) => {
                        self.ready_bytes += chunk.json.len();
                        self.ready.push(chunk);
                    }
                    Err(error) => self.failed = Some(error),
                },
                Err(error) => self.failed = Some(error),
            }
        }
    }

    fn read(&self, json: Bytes) -> Result<Chunk, ProviderError> {
        match chunk::look(&json) {
            Ok(Seen::Chunk(flags)) => Ok(Chunk { json, flags }),
            Ok(Seen::Error(error)) => Err(failure::of_error_member(error, &self.settings.keys)),
            Err(error) => {
                let shown = redact::clean(&String::from_utf8_lossy(&json), &self.settings.keys);
                Err(ProviderError::unreadable("the provider's stream holds an event that is not a chunk")
                    .with_detail(format!("{error} in {shown}")))
            }
        }
    }
}

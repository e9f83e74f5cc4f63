//! An answer in chunks, as an upstream of OpenAI's dialect streams it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use patchbay_plugin_api::{ErrorKind, ProviderError};

use super::failure;
use crate::config::ProviderSettings;
use crate::providers::chunk::{self, Chunk, Seen};
use crate::providers::sse::SseSplitter;
use crate::services::http::Body;
use crate::services::redact;

/// Chunks out of an upstream's events. Dropping it ends the request.
#[derive(Debug)]
pub(in crate::providers) struct PlanStream {
    body: Body,
    splitter: SseSplitter,
    terminal: Bytes,
    settings: Arc<ProviderSettings>,
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
            failed: None,
            ended: false,
        }
    }

    /// The next chunks, as many as arrived together; none at the end. Cancel-safe: it waits only for bytes.
    pub(in crate::providers) async fn next(&mut self) -> Option<Result<Vec<Chunk>, ProviderError>> {
        loop {
            if let Some(error) = self.failed.take() {
                self.ended = true;
                return Some(Err(error));
            }
            if self.ended {
                return None;
            }
            let mut chunks = Vec::new();
            match self.body.next().await {
                Some(Ok(bytes)) => {
                    self.splitter.push(bytes);
                    self.take_events(&mut chunks, SseSplitter::next_event);
                }
                Some(Err(error)) => self.failed = Some(error),
                None => {
                    // Some upstreams leave out the empty line behind the last event.
                    self.take_events(&mut chunks, SseSplitter::finish);
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
            if !chunks.is_empty() {
                return Some(Ok(chunks));
            }
        }
    }

    /// Takes out what the splitter has, up to the end of the stream or its failure.
    fn take_events(
        &mut self,
        chunks: &mut Vec<Chunk>,
        next: fn(&mut SseSplitter) -> Result<Option<Bytes>, ProviderError>,
    ) {
        while !self.ended && self.failed.is_none() {
            match next(&mut self.splitter) {
                Ok(None) => break,
                Ok(Some(data)) if data.trim_ascii() == self.terminal => self.ended = true,
                Ok(Some(data)) if data.trim_ascii().is_empty() => {}
                Ok(Some(data)) => match self.read(data) {
                    Ok(chunk) => chunks.push(chunk),
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

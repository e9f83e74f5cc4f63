//! An answer that the client has seen begin: from here on no other provider can take over.

use std::collections::VecDeque;
use std::sync::Arc;

use patchbay_plugin_api::ProviderError;

use super::answer::Facts;
use crate::providers::{AnswerStream, Chunk, Provider};

/// So much may come before the answer begins; beyond it is no preamble.
const MAX_HELD_BYTES: usize = 1024 * 1024;

/// A streamed answer. Dropping it cancels.
#[derive(Debug)]
pub struct CommittedAnswer {
    /// How many providers were asked.
    pub attempts: usize,
    /// What is known of the answer so far; complete at the end.
    pub facts: Facts,
    /// The model that was asked for upstream.
    asked_model: Option<String>,
    /// What came up to the first content.
    held: VecDeque<Vec<Chunk>>,
    stream: AnswerStream,
    provider: Arc<Provider>,
}

impl CommittedAnswer {
    /// Waits for the answer to begin. Until it does, an error means that somebody else may be asked.
    pub(super) async fn begin(
        mut stream: AnswerStream,
        provider: Arc<Provider>,
        asked_model: Option<String>,
        attempts: usize,
    ) -> Result<Self, ProviderError> {
        let mut held = VecDeque::new();
        let mut facts = Facts::default();
        let mut size = 0;
        loop {
            let Some(chunks) = stream.next().await.transpose()? else {
                // An answer of no words is one if it says why it ended; silence is not.
                if facts.finish_reason.is_some() {
                    provider.counters.record(Ok(()));
                    break;
                }
                return Err(worthless(&provider, "the provider's stream ended without an answer"));
            };
            note(&mut facts, &chunks, held.is_empty());
            size += chunks.iter().map(|chunk| chunk.json.len()).sum::<usize>();
            let begun = chunks.iter().any(Chunk::has_content);
            held.push_back(chunks);
            if begun {
                break;
            }
            if size > MAX_HELD_BYTES {
                return Err(worthless(&provider, "the provider's stream does not come to an answer"));
            }
        }
        Ok(Self { attempts, facts, asked_model, held, stream, provider })
    }

    /// The next chunks; none at the end. An error means that the answer is cut, and ends it.
    pub async fn next(&mut self) -> Option<Result<Vec<Chunk>, ProviderError>> {
        if let Some(chunks) = self.held.pop_front() {
            return Some(Ok(chunks));
        }
        let item = self.stream.next().await?;
        if let Ok(chunks) = &item {
            note(&mut self.facts, chunks, false);
        }
        Some(item)
    }

    /// Who answers.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// The model really used, as far as known.
    pub fn model(&self) -> &str {
        self.facts.model.as_deref().or(self.asked_model.as_deref()).unwrap_or_default()
    }
}

/// A stream that nothing was wrong with, but that it says nothing. Nobody has counted that before it was seen here.
fn worthless(provider: &Provider, message: &str) -> ProviderError {
    let error = ProviderError::unreadable(message);
    provider.counters.record(Err(&error));
    error
}

/// Reads the facts out of the chunks that carry any: the first, and those at the end.
fn note(facts: &mut Facts, chunks: &[Chunk], first: bool) {
    for (index, chunk) in chunks.iter().enumerate() {
        if chunk.has_ending() || (first && index == 0) {
            facts.add(&chunk.json);
        }
    }
}

//! An answer that the client has seen begin: from here on no other provider can take over.

use std::collections::VecDeque;

use patchbay_plugin_api::ProviderError;

use super::Served;
use super::answer::Facts;
use crate::accounts::Tab;
use crate::providers::{AnswerStream, Chunk, Provider};

/// So much may come before the answer begins; beyond it is no preamble.
const MAX_HELD_BYTES: usize = 1024 * 1024;

/// A streamed answer. Dropping it cancels.
#[derive(Debug)]
pub struct CommittedAnswer {
    /// Who answers.
    pub served: Served,
    begun: Begun,
    tab: Tab,
}

/// What it took is known when it is over, however it ends.
impl Drop for CommittedAnswer {
    fn drop(&mut self) {
        self.close();
        let Facts { id, finish_reason, .. } = &self.begun.facts;
        self.tab.answer(id.as_deref(), finish_reason.as_deref());
    }
}

/// An answer that has begun, and nobody has said yet whose it is.
#[derive(Debug)]
pub(super) struct Begun {
    /// What is known of the answer so far; complete at the end.
    pub(super) facts: Facts,
    /// What came up to the first content.
    held: VecDeque<Vec<Chunk>>,
    stream: AnswerStream,
}

impl Begun {
    /// Waits for the answer to begin. Until it does, an error means that somebody else may be asked.
    pub(super) async fn wait(mut stream: AnswerStream) -> Result<Self, ProviderError> {
        let mut held = VecDeque::new();
        let mut facts = Facts::default();
        let mut size = 0;
        loop {
            let Some(chunks) = stream.next().await.transpose()? else {
                // An answer of no words is one if it says why it ended; silence is not.
                if facts.finish_reason.is_some() {
                    stream.accept();
                    break;
                }
                return Err(rejected(stream, "the provider's stream ended without an answer"));
            };
            note(&mut facts, &chunks, held.is_empty());
            size += chunks.iter().map(|chunk| chunk.json.len()).sum::<usize>();
            let begun = chunks.iter().any(Chunk::has_content);
            held.push_back(chunks);
            if begun {
                break;
            }
            if size > MAX_HELD_BYTES {
                return Err(rejected(stream, "the provider's stream does not come to an answer"));
            }
        }
        Ok(Self { facts, held, stream })
    }

    pub(super) fn of(self, served: Served, tab: &Tab) -> CommittedAnswer {
        tab.begun();
        CommittedAnswer { served, begun: self, tab: tab.clone() }
    }
}

impl CommittedAnswer {
    /// The next chunks; none at the end. An error means that the answer is cut, and ends it.
    pub async fn next(&mut self) -> Option<Result<Vec<Chunk>, ProviderError>> {
        let begun = &mut self.begun;
        if let Some(chunks) = begun.held.pop_front() {
            return Some(Ok(chunks));
        }
        let item = begun.stream.next().await;
        match &item {
            Some(Ok(chunks)) => note(&mut begun.facts, chunks, false),
            Some(Err(error)) => {
                self.tab.ended(Some(error.kind));
                self.close();
            }
            None => {
                self.tab.ended(None);
                self.close();
            }
        }
        item
    }

    /// Before the client hears of the end: what it did not take is there for the next request.
    fn close(&self) {
        let usage = self.begun.facts.usage;
        self.tab.used(usage, usage.and_then(|usage| self.served.cost(&usage)));
    }

    /// What is known of the answer so far; complete at the end.
    pub fn facts(&self) -> &Facts {
        &self.begun.facts
    }

    /// Who answers.
    pub fn provider(&self) -> &Provider {
        &self.served.provider
    }
}

fn rejected(mut stream: AnswerStream, message: &str) -> ProviderError {
    let error = ProviderError::unreadable(message);
    stream.reject(&error);
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

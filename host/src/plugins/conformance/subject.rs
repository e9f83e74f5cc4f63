//! The SDK's own cases, which run on a plugin's type in its own tests, on the built library.

use std::sync::Arc;

use bytes::Bytes;
use patchbay_plugin_api::Result;
use patchbay_plugin_api::testing::conformance::{self, CASES, Streamed};
use tokio::runtime::Handle;

use super::report::Outcome;
use super::stand::{Heard, Stand, Way};
use super::upstream::{End, Reply};
use super::words;
use crate::plugins::features::Feature;
use crate::plugins::job::Operation;
use crate::providers::Provider;

/// One provider of the plugin's, asked by code that waits.
struct Loaded<'a> {
    stand: &'a Stand,
    provider: Arc<Provider>,
    runtime: Handle,
}

impl conformance::Subject for Loaded<'_> {
    fn ask(&self, operation: conformance::Operation, body: &[u8]) -> Result<Vec<u8>> {
        let captures = &self.stand.captures;
        let (operation, reply) = match operation {
            conformance::Operation::Complete => (Operation::Complete, &captures.answer),
            conformance::Operation::Embed => (Operation::Embed, &captures.embeddings),
            conformance::Operation::Models => (Operation::Models, &captures.models),
            conformance::Operation::Health => (Operation::Health, &captures.health),
            conformance::Operation::Credentials => (Operation::Credentials, &captures.health),
        };
        self.stand.upstream.answers(Reply::json(reply.as_deref().unwrap_or("{}")));
        let asked = self.stand.ask(&self.provider, operation, Bytes::copy_from_slice(body));
        Ok(self.runtime.block_on(asked)?.to_vec())
    }

    fn stream(&self, body: &[u8], batches: usize) -> Result<Streamed> {
        self.stand.streams(self.stand.captures.stream.clone().map(String::into_bytes), End::Whole);
        self.runtime.block_on(async {
            let mut reading = self.stand.open(Way::Code, &self.provider, body.to_vec()).await?;
            let mut heard = Heard::default();
            while heard.streamed.batches < batches && !heard.streamed.ended && heard.error.is_none() {
                reading.read(&mut heard).await;
            }
            heard.error.map_or(Ok(heard.streamed), Err)
        })
    }
}

/// Makes one of them. It says by a panic what is wrong, and so it has a thread of its own.
pub(super) async fn case(stand: &Stand, number: usize) -> Outcome {
    if let Some(why) = untestable(stand, number).await {
        return why;
    }
    let provider = match stand.usual().await {
        Ok(provider) => provider,
        Err(error) => return Outcome::failed(error.to_string()),
    };
    let subject = Loaded { stand, provider, runtime: Handle::current() };
    let caught = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| scope.spawn(|| (CASES[number].check)(&subject)).join())
    });
    match caught {
        Ok(()) => Outcome::Passed,
        Err(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
            Outcome::failed(words.unwrap_or("the case failed without words"))
        }
    }
}

/// What a case needs and is not known.
async fn untestable(stand: &Stand, number: usize) -> Option<Outcome> {
    let captures = &stand.captures;
    let has = |feature| stand.manifest.supported_features.has(feature);
    let upstream =
        !matches!(words::whole(stand).await, Err(Outcome::NotTested { why }) if why == words::NO_UPSTREAM);
    let (answer, stream) = (captures.answer.is_some() || !upstream, captures.stream.is_some() || !upstream);
    let why = match number {
        0 if !answer => words::NO_ANSWER,
        1 | 2 if !has(Feature::Streaming) => words::NO_STREAMING,
        1 | 2 if !stream || !answer => words::NO_STREAM,
        4 if upstream && captures.models.is_none() && has(Feature::ModelList) => {
            "no list of models is known: capture one as conformance/models.json"
        }
        _ => return None,
    };
    Some(Outcome::not_tested(why))
}

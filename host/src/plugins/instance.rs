//! The host's handle to one provider made by a plugin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use patchbay_plugin_api::{ProviderError, Result};
use secrecy::SecretString;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::call_keys::{Assigned, CallKeys};
use super::generation::Generation;
use super::job::{ChunkBatch, InstanceId, Job, Operation, Question};
use super::problem::Problem;
use super::record::Lease;
use crate::accounts::TraceHeaders;
use crate::services::http::Hops;

/// What comes with a call: what the plugin asks upstream for it, it asks with this.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnBehalf<'a> {
    /// For the plugin's log; may be empty.
    pub request_id: &'a str,
    /// The key, which the plugin does not see.
    pub key: Option<&'a SecretString>,
    /// The trace, if there is one.
    pub trace: Option<&'a TraceHeaders>,
    /// Through how many hosts the request has come.
    pub hops: Hops,
}

/// Nothing but an id.
impl<'a> From<&'a str> for OnBehalf<'a> {
    fn from(request_id: &'a str) -> Self {
        Self { request_id, ..Self::default() }
    }
}

/// One provider as its plugin made it. Dropping it drops the plugin's side, on the plugin's thread.
#[derive(Debug)]
pub struct Instance {
    id: InstanceId,
    calls: Arc<CallKeys>,
    generation: Arc<Generation>,
}

impl Instance {
    pub(super) fn new(generation: Arc<Generation>, id: InstanceId, calls: Arc<CallKeys>) -> Self {
        Self { id, calls, generation }
    }

    /// A handle without a plugin behind it, for tests of other modules: every call to it fails.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        Self::new(Generation::detached(), 0, Arc::default())
    }

    pub(super) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Counts a request as running on this generation, until the lease is dropped.
    pub fn lease(&self) -> Lease {
        self.generation.record.begin()
    }

    /// Why it takes no calls, if so.
    pub fn quarantined(&self) -> Option<&Problem> {
        self.generation.shared.pulse.quarantined()
    }

    /// Asks the plugin. `body` is canonical OpenAI JSON (empty for models, health, credentials), so is the
    /// answer. Dropping the future cancels.
    pub async fn ask(&self, operation: Operation, body: Bytes, behalf: OnBehalf<'_>) -> Result<Bytes> {
        let (reply, answer) = oneshot::channel();
        let question = question(body, behalf.request_id);
        let _assigned = self.calls.assign(question.id, behalf);
        self.generation.submit(Job::Ask { instance: self.id, operation, question, reply }).await?;
        self.generation.answered(answer).await?
    }

    /// Asks for an answer in chunks (`chat.completion.chunk` JSON each).
    pub async fn stream(&self, body: Bytes, behalf: OnBehalf<'_>) -> Result<Chunks> {
        let (batches, receiver) = mpsc::channel(1);
        let question = question(body, behalf.request_id);
        let assigned = self.calls.assign(question.id, behalf);
        self.generation.submit(Job::Stream { instance: self.id, question, batches }).await?;
        Ok(Chunks { batches: receiver, _assigned: assigned, generation: Arc::clone(&self.generation) })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.generation.shared.drop_instance(self.id);
    }
}

/// What a plugin may know of a call beside its request.
#[derive(Serialize)]
struct Meta<'a> {
    request_id: &'a str,
}

fn question(body: Bytes, request_id: &str) -> Question {
    static CALLS: AtomicU64 = AtomicU64::new(1);
    let meta = if request_id.is_empty() {
        String::new()
    } else {
        // A text and a text: writing them cannot fail.
        serde_json::to_string(&Meta { request_id }).unwrap_or_default()
    };
    Question { id: CALLS.fetch_add(1, Ordering::Relaxed), body, meta }
}

/// An answer on its way. Dropping it cancels.
#[derive(Debug)]
pub struct Chunks {
    batches: mpsc::Receiver<Result<ChunkBatch>>,
    _assigned: Option<Assigned>,
    /// Last: the plugin's code outlives the stream it feeds.
    generation: Arc<Generation>,
}

impl Chunks {
    /// The next chunks, as many as were ready; none at the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<ChunkBatch, ProviderError>> {
        tokio::select! {
            biased;
            batch = self.batches.recv() => batch,
            () = self.generation.shared.pulse.given_up() => Some(Err(self.generation.stuck())),
        }
    }
}

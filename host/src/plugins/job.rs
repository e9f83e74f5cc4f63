//! What a generation's thread is asked to do.

use bytes::Bytes;
use patchbay_plugin_api::Result;
use patchbay_plugin_api::abi::ChunkEnd;
use tokio::sync::{mpsc, oneshot};

use super::fetch::Fetch;
use std::sync::Arc;

/// Tells instances of one generation apart.
pub(super) type InstanceId = u64;

/// Operations with one question and one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A chat request, answered whole.
    Complete,
    /// An embeddings request.
    Embed,
    /// The models.
    Models,
    /// Whether it can take requests.
    Health,
    /// Whether upstream accepts the key.
    Credentials,
}

/// The request of one call, in the host's types.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) id: u64,
    pub(super) body: Bytes,
    pub(super) meta: String,
}

/// Some chunks, one behind the other in `data`.
#[derive(Clone, Debug, Default)]
pub struct ChunkBatch {
    /// The chunks' JSON.
    pub data: Bytes,
    /// Where each of them ends, and what it carries.
    pub chunks: Vec<ChunkEnd>,
}

/// What an instance is made from.
pub(super) struct Order {
    pub(super) id: InstanceId,
    pub(super) provider: String,
    pub(super) config: Vec<u8>,
    pub(super) fetch: Arc<dyn Fetch>,
}

/// One job. The answer goes through the job's own channel; when nobody listens there any more, the work is
/// dropped where it stands.
pub(super) enum Job {
    Create {
        order: Order,
        reply: oneshot::Sender<Result<Option<Vec<u8>>>>,
    },
    Ask {
        instance: InstanceId,
        operation: Operation,
        question: Question,
        reply: oneshot::Sender<Result<Bytes>>,
    },
    Stream {
        instance: InstanceId,
        question: Question,
        batches: mpsc::Sender<Result<ChunkBatch>>,
    },
}

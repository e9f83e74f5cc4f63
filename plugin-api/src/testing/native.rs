//! A plugin in the test's own process, called through the functions it exports: what a host calls, without a
//! library around it.

use std::mem::ManuallyDrop;

use abi_stable::std_types::{RSlice, RVec};
use futures_util::StreamExt as _;

use super::conformance::{Operation, Streamed, Subject};
use super::{TestHost, block_on};
use crate::abi::{Call, Instance, ProviderInterface};
use crate::export::{self, Operations};
use crate::{Provider, ProviderError, Result};

/// One provider, made from a type instead of a library.
pub struct Native {
    instance: ManuallyDrop<Instance>,
    operations: &'static ProviderInterface,
}

impl Native {
    /// Makes it as a host would.
    pub fn create<P: Provider>(host: TestHost, config: &str) -> Result<Self> {
        let instance =
            export::create::<P>(host.services(), RSlice::from_slice(config.as_bytes())).into_result()?;
        Ok(Self { instance: ManuallyDrop::new(instance), operations: Operations::<P>::TABLE })
    }

    /// The plan it hands the host, as JSON.
    pub fn plan(&self) -> Result<Option<Vec<u8>>> {
        let plan = (self.operations.plan)(self.instance.as_ref()).into_result()?;
        Ok(plan.into_option().map(|plan| plan.to_vec()))
    }

    /// Drops it as a host would: an error says that the author's `Drop` panicked.
    pub fn close(self) -> Result<()> {
        let mut this = ManuallyDrop::new(self);
        this.drop_instance()
    }

    fn drop_instance(&mut self) -> Result<()> {
        // SAFETY: made by `create` of the same type, and dropped once: by `close`, or by `Drop` otherwise.
        unsafe { (self.instance.drop)(self.instance.state) }.into_result().map_err(ProviderError::from)
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // A test that wants to know calls `close`.
        let _ = self.drop_instance();
    }
}

fn call(body: &[u8]) -> Call {
    Call { id: 1, body: RVec::from(body), meta: r#"{"request_id":"test-request"}"#.into() }
}

impl Subject for Native {
    fn ask(&self, operation: Operation, body: &[u8]) -> Result<Vec<u8>> {
        let function = match operation {
            Operation::Complete => self.operations.complete,
            Operation::Embed => self.operations.embed,
            Operation::Models => self.operations.models,
            Operation::Health => self.operations.health,
            Operation::Credentials => self.operations.credentials,
        };
        let answer = block_on(function(self.instance.as_ref(), call(body))).into_result()?;
        Ok(answer.to_vec())
    }

    fn stream(&self, body: &[u8], batches: usize) -> Result<Streamed> {
        block_on(async {
            let mut stream =
                (self.operations.stream)(self.instance.as_ref(), call(body)).await.into_result()?;
            let mut streamed = Streamed::default();
            while streamed.batches < batches {
                match stream.next().await {
                    None => {
                        streamed.ended = true;
                        break;
                    }
                    Some(batch) => {
                        let batch = batch?;
                        streamed.add(&batch.data, &batch.chunks);
                    }
                }
            }
            Ok(streamed)
        })
    }
}

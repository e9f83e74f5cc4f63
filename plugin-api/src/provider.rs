//! The provider contract with full control: async functions over the host's services.

use std::future::Future;

use serde::de::DeserializeOwned;

use crate::chat::{Answer, ChatRequest, ChunkStream};
use crate::embed::{EmbedRequest, Embeddings};
use crate::host::{Call, Host};
use crate::manifest::Implied;
use crate::model::{Credentials, Health, Model};
use crate::plan::Plan;
use crate::{ProviderError, Result};

/// A provider that does everything itself. For one that makes a single HTTP request for each question, see
/// [`HttpProvider`](crate::HttpProvider), which is less to write.
///
/// All of it runs on one thread, the plugin's own, so nothing here needs to be `Send` or `Sync`. Code that
/// blocks or spins stops this plugin's other calls, and a plugin that does so for long is taken out of service.
/// Dropping a future or a stream cancels it. `Drop` is where a provider cleans up.
pub trait Provider: Sized + 'static {
    /// What the manifest need not be told.
    #[doc(hidden)]
    const IMPLIED: Implied = Implied::NOTHING;

    /// The configuration, as it stands under `config` in the host's file. Unknown keys should be ignored.
    type Config: DeserializeOwned;

    /// Makes a provider. An error's message is shown to the operator, so it should say what to mend.
    fn create(config: Self::Config, host: Host) -> Result<Self>;

    /// Checks a configuration without making anything.
    fn validate(_config: &Self::Config) -> Result<()> {
        Ok(())
    }

    /// A plan by which the host may serve requests without calling the plugin.
    fn plan(&self) -> Option<Plan> {
        None
    }

    /// Answers whole.
    fn complete(&self, request: ChatRequest, call: Call) -> impl Future<Output = Result<Answer>>;

    /// Answers in chunks. A provider that cannot stream gives its whole answer as one.
    fn stream(&self, request: ChatRequest, call: Call) -> impl Future<Output = Result<ChunkStream>> {
        async { ChunkStream::once(self.complete(request, call).await?) }
    }

    /// Turns texts into vectors.
    fn embed(&self, _request: EmbedRequest, _call: Call) -> impl Future<Output = Result<Embeddings>> {
        async { Err(ProviderError::unsupported("embeddings")) }
    }

    /// Lists the models upstream has.
    fn models(&self, _call: Call) -> impl Future<Output = Result<Vec<Model>>> {
        async { Ok(Vec::new()) }
    }

    /// Says whether upstream can take requests now.
    fn health(&self, _call: Call) -> impl Future<Output = Result<Health>> {
        async { Ok(Health::Available) }
    }

    /// Says whether upstream accepts the key.
    fn credentials(&self, _call: Call) -> impl Future<Output = Result<Credentials>> {
        async { Err(ProviderError::unsupported("checking credentials")) }
    }
}

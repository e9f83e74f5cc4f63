//! A host for tests: it answers HTTP requests from a script, and its clock stands still until somebody sleeps.
//!
//! ```
//! # use patchbay_plugin_api::testing::{Reply, TestHost, block_on, call};
//! # use patchbay_plugin_api::{Answer, ChatRequest, Http, HttpProvider, Plan, Provider, Result};
//! # struct Example;
//! # impl HttpProvider for Example {
//! #     type Config = serde_json::Value;
//! #     type StreamState = ();
//! #     fn create(_: Self::Config) -> Result<Self> { Ok(Self) }
//! #     fn plan(&self) -> Option<Plan> { Some(Plan::openai("https://api.example.com/v1")) }
//! # }
//! let host = TestHost::new();
//! host.reply(Reply::json(r#"{"choices": []}"#));
//! let provider: Http<Example> = host.provider("{}")?;
//! block_on(provider.complete(ChatRequest::ask("hi"), call()))?;
//! assert_eq!(host.requests()[0].url, "https://api.example.com/v1/chat/completions");
//! # Ok::<(), patchbay_plugin_api::ProviderError>(())
//! ```

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Map, Value};

use crate::abi::{HostContext, HostServices};
use crate::chat::{Chunk, ChunkStream};
use crate::host::{Call, Host};
use crate::http::HttpRequest;
use crate::json;
use crate::provider::Provider;
use crate::{ProviderError, Result};

pub mod conformance;
mod executor;
mod native;
mod outline;
mod reply;
mod services;
#[cfg(test)]
mod tests;

pub use executor::{block_on, poll_once};
pub use native::Native;
pub use outline::outline;
pub use reply::{Reply, every_cut};

/// A host that follows a script.
///
/// What it lends refers to it without a lifetime, so it is never freed; a test's process ends soon enough.
#[derive(Clone, Copy)]
pub struct TestHost(&'static State);

/// All that happened, and what is to happen.
#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    requests: Vec<SentRequest>,
    logs: Vec<LogLine>,
    metrics: Vec<Metric>,
    slept: Duration,
    random: u64,
}

struct State {
    config: String,
    script: Mutex<Script>,
}

impl State {
    fn script(&self) -> MutexGuard<'_, Script> {
        // A test that panicked elsewhere has failed already; the script itself is whole.
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRequest {
    /// The call it was made for.
    pub call: u64,
    /// What was asked.
    pub request: HttpRequest,
}

impl SentRequest {
    /// The first header of this name, written in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        crate::http::header(&self.request.headers, name)
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.request.body).unwrap_or_default()
    }
}

impl std::ops::Deref for SentRequest {
    type Target = HttpRequest;

    fn deref(&self) -> &HttpRequest {
        &self.request
    }
}

/// A line that was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// One of [`log_level`](crate::abi::log_level).
    pub level: u32,
    /// The text.
    pub message: String,
    /// A JSON object, or empty.
    pub fields: String,
}

/// A metric that was added to or set.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// One of [`metric_kind`](crate::abi::metric_kind).
    pub kind: u32,
    /// Its name.
    pub name: String,
    /// A JSON object, or empty.
    pub labels: String,
    /// By how much, or to what.
    pub value: f64,
}

impl Default for TestHost {
    fn default() -> Self {
        Self::new()
    }
}

impl TestHost {
    /// A host with an empty script.
    pub fn new() -> Self {
        Self::with_config("{}")
    }

    /// A host whose `config` service answers with this JSON.
    pub fn with_config(config: &str) -> Self {
        Self(Box::leak(Box::new(State { config: config.to_owned(), script: Mutex::default() })))
    }

    /// Adds the answer to the next request that has none yet.
    pub fn reply(&self, reply: Reply) -> &Self {
        self.0.script().replies.push_back(reply);
        self
    }

    /// What a plugin gets from a host.
    pub fn services(&self) -> HostServices {
        services::of(HostContext(std::ptr::from_ref(self.0).cast()))
    }

    /// Makes a provider as the host would: reads the configuration, validates it, creates. It is the whole configuration:
    /// to have the plugin's own defaults below it, begin with [`defaults`].
    pub fn provider<P: Provider>(&self, config: &str) -> Result<P> {
        let config = json::read_input("the configuration", config.as_bytes())?;
        P::validate(&config)?;
        P::create(config, Host::new(self.services()))
    }

    /// The requests made so far.
    pub fn requests(&self) -> Vec<SentRequest> {
        self.0.script().requests.clone()
    }

    /// The lines logged so far.
    pub fn logs(&self) -> Vec<LogLine> {
        self.0.script().logs.clone()
    }

    /// The metrics so far, in the order they came.
    pub fn metrics(&self) -> Vec<Metric> {
        self.0.script().metrics.clone()
    }

    /// How long plugins have slept in all; each sleep is over at once.
    pub fn slept(&self) -> Duration {
        self.0.script().slept
    }
}

/// What the configuration of a provider of this kind is where nobody says otherwise, beside what its manifest has under
/// `config_defaults`.
///
/// ```
/// # use patchbay_plugin_api::openai::{OpenAi, Vendor};
/// # struct Example;
/// # impl Vendor for Example { type Config = (); }
/// # use patchbay_plugin_api::{Http, testing::defaults};
/// assert!(defaults::<Http<OpenAi<Example>>>().is_empty());
/// ```
pub fn defaults<P: Provider>() -> Map<String, Value> {
    let said =
        P::IMPLIED.config.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?.into())));
    said.collect()
}

/// A call such as the host makes.
pub fn call() -> Call {
    let meta = Map::from_iter([("request_id".to_owned(), Value::from("test-request"))]);
    Call::new(1, meta)
}

/// Reads a stream to its end: its chunks, and the error that it ended with.
pub fn drain(mut stream: ChunkStream) -> (Vec<Chunk>, Option<ProviderError>) {
    block_on(async {
        let mut chunks = Vec::new();
        while let Some(item) = stream.next().await {
            match item {
                Ok(chunk) => chunks.push(chunk),
                Err(error) => return (chunks, Some(error)),
            }
        }
        (chunks, None)
    })
}

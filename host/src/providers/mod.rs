//! The configured providers: instances of plugins, and the immutable snapshot that requests read.

// The snapshot that requests read.
mod index;
mod registry;
// One provider, and how it does.
mod breaker;
mod budget;
mod condition;
mod cost;
mod keys;
mod latency;
mod provider;
// A request it was asked to serve.
mod admission;
// The models its vendor lists.
mod catalogue;
// Asking it, within its time limits.
mod call;
// Asking how it is, when nobody asks it anything else.
mod health;
mod herald;
// Asking whether it accepts its keys.
mod credentials;
// The answer, on its way.
mod account;
mod alarm;
mod answer;
mod chunk;
// Serving without the plugin, by its plan.
mod members;
mod plan;
mod sse;
mod whole;

pub use account::{Account, WholeAnswer};
pub use admission::Admission;
pub use alarm::Alarm;
pub use answer::AnswerStream;
pub use breaker::BreakerState;
pub use call::{CallContext, Surface};
pub use catalogue::{
    Catalogue, Difference, ModelList, ModelQuestion, NotListed, Shelf, Statistics, keep_listed,
};
pub use chunk::Chunk;
pub use condition::Condition;
pub use cost::{Cost, Tokens};
pub use credentials::Verdict;
pub use health::{Checked, Checks, keep_checking};
pub use herald::Herald;
pub use keys::KeyRing;
pub use members::Members;
pub use plan::PreparedCalls;
pub use provider::{Counters, PluginRef, Provider, Refusal, Standing};
pub use registry::{Pool, Registry, Rules, Snapshot, Waiting};
pub use sse::SseSplitter;

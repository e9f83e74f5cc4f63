//! The configured providers: instances of plugins, and the immutable snapshot that requests read.

// The snapshot that requests read.
mod registry;
// One provider, and what is counted about it.
mod condition;
mod provider;
// Asking it, within its time limits.
mod call;
// The answer, on its way.
mod answer;
mod chunk;
// Serving without the plugin, by its plan.
mod members;
mod plan;
mod sse;
mod whole;

pub use answer::AnswerStream;
pub use call::CallContext;
pub use chunk::Chunk;
pub use condition::Condition;
pub use members::Members;
pub use provider::{Counters, InFlight, PluginRef, Provider};
pub use registry::{Registry, Snapshot};

//! The only place that knows providers are libraries. A file becomes a provider step by step, in the order of
//! the modules below; whatever fails on the way becomes a [`Problem`].

// What every failed step turns into, for people and for programs.
pub mod problem;
// The platform's names for things.
pub mod platform;
// Which files are candidates, and why the others are not.
pub mod discover;
// Who may write a file and its folder.
pub mod permissions;
// One candidate, read and hashed without trusting it.
pub mod file;
// The private copy that is mapped instead of the user's file.
pub mod copy;
// Where these lie, when one host takes over from another.
mod cache;
// The library read without running any of it.
pub mod inspect;
// What the router may ask of a plugin.
pub mod features;
// The manifest: what the library says of itself.
pub mod manifest;
// What a plugin asks to be there.
pub mod requires;
// Whether a set of plugins has what its members ask for.
pub mod resolve;
// Which of several files with one id is used.
pub mod choose;
// The functions of the C library that the host stands in front of.
mod interpose;
// The process's pthread keys.
mod keys;
// Threads that a library started by itself.
mod threads;
// Where a library lies in memory, and whether it still does.
mod place;
// One opened library.
mod library;
// What a generation's thread has spent.
mod cpu;
// How it is doing.
mod pulse;
// What is known of a generation, also when it is gone.
mod record;
// What a generation's thread is asked to do.
mod job;
// Which key each call is made with.
mod call_keys;
// HTTP as plugins get it lent.
mod fetch;
// Operations of the host that a plugin waits for.
mod slot;
// Bodies on their way to a plugin's thread.
mod body;
// The host's services as functions of the ABI.
mod lend;
// Trying a library out in a process of its own.
pub mod probe;
// The thread that runs a generation's code.
mod runner;
// One load of one plugin.
mod generation;
// The host's handle to one provider.
mod instance;
// Finds threads that are stuck in plugin code.
mod watchdog;
// Join, close, verify.
mod close;
// Tells of changed files.
pub mod watch;
// What a library could do better.
pub mod advice;
// The loader's pipeline on one file, for people.
pub mod check;
// And beyond it: a plugin's every answer, tested.
pub mod conformance;
// What is shown of reloads.
mod report;
// What is shown of plugins.
mod shown;
// What is counted of them.
mod vitals;
// What is known of every library and generation.
mod catalog;
// Where configuration and libraries come from.
mod sources;
// Every candidate looked at.
mod examine;
// From a checked library to a running generation.
mod load;
// The HTTP client as one provider's plugin gets it.
mod outbound;
// Keys that neither host nor plugin reads.
mod stray;
// The providers that the configuration asks for.
mod instances;
// One reload.
mod engine;
// The handle through which everybody else asks.
mod manager;

pub use cache::Cache;
pub use check::{check_file, read_manifest};
pub use close::end_process;
pub use engine::{EditAction, EditError, ProviderEdit, ProviderView};
pub use features::{Feature, Features};
pub use fetch::{Fetch, Incoming, Outgoing};
pub use instance::{Chunks, Instance, OnBehalf};
pub use instances::alike;
pub use job::{ChunkBatch, Operation};
pub use manager::{Manager, ManagerError, ManagerOptions, ReloadOptions, UnknownPlugin};
pub use problem::{Phase, Problem, ProblemCode, Step};
pub use record::{Lease, Overdue};
pub use report::{ReloadReport, ReloadStatus};
pub use shown::{Draining, PluginList, PluginState, PluginView};
pub use sources::Sources;
pub use stray::StrayKeys;
pub use vitals::{Generations, Reloads, Totals, Vitals};

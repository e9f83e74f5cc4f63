//! Patchbay: an AI gateway whose providers are compiled plugins, loaded and swapped while it runs.
//!
//! The modules stand in the order in which a request meets them.

#![deny(unsafe_code)]

// 1. What a person types.
pub mod cli;
// 2. The gateway as one value: started, reloaded, drained.
pub mod app;
// One host takes over from another.
pub mod upgrade;
// What starts and watches the host, where something does.
pub mod supervisor;
// 3. What the operator wrote, checked.
pub mod config;
// 4. Routes, statuses, headers: the only place that knows HTTP's server side.
pub mod http;
// Who may ask, and for what.
pub mod access;
// And how much.
pub mod limits;
// What came of it.
pub mod accounts;
// 5. One request's life: candidates, attempts, answer.
pub mod gateway;
// 6. The configured providers, and the immutable snapshot that requests read.
pub mod providers;
// 7. The only place that knows that providers are libraries, and therefore the only one that may be unsafe.
#[allow(unsafe_code)]
pub mod plugins;
// What has to be there after a restart: keys of the host's own, who used how much, and who changed what.
pub mod audit;
pub mod store;
// How that gets there.
pub mod usage;
// 8. What the host lends to plugins.
pub mod services;
// The page for people.
pub mod dashboard;
// 9. What the host says about itself: what happens, and its log.
pub mod events;
pub mod telemetry;
// 10. For plugin authors: build, stage, build again.
pub mod dev;

// Random numbers for choices, and what ids are made of.
mod dice;
mod identity;
// 11. What is kept on disk, and under which name.
mod durable;
mod hex;
mod segment;
// And changed in part.
mod patch;
// 12. What others write, read with patience.
mod lenient;

// Stand-ins for tests of several modules.
#[cfg(test)]
mod testing;

//! What only a whole host can show: real processes, real libraries, real connections.

// A failed step of a test ends it.
#![allow(clippy::unwrap_used)]

// How a test says that it could not run here.
mod skip;
// A host in a folder of its own, clients, and libraries made out of one.
#[allow(dead_code)]
mod scenario;
// A plugin that another compiler built.
mod other_rustc;
// Reload under load.
mod swap;

//! What tests and benchmarks do alike: a real host, clients that stream without pause, and a library that changes
//! underneath them; or many clients whose streams are slow.

// One HTTP/1.1 connection that sees what a library would hide: a cut answer, a stalled one.
pub(crate) mod http;
// The host as a process.
pub(crate) mod host;
// Many libraries out of one.
pub(crate) mod paint;
// Many slow streams.
pub(crate) mod streams;
// Clients and reloads at the same time.
pub(crate) mod swap;

//! What the host says about itself.

// Lines, for people and programs.
pub mod access_log;
pub mod log;
// Spans, for whoever keeps traces.
pub mod traces;

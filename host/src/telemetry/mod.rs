//! What the host says about itself.

// Lines, for people and programs.
pub mod access_log;
pub mod log;
// Counts, for Prometheus.
pub mod metrics;
// Spans, for whoever keeps traces.
pub mod traces;

//! What a host says about itself: traces, lines about requests, and how much it logs.

// Who takes traces, and who passes them on.
mod collector;
mod receiver;
// Whole traces, as they arrive.
mod traces;
// Receivers that are not there, and traces that nobody wants.
mod away;
// Lines about requests, and the log's level.
mod log;

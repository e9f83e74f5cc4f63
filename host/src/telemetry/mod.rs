//! What the host says about itself.

pub mod log;

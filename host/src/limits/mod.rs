//! How much anybody may ask, counted exactly.

// 1. What was taken in the last minute.
mod window;
// 2. Everybody's windows.
mod limiter;

pub use limiter::{Admitted, Allowance, Exceeded, InFlight, Limiter, Subject};
pub use window::Standing;

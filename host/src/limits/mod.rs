//! How much anybody may ask, counted exactly.

// 1. What was taken in the last minute, and spent today and this month.
mod calendar;
mod spending;
mod window;
// 2. Of one key, client or provider.
mod meter;
// 3. Everybody's, and what one request has taken of them.
mod limiter;
mod payer;
// 4. What others have written down of it.
mod recall;

pub use calendar::{Clock, Period};
pub use limiter::{Admitted, Allowance, Exceeded, InFlight, Limiter, Subject};
pub use meter::{Claim, Meter, Over, Rates, Wish};
pub use payer::{Claims, Payer};
pub use recall::{keep_recalled, recall_again, recall_first, spent_with_keys};
pub(crate) use spending::SOON;
pub use spending::{Budget, Overspent, Spent, TooDear};
pub use window::Standing;

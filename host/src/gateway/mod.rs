//! One request's life: parsed request, candidates, attempts, answer.
//!
//! Nothing here knows that providers are libraries, and nothing here chooses a status or writes HTTP.

// 1. Who asks, and what.
mod asker;
mod messages;
pub(crate) mod near;
mod request;
// 2. Which providers may serve it, in which order.
mod estimate;
mod order;
mod select;
// What there is to ask for.
mod models;
// 3. Asking them, one after the other.
mod attempt;
mod serve;
mod texts;
// 4. The answer, whole or on its way.
mod answer;
mod stream;

pub use answer::{Answer, Facts, RawAnswer, text_of, words};
pub use asker::Asker;
pub use estimate::{Estimate, Estimated};
pub use models::{ListedModel, find_model, list_models};
pub use request::{BeyondChat, ChatRequest, EmbedRequest, EstimateRequest, RequestError, TextRequest};
pub use select::{Passed, Reason, SelectError, find_provider};
pub use serve::{Failed, Gateway, GatewayError, Served};
pub use stream::CommittedAnswer;

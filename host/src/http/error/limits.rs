//! Why somebody has to wait, or may not ask for so much at all.

use http::StatusCode;

use super::ApiError;
use crate::limits::{Exceeded, Over, Overspent, Period, SOON};

const MANY: &str = "Too many requests";

impl From<Exceeded> for ApiError {
    fn from(exceeded: Exceeded) -> Self {
        match exceeded {
            Exceeded::Own(over) => of_ones_own(over),
            Exceeded::Everybodys(Over::Spent(over)) => overspent(over, "The host's budget"),
            Exceeded::Everybodys(over) => of_ones_own(over),
            Exceeded::Concurrent(most) => {
                let details = format!(
                    "No more than {most} requests at one time with this key: let one of them end first"
                );
                ApiError { retry_after: Some(SOON), ..many(details) }
            }
            Exceeded::Host(most) => {
                let details = format!(
                    "The host serves no more than {most} requests at one time: try again in a moment"
                );
                ApiError { retry_after: Some(SOON), ..many(details) }
            }
        }
    }
}

fn of_ones_own(over: Over) -> ApiError {
    match over {
        Over::Requests(standing) => {
            let limit = standing.limit;
            let details =
                format!("No more than {limit} requests in a minute: wait for as long as `retry-after` says");
            ApiError { retry_after: Some(standing.reset), standing: Some(standing), ..many(details) }
        }
        Over::Tokens(standing) => {
            let limit = standing.limit;
            let details = format!(
                "No more than {limit} tokens in a minute, and this request may take more than are left: wait for as \
                 long as `retry-after` says, or ask for fewer with max_tokens"
            );
            ApiError { retry_after: Some(standing.reset), ..many(details) }
        }
        Over::TooLarge { tokens, limit } => too_large(format!(
            "This request alone may take {tokens} tokens, and there are no more than {limit} in a minute: make it \
             shorter, or ask for fewer with max_tokens"
        )),
        Over::Spent(over) => overspent(over, "The budget"),
    }
}

fn many(details: String) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", MANY, details)
}

/// To wait is of no use.
pub(super) fn too_large(details: String) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_tokens", "Request too large", details)
}

fn overspent(over: Overspent, whose: &str) -> ApiError {
    const SPENT: &str = "Budget exceeded";
    let Overspent { period, budget, spent, wait } = over;
    let details = if over.is_for_now() {
        format!(
            "{whose} of {budget} USD for the {period} is spent up to {spent}, and the rest is set aside for requests \
             under way: let one of them end first"
        )
    } else {
        let next = match period {
            Period::Day => "at midnight",
            Period::Month => "on the first of the next month",
        };
        format!("{whose} of {budget} USD for the {period} is spent ({spent}); it begins anew {next}, UTC")
    };
    let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "budget_exceeded", SPENT, details);
    ApiError { retry_after: Some(wait), ..error }
}

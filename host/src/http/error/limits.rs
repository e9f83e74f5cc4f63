//! Why somebody has to wait, or may not ask for so much at all.

use http::StatusCode;

use super::{ApiError, Code};
use crate::limits::{Exceeded, Over, Overspent, Period, SOON, TooDear};

impl From<Exceeded> for ApiError {
    fn from(exceeded: Exceeded) -> Self {
        match exceeded {
            Exceeded::Own(over) => of_ones_own(over),
            Exceeded::Everybodys(Over::Spent(over)) => overspent(over, "The host's budget"),
            Exceeded::Everybodys(Over::TooDear(over)) => beyond(over, "the host's budget"),
            Exceeded::Unpriced => {
                let details = "There is a budget, and what was asked for has no price that it could count: ask for a \
                               model that has one, or have the operator give it one (pricing)";
                ApiError::new(StatusCode::FORBIDDEN, Code::UnpricedModel, details)
            }
            Exceeded::Everybodys(over) => of_ones_own(over),
            Exceeded::Concurrent(most) => {
                let details = format!(
                    "No more than {most} requests at one time with this key: let one of them end first"
                );
                many(details).after(SOON)
            }
            Exceeded::Host(most) => {
                let details = format!(
                    "The host serves no more than {most} requests at one time: try again in a moment"
                );
                many(details).after(SOON)
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
            many(details).after(standing.reset)
        }
        Over::TooLarge { tokens, limit } => too_large(format!(
            "This request alone may take {tokens} tokens, and there are no more than {limit} in a minute: make it \
             shorter, or ask for fewer with max_tokens"
        )),
        Over::Spent(over) => overspent(over, "The budget"),
        Over::TooDear(over) => beyond(over, "the budget"),
    }
}

fn many(details: String) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, Code::RateLimitExceeded, details)
}

/// To wait is of no use.
pub(super) fn too_large(details: String) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooManyTokens, details)
}

fn beyond(TooDear { period, budget, cost }: TooDear, whose: &str) -> ApiError {
    too_dear(format!(
        "This request alone may cost {cost} USD, and {whose} for the {period} is {budget} USD: make it shorter, ask for \
         fewer tokens with max_tokens, or for a cheaper model"
    ))
}

/// To wait is of no use here, either.
pub(super) fn too_dear(details: String) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooExpensive, details)
}

fn overspent(over: Overspent, whose: &str) -> ApiError {
    let Overspent { period, budget, spent, wait } = over;
    // What is spent is so until the budget begins anew; what is set aside may be free again in a moment.
    let code = if over.is_for_now() { Code::BudgetSetAside } else { Code::BudgetExceeded };
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
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, code, details).after(wait)
}

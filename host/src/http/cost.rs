//! `/api/cost/estimate`: what a request would cost, without making it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::body::WholeBody;
use super::error::ApiError;
use super::recipient::AskedBy;
use super::state::AppState;
use crate::config::{PriceSource, Prices};
use crate::gateway::{EstimateRequest, Estimated};
use crate::providers::Cost;

/// What a request would cost at whoever would be asked first, and at all who may serve it.
pub(super) async fn estimate(
    State(state): State<AppState>,
    AskedBy(asker): AskedBy,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let request = EstimateRequest::parse(&body)?;
    let estimate = state.gateway.estimate(&request, &asker)?;
    let candidates: Vec<Candidate<'_>> = estimate.candidates.iter().map(Candidate::of).collect();
    let first = candidates.iter().find(|candidate| candidate.available);
    let body = Body {
        provider: first.map(|first| first.provider),
        model: first.and_then(|first| first.model),
        cost_usd: first.and_then(|first| first.cost_usd),
        candidates: &candidates,
    };
    Ok(Json(body).into_response())
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Estimate")]
pub(super) struct Body<'a> {
    /// Who would be asked first; none where nobody would.
    provider: Option<&'a str>,
    /// The model there.
    model: Option<&'a str>,
    /// What it would cost there, in US dollars; none where there is no price.
    cost_usd: Option<Cost>,
    /// All who serve such requests, in the order in which they would be asked.
    candidates: &'a [Candidate<'a>],
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EstimateCandidate")]
struct Candidate<'a> {
    /// The name of the provider.
    provider: &'a str,
    /// The model there.
    model: Option<&'a str>,
    /// What it would cost there, in US dollars; none where there is no price.
    cost_usd: Option<Cost>,
    /// What was reckoned with.
    usage: Counts,
    /// The prices that were reckoned with, for a million tokens.
    pricing: Option<Prices>,
    /// Where these come from.
    pricing_source: Option<PriceSource>,
    /// Whether it could be asked now.
    available: bool,
    /// Why it would not be asked, or has no cost.
    reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EstimateTokens")]
struct Counts {
    /// Of the question.
    prompt_tokens: u64,
    /// Of the answer, at most.
    completion_tokens: u64,
    /// Of both.
    total_tokens: u64,
    /// Of the question, what was read before.
    cached_tokens: u64,
    /// Of the question, what is kept for the next time.
    cache_write_tokens: u64,
    /// Of the answer, what are thoughts.
    reasoning_tokens: u64,
}

impl<'a> Candidate<'a> {
    fn of(estimated: &'a Estimated) -> Self {
        let Estimated { provider, model, passed, tokens, priced, cost } = estimated;
        let unpriced = || cost.is_none().then(|| no_price(provider.name(), model.as_deref()));
        Self {
            provider: provider.name(),
            model: model.as_deref(),
            cost_usd: *cost,
            usage: Counts {
                prompt_tokens: tokens.prompt,
                completion_tokens: tokens.completion,
                total_tokens: tokens.prompt.saturating_add(tokens.completion),
                cached_tokens: tokens.cached_prompt,
                cache_write_tokens: tokens.cache_write,
                reasoning_tokens: tokens.reasoning,
            },
            pricing: priced.map(|priced| priced.prices),
            pricing_source: priced.map(|priced| priced.source),
            available: passed.is_none(),
            reason: passed.map(|reason| reason.to_string()).or_else(unpriced),
        }
    }
}

fn no_price(provider: &str, model: Option<&str>) -> String {
    let model = model.unwrap_or("its default model");
    format!("no price is known for {model} there: set pricing in the configuration of {provider}")
}

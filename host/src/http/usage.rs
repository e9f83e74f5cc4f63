//! `/api/usage`: who used how much, of what, and when.

// What is asked for.
mod wish;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) use self::wish::{RecentWish, UsageWish};
use super::error::{ApiError, Code, query_problem, timestamp};
use super::state::AppState;
use crate::accounts::Usage;
use crate::plugins::problem::chain;
use crate::providers::Cost;
use crate::store::StoreError;
use crate::usage::{Dimension, Names, Place, Spread, Sums, UsageRecord};

/// Sums, by what was asked for.
pub(super) async fn sums(
    State(state): State<AppState>,
    wish: Result<Query<UsageWish>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(wish) = wish.map_err(|error| refused(query_problem(&error)))?;
    let query = wish.query(SystemTime::now(), state.usage.minutes_since()).map_err(refused)?;
    let answer = state.usage.sums(&query).await?;
    let all = answer.groups.iter().map(|(names, _)| names).chain(answer.series.iter().map(|it| &it.names));
    let keys = KeyNames::of(&state, all.filter_map(|names| names.key.as_deref())).await?;
    let groups = answer.groups.iter();
    let groups =
        groups.map(|(names, sums)| Line { names: keys.view(names, &query.by), sums: View::of(sums) });
    let series = answer.series.iter().map(|point| PointView {
        at: second(point.at),
        names: keys.view(&point.names, &query.by),
        sums: View::of(&point.sums),
    });
    let page = Page {
        from: second(query.span.from),
        to: second(query.span.to),
        by: query.by.iter().map(|dimension| dimension.word()).collect(),
        step: query.step.map(crate::usage::Step::word),
        totals: View::of(&answer.totals),
        groups: groups.collect(),
        groups_left_out: answer.left_out,
        series: query.step.map(|_| series.collect()),
    };
    Ok(Json(page).into_response())
}

/// Single requests, the last that arrived first.
pub(super) async fn requests(
    State(state): State<AppState>,
    wish: Result<Query<RecentWish>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(wish) = wish.map_err(|error| refused(query_problem(&error)))?;
    let found = state.usage.search(&wish.query().map_err(refused)?).await?;
    let keys = KeyNames::of(&state, found.records.iter().filter_map(|record| record.key.as_deref())).await?;
    let page = RequestPage {
        requests: found.records.iter().map(|record| RequestView::of(record, &keys)).collect(),
        looked_at: found.looked_at,
        next: found.next.map(|Place { millis, id }| format!("{millis}-{id}")),
    };
    Ok(Json(page).into_response())
}

fn refused(details: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, details)
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let details = match error {
            StoreError::TooMuch => {
                "There is too much in what was asked for: ask for a shorter time, or a longer step"
            }
            _ => "The usage could not be read: look at the data directory's disk, and at the log",
        };
        tracing::warn!(problem = chain(&error), "usage not read");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::StoreUnavailable, details)
    }
}

fn second(second: i64) -> String {
    timestamp(UNIX_EPOCH + Duration::from_secs(second.max(0).cast_unsigned()))
}

/// What keys are called, or were before they were revoked.
struct KeyNames(HashMap<String, String>);

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsageKey")]
struct KeyView<'a> {
    id: &'a str,
    name: Option<&'a str>,
}

impl KeyNames {
    async fn of(state: &AppState, ids: impl Iterator<Item = &str>) -> Result<Self, StoreError> {
        state.keys.names(ids).await.map(Self)
    }

    fn key<'a>(&'a self, id: Option<&'a Arc<str>>) -> Option<KeyView<'a>> {
        id.map(|id| KeyView { id, name: self.0.get(&**id).map(String::as_str) })
    }

    /// Those that were asked for, with nothing where a request had none.
    fn view<'a>(&'a self, names: &'a Names, by: &[Dimension]) -> NamesView<'a> {
        let name = |dimension| by.contains(&dimension).then(|| names.get(dimension).map(|name| &**name));
        NamesView {
            provider: name(Dimension::Provider),
            model: name(Dimension::Model),
            key: by.contains(&Dimension::Key).then(|| self.key(names.key.as_ref())),
            route: name(Dimension::Route),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsagePage")]
pub(super) struct Page<'a> {
    /// What was really counted: from the beginning to the end of minutes, hours or days.
    from: String,
    to: String,
    by: Vec<&'static str>,
    step: Option<&'static str>,
    totals: View,
    groups: Vec<Line<'a>>,
    groups_left_out: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Vec<PointView<'a>>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsageGroup")]
struct Line<'a> {
    #[serde(flatten)]
    names: NamesView<'a>,
    #[serde(flatten)]
    sums: View,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsagePoint")]
struct PointView<'a> {
    at: String,
    #[serde(flatten)]
    names: NamesView<'a>,
    #[serde(flatten)]
    sums: View,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsageNames")]
struct NamesView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Option<KeyView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<Option<&'a str>>,
}

/// What requests took.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsageSums")]
struct View {
    requests: u64,
    errors: u64,
    abandoned: u64,
    usage: Usage,
    cost_usd: Cost,
    /// Those whose cost is not in there, because nobody knows it.
    unpriced_requests: u64,
    /// Those whose tokens and cost in there are estimates, because upstream did not say.
    estimated_requests: u64,
    latency_ms: Times,
    first_token_ms: Times,
}

impl View {
    fn of(sums: &Sums) -> Self {
        Self {
            requests: sums.requests,
            errors: sums.errors,
            abandoned: sums.abandoned,
            usage: Usage {
                prompt_tokens: sums.prompt,
                completion_tokens: sums.completion,
                total_tokens: sums.total,
                cached_tokens: sums.cached,
                cache_write_tokens: sums.cache_write,
                reasoning_tokens: sums.reasoning,
            },
            cost_usd: Cost::of_units(sums.cost),
            unpriced_requests: sums.unpriced,
            estimated_requests: sums.estimated,
            latency_ms: Times::of(&sums.latency),
            first_token_ms: Times::of(&sums.first_token),
        }
    }
}

/// Nothing where there was nothing to measure; the mean alone in the series of groups.
#[derive(Serialize, JsonSchema)]
struct Times {
    mean: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

impl Times {
    fn of(spread: &Spread) -> Self {
        // A thousandth of a millisecond is more than anybody can tell.
        let round = |time: f64| (time * 1000.0).round() / 1000.0;
        let quantile = |share| spread.quantile(share).map(round);
        Self { mean: spread.mean().map(round), p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsageRequests")]
pub(super) struct RequestPage<'a> {
    requests: Vec<RequestView<'a>>,
    /// How many that arrived were looked at for that. There is a bound to it, so that there may be more where fewer
    /// were found than were asked for.
    looked_at: usize,
    /// What `before` has to be for those that arrived earlier, of which there may be none; none where that is known.
    next: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsageRequest")]
struct RequestView<'a> {
    at: String,
    request_id: &'a str,
    key: Option<KeyView<'a>>,
    route: &'a str,
    provider: Option<&'a str>,
    model: Option<&'a str>,
    streamed: bool,
    status: Option<u16>,
    error: Option<&'a str>,
    attempts: u32,
    latency_ms: f64,
    first_token_ms: Option<f64>,
    usage: Option<Usage>,
    cost_usd: Option<Cost>,
    /// Whether upstream did not say either of them.
    estimated: bool,
}

impl<'a> RequestView<'a> {
    fn of(record: &'a UsageRecord, keys: &'a KeyNames) -> Self {
        let millis = |time: Duration| time.as_micros() as f64 / 1000.0;
        Self {
            at: timestamp(record.at),
            request_id: &record.request_id,
            key: keys.key(record.key.as_ref()),
            route: &record.route,
            provider: record.provider.as_deref(),
            model: record.model.as_deref(),
            streamed: record.streamed,
            status: record.status,
            error: record.error.as_deref(),
            attempts: record.attempts,
            latency_ms: millis(record.latency),
            first_token_ms: record.first_token.map(millis),
            usage: record.usage,
            cost_usd: record.cost,
            estimated: record.estimated,
        }
    }
}

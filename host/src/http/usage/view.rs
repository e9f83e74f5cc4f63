//! Usage as it is answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Serialize;

use crate::accounts::Usage;
use crate::http::error::timestamp;
use crate::http::state::AppState;
use crate::providers::Cost;
use crate::store::StoreError;
use crate::usage::{Dimension, Found, Names, Place, Spread, Sums, UsageAnswer, UsageQuery, UsageRecord};

/// What keys are called, or were before they were revoked.
pub(super) struct KeyNames(HashMap<String, String>);

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsageKey")]
struct KeyView<'a> {
    /// Its id.
    id: &'a str,
    /// What it is called, or was before it was revoked; none where nobody knows any more.
    name: Option<&'a str>,
}

impl KeyNames {
    pub(super) async fn of(state: &AppState, ids: impl Iterator<Item = &str>) -> Result<Self, StoreError> {
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
pub(in crate::http) struct Page<'a> {
    /// What was really counted: from the beginning to the end of minutes, hours or days.
    from: String,
    /// Up to here, which is not in it.
    to: String,
    /// What was told apart, as it was asked for.
    by: Vec<&'static str>,
    /// How long each point of the series is.
    step: Option<&'static str>,
    /// Of all that was asked for, groups that are left out as well.
    totals: View,
    /// One for each that was told apart, the dearest first.
    groups: Vec<Line<'a>>,
    /// How many groups are not among these, because there are too many.
    groups_left_out: usize,
    /// The same in the course of time, where a step was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Vec<PointView<'a>>>,
}

impl<'a> Page<'a> {
    pub(super) fn of(query: &UsageQuery, answer: &'a UsageAnswer, keys: &'a KeyNames) -> Self {
        let groups = answer.groups.iter();
        let groups =
            groups.map(|(names, sums)| Line { names: keys.view(names, &query.by), sums: View::of(sums) });
        let series = answer.series.iter().map(|point| PointView {
            at: second(point.at),
            names: keys.view(&point.names, &query.by),
            sums: View::of(&point.sums),
        });
        Self {
            from: second(query.span.from),
            to: second(query.span.to),
            by: query.by.iter().map(|dimension| dimension.word()).collect(),
            step: query.step.map(crate::usage::Step::word),
            totals: View::of(&answer.totals),
            groups: groups.collect(),
            groups_left_out: answer.left_out,
            series: query.step.map(|_| series.collect()),
        }
    }
}

fn second(second: i64) -> String {
    timestamp(UNIX_EPOCH + Duration::from_secs(second.max(0).cast_unsigned()))
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
    /// When it begins.
    at: String,
    #[serde(flatten)]
    names: NamesView<'a>,
    #[serde(flatten)]
    sums: View,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsageNames")]
struct NamesView<'a> {
    /// The provider, where they are told apart; null for requests that came to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Option<&'a str>>,
    /// The model, where they are told apart; null where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Option<&'a str>>,
    /// The virtual key, where they are told apart; null for requests without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Option<KeyView<'a>>>,
    /// The path that was asked, where they are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<Option<&'a str>>,
}

/// What requests took.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsageSums")]
struct View {
    /// How many requests there were, whatever came of them.
    requests: u64,
    /// Those that were not served, or whose answer broke off.
    errors: u64,
    /// Those whose client went away before the end. They are no errors.
    abandoned: u64,
    /// The tokens of all of them.
    usage: Usage,
    /// What they cost, in US dollars.
    cost_usd: Cost,
    /// Those whose cost is not in there, because nobody knows it.
    unpriced_requests: u64,
    /// Those whose tokens and cost in there are estimates, because upstream did not say.
    estimated_requests: u64,
    /// From the arrival of a request to the end of its answer.
    latency_ms: Times,
    /// From the arrival of a request to the first of its answer, of those that were streamed.
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
    /// On average.
    mean: Option<f64>,
    /// Half of them took no longer.
    p50: Option<f64>,
    /// Of a hundred 95 took no longer.
    p95: Option<f64>,
    /// Of a hundred 99 took no longer.
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
pub(in crate::http) struct RequestPage<'a> {
    /// The requests, the last that arrived first.
    requests: Vec<RequestView<'a>>,
    /// How many that arrived were looked at for that. There is a bound to it, so that there may be more where fewer
    /// were found than were asked for.
    looked_at: usize,
    /// What `before` has to be for those that arrived earlier; none where there are none. Where it was not looked so far,
    /// because few were looked for among many, it is there, and there may be none all the same.
    next: Option<String>,
}

impl<'a> RequestPage<'a> {
    pub(super) fn of(found: &'a Found, keys: &'a KeyNames) -> Self {
        Self {
            requests: found.records.iter().map(|record| RequestView::of(record, keys)).collect(),
            looked_at: found.looked_at,
            next: found.next.map(|Place { millis, id }| format!("{millis}-{id}")),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsageRequest")]
struct RequestView<'a> {
    /// When it arrived.
    at: String,
    /// What it is called in its answer and in the log.
    request_id: &'a str,
    /// The virtual key that it came with; none where it had none.
    key: Option<KeyView<'a>>,
    /// The path that it asked.
    route: &'a str,
    /// Who answered, or was asked last; none where nobody was asked.
    provider: Option<&'a str>,
    /// The model that answered, as far as known.
    model: Option<&'a str>,
    /// Whether the answer was to come in pieces.
    streamed: bool,
    /// The status that it was answered with; none where its client went away before that.
    status: Option<u16>,
    /// What went wrong, before the answer or in the middle of it: a word of `ErrorCode`; or `abandoned`, where the client went away before the end. None where all went well.
    error: Option<&'a str>,
    /// How many tries it took; 0 where nobody was asked.
    attempts: u32,
    /// From its arrival to the end of the answer.
    latency_ms: f64,
    /// From its arrival to the first of the answer, where that was streamed.
    first_token_ms: Option<f64>,
    /// The tokens, as far as known.
    usage: Option<Usage>,
    /// What it cost, in US dollars, where it has a price.
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

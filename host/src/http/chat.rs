//! `/api/chat` and `/api/chat/complete`.

use std::time::{Duration, UNIX_EPOCH};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::body::WholeBody;
use super::error::{ApiError, timestamp};
use super::frames::{Form, Frames};
use super::recipient::{AskedBy, Recipient};
use super::state::AppState;
use crate::accounts::Usage;
use crate::gateway::{Answer, Asker, ChatRequest, CommittedAnswer, Served};
use crate::providers::Cost;

/// An answer has no more headers than this, those of the layers and of what is limited among them: to make room for a
/// few more each time costs as much as parsing a request.
const MOST_HEADERS: usize = 24;

/// The answer as it is generated.
pub(super) async fn stream(
    State(state): State<AppState>,
    recipient: Recipient,
    headers: HeaderMap,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let request = ChatRequest::parse(&body)?;
    drop(body);
    let form = if wants_events(&headers) { Form::Events } else { Form::Text };
    let answer = state.gateway.stream(&request, &recipient.asker).await?;
    streamed(answer, form, recipient).await
}

/// The answer to a client that is sent the pieces as they come.
pub(super) async fn streamed(
    answer: CommittedAnswer,
    form: Form,
    recipient: Recipient,
) -> Result<Response, ApiError> {
    let mut headers = used(&answer.served);
    let Recipient { asker: Asker { request_id, .. }, connection, version, keep_alive } = recipient;
    let frames = Frames::new(answer, form, request_id, keep_alive);
    let body = if version < Version::HTTP_11 {
        // Without chunks, the end of the connection is the end of the answer: a cut one would look whole.
        Body::from(frames.collect().await?)
    } else {
        frames.into_body(connection, version >= Version::HTTP_2)
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    // Proxies of the nginx family would otherwise hold tokens back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    Ok(response)
}

/// The whole answer, with all that is known of it.
pub(super) async fn complete(
    State(state): State<AppState>,
    AskedBy(asker): AskedBy,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let request = ChatRequest::parse(&body)?;
    let answer = state.gateway.complete(&request, &asker).await?;
    let names = used(&answer.served);
    let cost = answer.facts.usage.and_then(|usage| answer.served.cost(&usage));
    let mut response = Json(Completed::of(&answer, cost, request.include_raw)).into_response();
    response.headers_mut().extend(names);
    put_cost(response.headers_mut(), cost);
    Ok(response)
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Completed<'a> {
    /// The text of the answer.
    response: &'a str,
    /// Whose it is: `assistant`.
    role: &'a str,
    /// The provider that answered.
    provider: &'a str,
    /// The model that answered.
    model: &'a str,
    /// The tokens, where upstream counted them.
    usage: Option<Usage>,
    /// Why it ended, in the words of upstream.
    finish_reason: Option<&'a str>,
    /// What it cost, in US dollars, where it has a price.
    cost_usd: Option<Cost>,
    /// How long it took, in milliseconds.
    latency_ms: u64,
    /// What else upstream says of it.
    metadata: Metadata<'a>,
    /// Upstream's own JSON, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<&'a RawValue>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CompletedMetadata")]
struct Metadata<'a> {
    /// What upstream calls the answer.
    response_id: Option<&'a str>,
    /// When upstream made it.
    created: Option<String>,
}

impl<'a> Completed<'a> {
    fn of(answer: &'a Answer, cost_usd: Option<Cost>, include_raw: bool) -> Self {
        let facts = &answer.facts;
        Self {
            response: &answer.text,
            role: &answer.role,
            provider: answer.served.provider.name(),
            model: &answer.served.model,
            usage: facts.usage,
            finish_reason: facts.finish_reason.as_deref(),
            cost_usd,
            latency_ms: answer.latency.as_millis().try_into().unwrap_or(u64::MAX),
            metadata: Metadata { response_id: facts.id.as_deref(), created: facts.created.and_then(created) },
            raw: include_raw.then(|| serde_json::from_slice(&answer.raw).ok()).flatten(),
        }
    }
}

/// Upstreams count seconds; some make it milliseconds, and a year 50000 is no date anybody can read.
fn created(seconds: u64) -> Option<String> {
    const YEAR_3000: u64 = 32_503_680_000;
    (seconds < YEAR_3000).then(|| timestamp(UNIX_EPOCH + Duration::from_secs(seconds)))
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
    })
}

/// What a whole answer cost, where that is known. Of a stream it is only known when the headers are long gone.
pub(super) fn put_cost(headers: &mut HeaderMap, cost: Option<Cost>) {
    if let Some(value) = cost.and_then(|cost| HeaderValue::try_from(cost.to_string()).ok()) {
        headers.insert("x-patchbay-cost-usd", value);
    }
}

/// Who answered and why, in headers. A name that cannot stand in a header is left out rather than failing the answer.
pub(super) fn used(served: &Served) -> HeaderMap {
    const PROVIDER: HeaderName = HeaderName::from_static("x-patchbay-provider");
    const MODEL: HeaderName = HeaderName::from_static("x-patchbay-model");
    const ROUTE: HeaderName = HeaderName::from_static("x-patchbay-route");
    const ATTEMPTS: HeaderName = HeaderName::from_static("x-patchbay-attempts");
    let mut headers = HeaderMap::with_capacity(MOST_HEADERS);
    for (name, value) in [(PROVIDER, served.provider.name()), (MODEL, &served.model), (ROUTE, &served.route)]
    {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(name, value);
        }
    }
    headers.insert(ATTEMPTS, served.attempts.into());
    headers
}

//! `/v1`: OpenAI's surface, for clients made for OpenAI's.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use schemars::JsonSchema;
use serde::Serialize;

use super::body::WholeBody;
use super::chat::{put_cost, streamed, used};
use super::error::ApiError;
use super::frames::Form;
use super::named::Named;
use super::recipient::{AskedBy, Recipient};
use super::state::AppState;
use crate::gateway::{ChatRequest, EmbedRequest, ListedModel, RawAnswer, find_model, list_models};

/// An answer, whole or as it is generated: upstream's bytes either way.
pub(super) async fn chat(
    State(state): State<AppState>,
    recipient: Recipient,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let request = ChatRequest::parse_openai(&body)?;
    drop(body);
    if !request.stream {
        return Ok(whole(state.gateway.complete_raw(&request, &recipient.asker).await?));
    }
    let answer = state.gateway.stream(&request, &recipient.asker).await?;
    let form = Form::Chunks { usage: request.include_usage };
    streamed(answer, form, recipient).await
}

/// Vectors.
pub(super) async fn embeddings(
    State(state): State<AppState>,
    AskedBy(asker): AskedBy,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let request = EmbedRequest::parse(&body)?;
    Ok(whole(state.gateway.embed(&request, &asker).await?))
}

/// All names that requests may have in `model`.
pub(super) async fn models(State(state): State<AppState>, AskedBy(asker): AskedBy) -> Response {
    let listed = list_models(&state.registry.snapshot(), asker.permits());
    Json(List { object: "list", data: listed.iter().map(Model::of).collect() }).into_response()
}

/// One of them. Its name may have slashes in it.
pub(super) async fn model(
    State(state): State<AppState>,
    AskedBy(asker): AskedBy,
    Named(id): Named,
) -> Result<Response, ApiError> {
    let listed = find_model(&state.registry.snapshot(), &id, asker.permits())?;
    Ok(Json(Model::of(&listed)).into_response())
}

pub(super) fn whole(answer: RawAnswer) -> Response {
    let mut headers = used(&answer.served);
    put_cost(&mut headers, answer.cost);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = Response::new(answer.raw.into());
    *response.headers_mut() = headers;
    response
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenAiModels")]
pub(super) struct List<'a> {
    /// Always `list`.
    object: &'static str,
    /// The models.
    data: Vec<Model<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenAiModel")]
pub(super) struct Model<'a> {
    /// What requests may have in `model`.
    id: &'a str,
    /// Always `model`.
    object: &'static str,
    /// Clients insist on a number, also where nobody knows it.
    created: u64,
    /// The provider that serves it.
    owned_by: &'a str,
}

impl<'a> Model<'a> {
    fn of(listed: &'a ListedModel) -> Self {
        Self {
            id: &listed.id,
            object: "model",
            created: listed.created.unwrap_or_default(),
            owned_by: &listed.provider,
        }
    }
}

//! `/api/providers/{name}/models`: what a provider's vendor lists, and asking it again.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::ORIGIN;
use http::request::Parts;
use patchbay_plugin_api::Model;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::is_same_origin;
use super::body::{WholeBody, object};
use super::error::{ApiError, Code, query_problem, timestamp};
use super::layers::RequestId;
use super::named::Named;
use super::state::AppState;
use crate::config::{PriceSource, Prices};
use crate::gateway::find_provider;
use crate::providers::{Difference, ModelList, NotListed, Provider, Statistics};

/// What is said of a model of which nobody knows how much it can look at.
const LEAST_CONTEXT: u64 = 4096;

/// The reason for which a sync did nothing.
const CACHE_VALID: &str = "cache_valid";

/// Nothing else: a misspelt `refresh` would be answered with what is known.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Asks the vendor, however young the list is. Not for pages of other origins.
    #[serde(default)]
    refresh: bool,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SyncWish {
    /// However young the list is.
    force: bool,
    /// Only says what would be otherwise.
    preview: bool,
}

/// The models of one of them, from memory while they hold. Its vendor is asked when they do not, or on demand; where
/// that fails, what was known is shown, and said to be old.
pub(super) async fn list(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Named(name): Named,
    query: Result<Query<ListQuery>, QueryRejection>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let Query(ListQuery { refresh }) = query.map_err(|error| {
        let details = format!("{}; refresh, which is true or false, is all there is", query_problem(&error));
        ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, details)
    })?;
    if refresh && is_from_elsewhere(&parts) {
        return Err(ApiError::forbidden(
            "Pages of other origins may not have a vendor asked with refresh=true: use POST \
             /api/providers/{name}/models/sync, from where changes may be made",
        ));
    }
    // Only the provider is kept while its vendor answers, not the whole set that it is in.
    let provider = Arc::clone(find_provider(&state.registry.snapshot(), &name)?);
    let holds = provider.catalogue.list().is_some_and(|list| list.holds(SystemTime::now()));
    let mut error = None;
    if provider.can_list_models() && (refresh || !holds) {
        error = match provider.refresh_models(&state.registry, &request_id).await {
            Ok(_) => None,
            Err(NotListed::Failed(error)) => Some(error),
            Err(changed @ NotListed::Changed) => return Err(changed_meanwhile(&changed)),
        };
    }
    let models = match (provider.offered_models(), &error) {
        (Some(models), _) => models,
        (None, Some(error)) => return Err(ApiError::of_provider(&name, error)),
        (None, None) => return Err(cannot_list(&name)),
    };
    let list = provider.catalogue.list();
    // A list of before says so until a newer one has come, whoever it was who asked in vain.
    let failure = provider.catalogue.failure().map(|failure| failure.to_string());
    let cached_at = list.as_ref().map(|list| timestamp(list.cached_at()));
    let body = Listed {
        provider: provider.name(),
        total_count: models.len(),
        models: models.iter().map(|model| ModelView::of(model, &provider)).collect(),
        source: if provider.settings.models.is_empty() { "vendor" } else { "configuration" },
        last_sync: cached_at.clone(),
        cached_at,
        cached_until: list.map(|list| timestamp(list.cached_until())),
        stale: failure.is_some(),
        error: failure,
    };
    Ok(Json(body).into_response())
}

/// Has the vendor asked, unless its list is young. That it failed is an answer, too: what was known stays.
pub(super) async fn sync(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Named(name): Named,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let wish = if body.is_empty() { SyncWish::default() } else { read(&body)? };
    let provider = Arc::clone(find_provider(&state.registry.snapshot(), &name)?);
    if !provider.can_list_models() {
        return Err(cannot_list(&name));
    }
    let known = provider.catalogue.list();
    let report = if wish.preview {
        let preview = provider.preview_models(&request_id).await;
        match preview {
            Err(error) => SyncReport::failed(&provider, error.message),
            Ok((list, difference)) => SyncReport {
                preview: Some(difference),
                ..SyncReport::of("success", None, 0, Some(&list), known.as_deref())
            },
        }
    } else if known.as_ref().is_some_and(|list| !wish.force && list.is_settled(SystemTime::now())) {
        SyncReport::of("skipped", Some(CACHE_VALID.to_owned()), 0, known.as_deref(), known.as_deref())
    } else {
        match provider.refresh_models(&state.registry, &request_id).await {
            Err(error) => SyncReport::failed(&provider, error.to_string()),
            Ok(list) => SyncReport::of("success", None, list.models().len(), Some(&list), Some(&list)),
        }
    };
    Ok(Json(report).into_response())
}

fn read(body: &[u8]) -> Result<SyncWish, ApiError> {
    object(body).map_err(|error| {
        let details = format!("The body is not as it should be, such as {{\"force\": true}}: {error}");
        ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidJson, details)
    })
}

/// What a browser can be made to send from anywhere. Other clients say nothing of where they come from, and what is
/// typed into a browser comes from nowhere.
fn is_from_elsewhere(parts: &Parts) -> bool {
    let said = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or("null"));
    said("sec-fetch-site").is_some_and(|site| !["same-origin", "none"].contains(&site))
        || said(ORIGIN.as_str()).is_some_and(|origin| !is_same_origin(origin, parts))
}

fn changed_meanwhile(changed: &NotListed) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, Code::ProviderChanged, changed.to_string())
}

fn cannot_list(name: &str) -> ApiError {
    ApiError::unsupported(format!("The plugin of {name} does not support model_list"))
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModelList")]
pub(super) struct Listed<'a> {
    /// The name of the provider.
    provider: &'a str,
    /// The models that it offers.
    models: Vec<ModelView<'a>>,
    /// How many they are.
    total_count: usize,
    /// Whether its vendor lists them, or its configuration.
    #[schemars(extend("enum" = ["vendor", "configuration"]))]
    source: &'static str,
    /// When the vendor listed them.
    cached_at: Option<String>,
    /// Until when that holds.
    cached_until: Option<String>,
    /// The same as `cached_at`.
    last_sync: Option<String>,
    /// Whether the vendor could not be asked the last time, so that this may be old.
    stale: bool,
    /// Why it could not be asked.
    error: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProviderModel")]
struct ModelView<'a> {
    /// What requests call it.
    id: &'a str,
    /// What people call it.
    name: &'a str,
    /// What it is for, such as `chat` or `embedding`.
    r#type: &'a str,
    /// What it can do.
    capabilities: &'a [String],
    /// How many tokens it can look at; 4096 where nobody knows.
    context_length: u64,
    /// Who made it.
    owner: Option<&'a str>,
    /// When it was made, in seconds since 1970.
    created: Option<u64>,
    /// For a million tokens.
    pricing: Option<Prices>,
    /// Where its prices come from.
    pricing_source: Option<PriceSource>,
}

impl<'a> ModelView<'a> {
    fn of(model: &'a Model, provider: &Provider) -> Self {
        let priced = provider.priced(provider.names_of(&model.id));
        Self {
            id: &model.id,
            name: model.name.as_deref().unwrap_or(&model.id),
            r#type: &model.kind,
            capabilities: &model.capabilities,
            context_length: model.context_length.unwrap_or(LEAST_CONTEXT),
            owner: model.owner.as_deref(),
            created: model.created,
            pricing: priced.and_then(|priced| priced.prices.per_million()),
            pricing_source: priced.map(|priced| priced.source),
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct SyncReport {
    /// What came of it.
    #[schemars(extend("enum" = ["success", "skipped", "error"]))]
    status: &'static str,
    /// Why nothing was done, or what went wrong.
    reason: Option<String>,
    /// How many models were listed and are known from now on.
    models_synced: usize,
    /// What is known of them.
    statistics: Option<UpdatedStatistics>,
    /// When the vendor listed what is known now.
    last_sync: Option<String>,
    /// Until when that holds.
    cached_until: Option<String>,
    /// What would be otherwise, where only that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<Difference>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModelStatistics")]
struct UpdatedStatistics {
    #[serde(flatten)]
    statistics: Statistics,
    /// When they were listed.
    updated_at: String,
}

impl SyncReport {
    /// `counted` is what the statistics are of, `known` what is known from now on.
    fn of(
        status: &'static str,
        reason: Option<String>,
        models_synced: usize,
        counted: Option<&ModelList>,
        known: Option<&ModelList>,
    ) -> Self {
        Self {
            status,
            reason,
            models_synced,
            statistics: counted.map(|list| UpdatedStatistics {
                statistics: list.statistics(),
                updated_at: timestamp(list.cached_at()),
            }),
            last_sync: known.map(|list| timestamp(list.cached_at())),
            cached_until: known.map(|list| timestamp(list.cached_until())),
            preview: None,
        }
    }

    fn failed(provider: &Provider, reason: String) -> Self {
        let known = provider.catalogue.list();
        Self::of("error", Some(reason), 0, known.as_deref(), known.as_deref())
    }
}

//! `/api/providers/{name}/credentials/validate`: whether a provider's keys are accepted.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::layers::RequestId;
use super::named::Named;
use super::state::AppState;
use crate::gateway::find_provider;
use crate::providers::Verdict;

/// Asks about every key now. Which one it is only its place says: a key is in no answer.
pub(super) async fn validate(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Named(name): Named,
) -> Result<Response, ApiError> {
    let provider = Arc::clone(find_provider(&state.registry.snapshot(), &name)?);
    if !provider.can_check_credentials() {
        let details = format!("The plugin of {name} does not support credentials_check");
        return Err(ApiError::unsupported(details));
    }
    let verdicts = provider.check_credentials(&request_id).await;
    let keys: Vec<Key> =
        verdicts.iter().enumerate().map(|(index, verdict)| Key::of(index, verdict)).collect();
    // The worst of them is what has to be looked at.
    let worst = |status| keys.iter().find(|key| key.said.status == status);
    let said = match worst("invalid").or(worst("error")) {
        Some(key) => key.said.clone(),
        None => Said { status: "valid", message: Some(accepted(provider.keys.count())), error: None },
    };
    Ok(Json(Body { said, keys }).into_response())
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Credentials")]
pub(super) struct Body {
    #[serde(flatten)]
    said: Said,
    /// The same of each key.
    keys: Vec<Key>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CredentialsKey")]
struct Key {
    /// Its place among the keys, from 0.
    index: usize,
    #[serde(flatten)]
    said: Said,
}

#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "CredentialsVerdict")]
struct Said {
    /// Whether it is accepted, or not, or could not be asked about.
    #[schemars(extend("enum" = ["valid", "invalid", "error"]))]
    status: &'static str,
    /// What was said about the key.
    message: Option<String>,
    /// Why it could not be asked.
    error: Option<String>,
}

impl Key {
    fn of(index: usize, verdict: &Verdict) -> Self {
        let (status, message, error) = match verdict {
            Verdict::Valid => ("valid", None, None),
            Verdict::Invalid(message) => ("invalid", Some(message.clone()), None),
            Verdict::Unknown(error) => ("error", None, Some(error.message.clone())),
        };
        Self { index, said: Said { status, message, error } }
    }
}

fn accepted(keys: usize) -> String {
    match keys {
        0 => "The provider needs no key".to_owned(),
        1 => "The provider accepts the key".to_owned(),
        _ => format!("The provider accepts all {keys} keys"),
    }
}

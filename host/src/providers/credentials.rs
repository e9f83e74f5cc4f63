//! Whether a provider's keys are accepted, asked of whoever has to accept them.

use futures_util::{StreamExt as _, stream};
use patchbay_plugin_api::{Credentials, ErrorKind, ProviderError};
use tokio::time::Instant;

use super::Provider;
use super::call::within;
use crate::plugins::{Feature, Operation};

/// So many keys are asked about at one time.
const AT_ONCE: usize = 4;

/// What is known of a key now.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is accepted.
    Valid,
    /// It is not, and this is what was said about it.
    Invalid(String),
    /// It could not be asked.
    Unknown(ProviderError),
}

impl Provider {
    /// Whether its plugin can be asked about keys.
    pub fn can_check_credentials(&self) -> bool {
        self.features.has(Feature::CredentialsCheck)
    }

    /// Asks about every key, in their order; about none at all where there is none. A key that is accepted after all
    /// need not rest any longer.
    pub async fn check_credentials(&self, request_id: &str) -> Vec<Verdict> {
        let places = 0..self.keys.count().max(1);
        stream::iter(places).map(|place| self.check_key(place, request_id)).buffered(AT_ONCE).collect().await
    }

    async fn check_key(&self, place: usize, request_id: &str) -> Verdict {
        let asked = self.ask_plugin_with(place, Operation::Credentials, request_id);
        let answer = within(self.settings.timeout, "no answer to the check of the key", asked).await;
        let read = answer.map_err(|error| self.cleaned(error)).and_then(|answer| {
            serde_json::from_slice(&answer).map_err(|error| {
                ProviderError::unreadable("the plugin's answer about the key cannot be read")
                    .with_detail(error.to_string())
            })
        });
        match read {
            Ok(Credentials::Valid) => {
                self.keys.accepted(place, Instant::now());
                Verdict::Valid
            }
            Ok(Credentials::Invalid { message }) => Verdict::Invalid(self.cleaned_text(&message)),
            Err(error) if error.kind == ErrorKind::Authentication => Verdict::Invalid(error.message),
            Err(error) => Verdict::Unknown(error),
        }
    }
}

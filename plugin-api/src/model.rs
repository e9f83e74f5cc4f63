//! What a provider says about itself: its models, its health, its credentials.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::json;

/// One model a provider serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// As it stands in a request's `model`.
    pub id: String,
    /// For people; the id where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for: `chat`, `embedding`, ...
    #[serde(rename = "type", default = "chat")]
    pub kind: String,
    /// What it can do, in the words of a manifest's features.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// How many tokens it can look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u64>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it came, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// What it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
}

/// Prices in US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pricing {
    /// For tokens read.
    pub prompt: f64,
    /// For tokens written.
    pub completion: f64,
}

/// Whether a provider can take requests. That it cannot at all is an error, not a health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Health {
    /// It can.
    Available,
    /// It can, but others should be asked first.
    Busy {
        /// Why, where the provider said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// Whether a provider accepts the key. That it could not be asked is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Credentials {
    /// It does.
    Valid,
    /// It does not.
    Invalid {
        /// What it says about it.
        message: String,
    },
}

impl Model {
    /// A chat model of which no more is known.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: None,
            kind: chat(),
            capabilities: Vec::new(),
            context_length: None,
            owner: None,
            created: None,
            pricing: None,
        }
    }

    /// Adds what it can do.
    #[must_use]
    pub fn with_capabilities<'a>(mut self, capabilities: impl IntoIterator<Item = &'a str>) -> Self {
        self.capabilities.extend(capabilities.into_iter().map(str::to_owned));
        self
    }

    /// The answer of [`ProviderInterface::models`](crate::abi::ProviderInterface).
    pub fn list_to_json(models: &[Self]) -> Vec<u8> {
        json::to_vec(&json!({"models": models}))
    }
}

impl Health {
    /// Busy, and why.
    pub fn busy(reason: impl Into<String>) -> Self {
        Self::Busy { reason: Some(reason.into()) }
    }

    /// The answer of [`ProviderInterface::health`](crate::abi::ProviderInterface).
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(self)
    }
}

impl Credentials {
    /// The answer of [`ProviderInterface::credentials`](crate::abi::ProviderInterface).
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(self)
    }
}

fn chat() -> String {
    "chat".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_shapes_of_the_contract() {
        let models = [Model::new("a").with_capabilities(["streaming", "vision"])];
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&Model::list_to_json(&models)).unwrap(),
            json!({"models": [{"id": "a", "type": "chat", "capabilities": ["streaming", "vision"]}]})
        );
        assert_eq!(Health::Available.to_json(), br#"{"status":"available"}"#);
        assert_eq!(Health::busy("full").to_json(), br#"{"status":"busy","reason":"full"}"#);
        assert_eq!(Credentials::Valid.to_json(), br#"{"status":"valid"}"#);
        let invalid = Credentials::Invalid { message: "no".into() };
        assert_eq!(invalid.to_json(), br#"{"status":"invalid","message":"no"}"#);
    }
}

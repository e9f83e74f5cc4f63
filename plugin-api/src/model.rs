//! What a provider says about itself: its models, its health, its credentials.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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

/// Prices in US dollars per million tokens. Where one of those that may be left out is, the tokens cost what all others
/// of their side cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pricing {
    /// For tokens read.
    pub prompt: f64,
    /// For those of them that were read before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_prompt: Option<f64>,
    /// For those of them that are kept for the next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<f64>,
    /// For tokens written.
    pub completion: f64,
    /// For those of them that were thoughts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<f64>,
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

    /// What its name says that it is for, where one of these parts stands in it: the first that does, and its kind. Many
    /// lists do not say it otherwise.
    ///
    /// ```
    /// # use patchbay_plugin_api::Model;
    /// let model = Model::new("hear-and-speak-tts").kind_by_name(&[("-tts", "audio"), ("embed", "embedding")]);
    /// assert_eq!(model.kind, "audio");
    /// ```
    #[must_use]
    pub fn kind_by_name(mut self, kinds: &[(&str, &str)]) -> Self {
        if let Some((_, kind)) = kinds.iter().find(|(part, _)| self.id.contains(part)) {
            self.kind = (*kind).to_owned();
        }
        self
    }

    /// The answer of [`ProviderInterface::models`](crate::abi::ProviderInterface).
    pub fn list_to_json(models: &[Self]) -> Vec<u8> {
        json::to_vec(&json!({"models": models}))
    }
}

impl Pricing {
    /// Prices for tokens read and written.
    pub fn new(prompt: f64, completion: f64) -> Self {
        Self { prompt, cached_prompt: None, cache_write: None, completion, reasoning: None }
    }

    /// Reads prices, numbers or texts, that are for `tokens` tokens each; vendors count by one or by a million. None
    /// where one of the two is missing or no price, as where it depends on the request.
    ///
    /// ```
    /// # use patchbay_plugin_api::Pricing;
    /// let listed = serde_json::json!({"prompt": "0.0000025", "completion": "0.00001", "cache_read": "0.00000125"});
    /// let pricing = Pricing::read(&listed, "prompt", "completion", 1.0).unwrap();
    /// assert_eq!(pricing, Pricing::new(2.5, 10.0));
    ///
    /// let cached_prompt = Pricing::read_one(&listed, "cache_read", 1.0);
    /// assert_eq!(Pricing { cached_prompt, ..pricing }.cached_prompt, Some(1.25));
    /// ```
    pub fn read(listed: &Value, prompt: &str, completion: &str, tokens: f64) -> Option<Self> {
        let price = |name| Self::read_one(listed, name, tokens);
        Some(Self::new(price(prompt)?, price(completion)?))
    }

    /// Reads one price as [`read`](Self::read) does.
    pub fn read_one(listed: &Value, name: &str, tokens: f64) -> Option<f64> {
        let value = listed.get(name)?;
        let price = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
        // To a billionth of a dollar: what is below it comes of the arithmetic.
        let million = (price * (1e6 / tokens) * 1e9).round() / 1e9;
        (million.is_finite() && million >= 0.0).then_some(million)
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
    fn prices_are_read_as_they_are_written() {
        let read = |listed: Value, tokens| Pricing::read(&listed, "in", "out", tokens);
        for (listed, tokens, expected) in [
            (json!({"in": 0.1, "out": 0.3}), 1e6, Some((0.1, 0.3))),
            (json!({"in": "0.00000015", "out": "0.0000006"}), 1.0, Some((0.15, 0.6))),
            (json!({"in": "0", "out": 0}), 1.0, Some((0.0, 0.0))),
            (json!({"in": 0.0005, "out": "0.0015"}), 1000.0, Some((0.5, 1.5))),
            (json!({"in": "-1", "out": "-1"}), 1.0, None),
            (json!({"in": 1}), 1.0, None),
            (json!({"in": null, "out": "free"}), 1.0, None),
            (json!({"in": "inf", "out": "NaN"}), 1.0, None),
            (json!(null), 1.0, None),
        ] {
            let expected = expected.map(|(prompt, completion)| Pricing::new(prompt, completion));
            assert_eq!(read(listed.clone(), tokens), expected, "{listed}");
        }
    }

    #[test]
    fn answers_have_the_shapes_of_the_contract() {
        let models = [Model::new("a").with_capabilities(["streaming", "vision"])];
        assert_eq!(
            serde_json::from_slice::<Value>(&Model::list_to_json(&models)).unwrap(),
            json!({"models": [{"id": "a", "type": "chat", "capabilities": ["streaming", "vision"]}]})
        );
        assert_eq!(Health::Available.to_json(), br#"{"status":"available"}"#);
        assert_eq!(Health::busy("full").to_json(), br#"{"status":"busy","reason":"full"}"#);
        assert_eq!(Credentials::Valid.to_json(), br#"{"status":"valid"}"#);
        let invalid = Credentials::Invalid { message: "no".into() };
        assert_eq!(invalid.to_json(), br#"{"status":"invalid","message":"no"}"#);
    }
}

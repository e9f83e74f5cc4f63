//! A plan: how the host serves requests without calling the plugin.
//!
//! Where upstream already speaks OpenAI's dialect nothing needs translating, so a plugin says once, in data, where
//! requests go and what is changed on the way. The plan is versioned JSON and grows by new keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::abi::KEY_PLACEHOLDER;
use crate::{ProviderError, Result, json};

mod apply;
pub(crate) mod check;

/// How requests are served without the plugin.
///
/// ```
/// # use patchbay_plugin_api::Plan;
/// let plan = Plan::openai("https://api.example.com/v1").with_header("x-title", "Patchbay");
/// assert_eq!(plan.chat.unwrap().url, "https://api.example.com/v1/chat/completions");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this structure: 1.
    pub version: u32,
    /// What upstream speaks: `openai`.
    pub dialect: String,
    /// Where chat requests go; none if the plugin serves them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Endpoint>,
    /// Where requests of the older text completions go; none if upstream has no such thing. They are then made
    /// requests for chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completions: Option<Endpoint>,
    /// Where embeddings requests go; none if the plugin serves them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<Endpoint>,
    /// Headers of every request.
    #[serde(default)]
    pub headers: Vec<HeaderTemplate>,
    /// What becomes of the model's name.
    #[serde(default)]
    pub model: ModelRule,
    /// What becomes of the request's other members.
    #[serde(default)]
    pub body: BodyRule,
    /// How a stream is asked for and how it ends.
    #[serde(default)]
    pub stream: StreamRule,
}

/// Where requests of one kind go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// An absolute URL; its query may hold [`KEY_PLACEHOLDER`].
    pub url: String,
}

/// A header to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderTemplate {
    /// Its name.
    pub name: String,
    /// Its value, with [`KEY_PLACEHOLDER`] where the call's key belongs. A provider that has no key sends no
    /// header that needs one.
    pub value: String,
}

/// What becomes of the model's name: the default where the request names none, then the prefix goes, then an alias
/// is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelRule {
    /// For requests that name no model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Names of one's own for upstream's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
    /// A beginning that upstream does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<String>,
}

/// What becomes of the members of a request: those to drop go, then others are renamed, then defaults fill what is
/// absent, then members are set whether or not they are there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BodyRule {
    /// Sent in any case.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub set: Map<String, Value>,
    /// Sent where the request has no such member.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub defaults: Map<String, Value>,
    /// Never sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Sent under another name, unless the request has that one too.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
}

/// How a stream is asked for and how it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamRule {
    /// Whether upstream is asked to count tokens, by `stream_options.include_usage`.
    pub include_usage: bool,
    /// The data of the event that ends a stream. A stream that ends without it was cut.
    pub terminal: String,
}

impl Default for StreamRule {
    fn default() -> Self {
        Self { include_usage: true, terminal: "[DONE]".into() }
    }
}

impl Plan {
    /// The version this SDK writes and reads.
    pub const VERSION: u32 = 1;

    /// The plan for a server with OpenAI's paths below `base_url` and its key as a bearer token.
    pub fn openai(base_url: &str) -> Self {
        let base = base_url.trim_end_matches('/');
        let endpoint = |path: &str| Some(Endpoint { url: format!("{base}{path}") });
        let plan = Self {
            version: Self::VERSION,
            dialect: "openai".into(),
            chat: endpoint("/chat/completions"),
            completions: endpoint("/completions"),
            embeddings: endpoint("/embeddings"),
            headers: Vec::new(),
            model: ModelRule::default(),
            body: BodyRule::default(),
            stream: StreamRule::default(),
        };
        plan.with_header("authorization", format!("Bearer {KEY_PLACEHOLDER}"))
    }

    /// Adds a header, in place of one of the same name.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|header| !header.name.eq_ignore_ascii_case(name));
        self.headers.push(HeaderTemplate { name: name.into(), value: value.into() });
        self
    }

    /// The model of requests that name none.
    #[must_use]
    pub fn with_default_model(mut self, model: impl Into<String>) -> Self {
        self.model.default = Some(model.into());
        self
    }

    /// For an upstream that has chat only, and no text completions.
    #[must_use]
    pub fn without_completions(mut self) -> Self {
        self.completions = None;
        self
    }

    /// For an upstream that has no embeddings.
    #[must_use]
    pub fn without_embeddings(mut self) -> Self {
        self.embeddings = None;
        self
    }

    /// For an upstream that refuses requests with these members.
    #[must_use]
    pub fn without_members<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.body.drop.extend(names.into_iter().map(str::to_owned));
        self
    }

    /// For an upstream that has another name for a member.
    #[must_use]
    pub fn with_renamed(mut self, from: &str, to: &str) -> Self {
        self.body.rename.insert(from.into(), to.into());
        self
    }

    /// For an upstream that counts tokens unasked, and refuses to be asked.
    #[must_use]
    pub fn without_usage_option(mut self) -> Self {
        self.stream.include_usage = false;
        self
    }

    /// Reads and validates a plan. Keys that this version does not know are ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        // Version before anything else: a newer plan may have other shapes throughout.
        let Version { version } = json::read_input("the plan", bytes)?;
        if version != Self::VERSION {
            return Err(ProviderError::invalid_input(format!(
                "the plan is of version {version}, this host reads version {}",
                Self::VERSION
            )));
        }
        let plan: Self = json::read_input("the plan", bytes)?;
        plan.validate()?;
        Ok(plan)
    }

    /// Writes it as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_survive_and_ignore_what_is_newer() {
        let mut plan = Plan::openai("https://x.test/v1/").with_default_model("m").without_embeddings();
        plan.body.drop.push("user".into());
        assert_eq!(Plan::parse(&plan.to_json()).unwrap(), plan);

        let mut newer: Value = serde_json::from_slice(&plan.to_json()).unwrap();
        newer["retries"] = 3.into();
        newer["body"]["template"] = "x".into();
        assert_eq!(Plan::parse(newer.to_string().as_bytes()).unwrap(), plan);

        newer["version"] = 2.into();
        newer["headers"] = "of another shape".into();
        let error = Plan::parse(newer.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.message, "the plan is of version 2, this host reads version 1");
    }

    #[test]
    fn the_least_plan_is_enough() {
        let least = br#"{"version": 1, "dialect": "openai", "chat": {"url": "http://x/chat"}}"#;
        let plan = Plan::parse(least).unwrap();
        assert_eq!(plan.stream, StreamRule { include_usage: true, terminal: "[DONE]".into() });
        assert!(plan.headers.is_empty() && plan.embeddings.is_none() && plan.completions.is_none());
    }

    #[test]
    fn text_completions_are_upstreams_or_nobodys() {
        let plan = Plan::openai("https://x.test/v1/");
        let url = plan.completions.as_ref().map(|endpoint| &*endpoint.url);
        assert_eq!(url, Some("https://x.test/v1/completions"));
        let without = plan.without_completions();
        assert_eq!(without.completions, None);
        assert!(!String::from_utf8(without.to_json()).unwrap().contains("\"completions\""));
        assert_eq!(Plan::parse(&without.to_json()).unwrap(), without);
    }

    #[test]
    fn a_header_replaces_its_namesake() {
        let plan = Plan::openai("http://x").with_header("Authorization", "Key {{key}}");
        assert_eq!(plan.headers.len(), 1);
        assert_eq!(plan.headers[0].value, "Key {{key}}");
    }
}

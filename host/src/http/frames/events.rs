//! What the events of `/api/chat` say.

use schemars::JsonSchema;
use serde::Serialize;

use crate::accounts::Usage;
use crate::providers::Cost;

/// A piece of the answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChatMessage")]
pub(in crate::http) struct Message<'a> {
    /// The text of it.
    pub(super) content: &'a str,
}

/// What is known at the end.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChatDone")]
pub(in crate::http) struct Done<'a> {
    /// The provider that answered.
    pub(super) provider: &'a str,
    /// The model that answered.
    pub(super) model: &'a str,
    /// The tokens, where upstream counted them.
    pub(super) usage: Option<Usage>,
    /// Why it ended, in the words of upstream.
    pub(super) finish_reason: Option<&'a str>,
    /// What it cost, in US dollars, where it has a price.
    pub(super) cost_usd: Option<Cost>,
}

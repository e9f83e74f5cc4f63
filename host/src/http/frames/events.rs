//! What the events of `/api/chat` say.

use schemars::JsonSchema;
use serde::Serialize;

use crate::accounts::Usage;
use crate::providers::Cost;

/// A piece of the answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChatMessage")]
pub(in crate::http) struct Message<'a> {
    pub(super) content: &'a str,
}

/// What is known at the end.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChatDone")]
pub(in crate::http) struct Done<'a> {
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
    pub(super) usage: Option<Usage>,
    pub(super) finish_reason: Option<&'a str>,
    pub(super) cost_usd: Option<Cost>,
}

//! How much a model thinks before it answers, which every generation of models wants to be told differently.

use patchbay_plugin_api::dialect::version;
use patchbay_plugin_api::{ChatRequest, Role};
use serde_json::{Value, json};

/// The first generation that thinks at all, and is told how many tokens it may think for.
const BUDGETS: (u32, u32) = (3, 7);
/// The first that decides that by itself, and is told how hard to try.
const EFFORTS: (u32, u32) = (4, 6);
/// The first that refuses budgets and sampling, and knows more efforts.
pub(crate) const CURRENT: (u32, u32) = (4, 7);

/// The least budget that is accepted.
const LEAST: u64 = 1024;

/// What is asked of the model.
pub(crate) struct Thinking {
    pub(crate) how: Option<Value>,
    pub(crate) effort: Option<Value>,
    pub(crate) limit: u64,
}

/// Turns the effort into what the model understands; where nothing is said of it, it is the model's to choose. `limit`
/// is the operator's, and `forced` says whether a tool must be called, so that nothing is thought of.
pub(crate) fn plan(request: &ChatRequest, model: &str, limit: Option<u64>, forced: bool) -> Thinking {
    let generation = version(model);
    // Where nobody says: thoughts count, and the oldest models write no more.
    let unsaid = if generation < BUDGETS { 4096 } else { 16_384 };
    let limit = request.token_limit().or(limit).unwrap_or(unsaid);
    // What is said in Anthropic's own words is meant for them.
    let left = Thinking { how: request.member("thinking").cloned(), effort: None, limit };
    let Some(effort) = request.effort().filter(|_| left.how.is_none()) else { return left };
    if generation >= EFFORTS {
        let known = match effort {
            // Some of these models cannot but think: the least effort is what comes closest.
            "none" | "minimal" => "low",
            "xhigh" if generation < CURRENT => "high",
            other => other,
        };
        // Unasked, the newest keep their thoughts to themselves.
        let thinks = effort != "none" && !forced;
        let how = thinks.then(|| json!({"type": "adaptive", "display": "summarized"}));
        return Thinking { how, effort: Some(known.into()), limit };
    }
    // With these and the default limit, even models that write no more than 32,000 tokens are content.
    let budget = match effort {
        "minimal" => LEAST,
        "low" => 2048,
        "medium" => 6144,
        "high" | "xhigh" | "max" => 14_336,
        _ => return left,
    };
    // A budget is part of the limit. One that a client chose is kept, and half of it left for the answer.
    let budget = request.token_limit().map_or(budget, |limit| budget.min(limit / 2));
    let limit = request.token_limit().unwrap_or(limit.saturating_add(budget));
    // With the results of tools these models go on only from thoughts that they signed, which no canonical message holds.
    let mut turns = request.messages.iter().rev().map(|message| &message.role);
    let resumed = turns.find(|role| matches!(role, Role::Assistant | Role::Tool)) == Some(&Role::Tool);
    if forced || resumed || generation < BUDGETS || budget < LEAST {
        return left;
    }
    Thinking { how: Some(json!({"type": "enabled", "budget_tokens": budget})), effort: None, limit }
}

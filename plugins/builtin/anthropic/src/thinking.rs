//! How much a model thinks before it answers, which every generation of models wants to be told differently.

use serde_json::{Value, json};

/// The first generation that thinks at all, and is told how many tokens it may think for.
const BUDGETS: (u32, u32) = (3, 7);
/// The first that decides that by itself, and is told how hard to try.
const EFFORTS: (u32, u32) = (4, 6);
/// The first that refuses budgets and sampling, and knows more efforts.
pub(crate) const CURRENT: (u32, u32) = (4, 7);

/// What a request says of it.
pub(crate) struct Asked<'a> {
    /// OpenAI's `reasoning_effort`.
    pub(crate) effort: Option<&'a str>,
    /// The most tokens to answer with, as the client says.
    pub(crate) said: Option<u64>,
    /// And as the operator says.
    pub(crate) limit: Option<u64>,
    /// Whether a tool must be called: nothing is thought of then.
    pub(crate) forced: bool,
    /// Whether the model goes on with the results of tools.
    pub(crate) resumed: bool,
}

/// What is asked of the model.
pub(crate) struct Thinking {
    pub(crate) how: Option<Value>,
    pub(crate) effort: Option<String>,
    pub(crate) limit: u64,
}

/// The least budget that is accepted.
const LEAST: u64 = 1024;

/// Leaves it to the model, or to what the client says in Anthropic's own words.
pub(crate) fn left_to(how: Option<Value>, generation: (u32, u32), asked: &Asked<'_>) -> Thinking {
    // Where nobody says: thoughts count, and the oldest models write no more.
    let unsaid = if generation < BUDGETS { 4096 } else { 16_384 };
    Thinking { how, effort: None, limit: asked.said.or(asked.limit).unwrap_or(unsaid) }
}

/// Turns the effort into what the generation understands; where nothing is said of it, it is the model's to choose.
pub(crate) fn plan(generation: (u32, u32), asked: &Asked<'_>) -> Thinking {
    let none = left_to(None, generation, asked);
    let Some(effort) = asked.effort else { return none };
    if generation >= EFFORTS {
        let known = match effort {
            // Some of these models cannot but think: the least effort is what comes closest.
            "none" | "minimal" => "low",
            "xhigh" if generation < CURRENT => "high",
            other => other,
        };
        // Unasked, the newest keep their thoughts to themselves.
        let thinks = effort != "none" && !asked.forced;
        let how = thinks.then(|| json!({"type": "adaptive", "display": "summarized"}));
        return Thinking { how, effort: Some(known.into()), ..none };
    }
    // With these and the default limit, even models that write no more than 32,000 tokens are content.
    let budget = match effort {
        "minimal" => LEAST,
        "low" => 2048,
        "medium" => 6144,
        "high" | "xhigh" | "max" => 14_336,
        _ => return none,
    };
    // A budget is part of the limit. One that a client chose is kept, and half of it left for the answer.
    let (budget, limit) = match asked.said {
        Some(limit) => (budget.min(limit / 2), limit),
        None => (budget, none.limit.saturating_add(budget)),
    };
    // These models go on only with the thoughts that they signed, which canonical messages do not hold.
    if asked.forced || asked.resumed || generation < BUDGETS || budget < LEAST {
        return none;
    }
    Thinking { how: Some(json!({"type": "enabled", "budget_tokens": budget})), effort: None, limit }
}

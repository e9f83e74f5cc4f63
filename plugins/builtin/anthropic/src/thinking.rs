//! How much a model thinks before it answers, which every generation of models wants to be told differently.

use serde_json::{Value, json};

/// Which generation a model is of. A name without numbers is taken for the newest: so are the models to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u32, u32);

impl Generation {
    /// The first that thinks at all, and is told how many tokens it may think for.
    const BUDGETS: Self = Self(3, 7);
    /// The first that decides that by itself, and is told how hard to try.
    const EFFORTS: Self = Self(4, 6);
    /// The first that refuses budgets and sampling, and knows more efforts.
    const CURRENT: Self = Self(4, 7);

    pub(crate) fn of(model: &str) -> Self {
        // `claude-3-7-sonnet-20250219`, `claude-opus-4-1`: longer numbers are dates.
        let numbers = model.split(['-', '.', '@']).filter(|part| part.len() <= 2);
        let mut numbers = numbers.filter_map(|part| part.parse().ok());
        numbers.next().map_or(Self(u32::MAX, 0), |major| Self(major, numbers.next().unwrap_or(0)))
    }

    pub(crate) fn refuses_sampling(self) -> bool {
        self >= Self::CURRENT
    }

    /// The most tokens to answer with where nobody says: thoughts count, and the oldest models write no more.
    pub(crate) fn default_limit(self) -> u64 {
        if self < Self::BUDGETS { 4096 } else { 16_384 }
    }
}

/// What a request says of it.
pub(crate) struct Asked<'a> {
    /// OpenAI's `reasoning_effort`.
    pub(crate) effort: Option<&'a str>,
    /// The most tokens to answer with.
    pub(crate) limit: u64,
    /// Whether that is what the client said.
    pub(crate) said: bool,
    /// Whether a tool must be called: nothing is thought of then.
    pub(crate) forced: bool,
    /// Whether the model goes on with the results of tools.
    pub(crate) resumed: bool,
}

/// What is asked of the model.
pub(crate) struct Thinking {
    pub(crate) thinking: Option<Value>,
    pub(crate) effort: Option<String>,
    pub(crate) limit: u64,
}

/// The least budget that is accepted.
const LEAST: u64 = 1024;

/// Turns the effort into what the generation understands; where nothing is said of it, it is the model's to choose.
pub(crate) fn plan(generation: Generation, asked: &Asked<'_>) -> Thinking {
    let limit = asked.limit;
    let none = Thinking { thinking: None, effort: None, limit };
    let Some(effort) = asked.effort else { return none };
    if generation >= Generation::EFFORTS {
        let known = match effort {
            // Some of these models cannot but think: the least effort is what comes closest.
            "none" | "minimal" => "low",
            "xhigh" if generation < Generation::CURRENT => "high",
            other => other,
        };
        // Unasked, the newest keep their thoughts to themselves.
        let thinks = effort != "none" && !asked.forced;
        let thinking = thinks.then(|| json!({"type": "adaptive", "display": "summarized"}));
        return Thinking { thinking, effort: Some(known.into()), limit };
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
    let (budget, limit) =
        if asked.said { (budget.min(limit / 2), limit) } else { (budget, limit.saturating_add(budget)) };
    // These models go on only with the thoughts that they signed, which canonical messages do not hold.
    if asked.forced || asked.resumed || generation < Generation::BUDGETS || budget < LEAST {
        return none;
    }
    Thinking { thinking: Some(json!({"type": "enabled", "budget_tokens": budget})), effort: None, limit }
}

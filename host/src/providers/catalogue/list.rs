//! A list of models as it came from a vendor, and how long it holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use patchbay_plugin_api::Model;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::Prices;

/// A list is shown for so long without asking again.
const HOLDS: Duration = Duration::from_secs(24 * 60 * 60);

/// Whoever syncs a list that is younger has nothing to gain.
const SETTLED: Duration = Duration::from_secs(12 * 60 * 60);

/// A vendor's models, each once, by their ids. Never changes: another list takes its place.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelList {
    models: Vec<Arc<Model>>,
    /// What each of them costs: made exact once, and not for every request.
    prices: Vec<Option<Prices>>,
    cached_at: SystemTime,
}

/// How many models can do what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Statistics {
    /// All of them.
    pub total_models: usize,
    /// Those that chat.
    pub chat_models: usize,
    /// Those that look at images.
    pub vision_models: usize,
    /// Those that call functions.
    pub function_calling_models: usize,
}

/// What would be otherwise with another list, by ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ModelDifference")]
pub struct Difference {
    /// Those that were not there before.
    pub added: Vec<String>,
    /// Those that are not there any more.
    pub removed: Vec<String>,
    /// Those of which something else is said now.
    pub changed: Vec<String>,
}

impl ModelList {
    /// A list that came at this time; no two of the models have one id.
    pub(super) fn new(models: Vec<Model>, cached_at: SystemTime) -> Self {
        let mut models: Vec<Arc<Model>> = models.into_iter().map(Arc::new).collect();
        models.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let prices = models.iter().map(|model| model.pricing.as_ref().and_then(Prices::listed)).collect();
        Self { models, prices, cached_at }
    }

    /// By their ids.
    pub fn models(&self) -> &[Arc<Model>] {
        &self.models
    }

    /// Their ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| model.id.as_str())
    }

    /// The model of this id.
    pub fn find(&self, id: &str) -> Option<&Arc<Model>> {
        self.models.get(self.place(id)?)
    }

    /// What the model of this id costs.
    pub fn prices(&self, id: &str) -> Option<Prices> {
        self.prices.get(self.place(id)?).copied().flatten()
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.models.binary_search_by(|model| model.id.as_str().cmp(id)).ok()
    }

    /// When it came.
    pub fn cached_at(&self) -> SystemTime {
        self.cached_at
    }

    /// When it is asked for again.
    pub fn cached_until(&self) -> SystemTime {
        self.cached_at + HOLDS
    }

    /// Whether it may be shown without asking.
    pub fn holds(&self, now: SystemTime) -> bool {
        self.is_younger_than(HOLDS, now)
    }

    /// Whether a sync would only ask for what is known.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        self.is_younger_than(SETTLED, now)
    }

    fn is_younger_than(&self, age: Duration, now: SystemTime) -> bool {
        // One from the future was kept by a clock that was wrong: nobody knows how old it is.
        now.duration_since(self.cached_at).is_ok_and(|past| past < age)
    }

    /// How many of them can do what.
    pub fn statistics(&self) -> Statistics {
        let can = |word: &str| {
            self.models.iter().filter(|model| model.capabilities.iter().any(|known| known == word)).count()
        };
        Statistics {
            total_models: self.models.len(),
            chat_models: self.models.iter().filter(|model| model.kind == "chat").count(),
            vision_models: can("vision"),
            function_calling_models: can("function_calling"),
        }
    }

    /// What becomes otherwise where this list follows the one before.
    pub fn since(&self, before: Option<&Self>) -> Difference {
        let mut gone: HashMap<&str, &Arc<Model>> =
            before.iter().flat_map(|list| &list.models).map(|model| (model.id.as_str(), model)).collect();
        let mut difference = Difference::default();
        for model in &self.models {
            match gone.remove(model.id.as_str()) {
                None => difference.added.push(model.id.clone()),
                Some(known) if known != model => difference.changed.push(model.id.clone()),
                Some(_) => {}
            }
        }
        difference.removed = gone.into_keys().map(str::to_owned).collect();
        difference.removed.sort_unstable();
        difference
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn list(ids: &[&str]) -> ModelList {
        ModelList::new(ids.iter().map(|id| Model::new(*id)).collect(), SystemTime::UNIX_EPOCH + 100 * HOUR)
    }

    #[test]
    fn a_list_holds_for_a_day_and_is_settled_for_half_of_it() {
        let list = list(&["m"]);
        let moment = Duration::from_millis(1);
        for (later, holds, settled) in [
            (Duration::ZERO, true, true),
            (12 * HOUR - moment, true, true),
            (12 * HOUR, true, false),
            (24 * HOUR - moment, true, false),
            (24 * HOUR, false, false),
        ] {
            let now = list.cached_at() + later;
            assert_eq!((list.holds(now), list.is_settled(now)), (holds, settled), "{later:?}");
            assert_eq!(now < list.cached_until(), holds, "{later:?}");
        }
        let before = list.cached_at() - moment;
        assert!(!list.holds(before) && !list.is_settled(before), "who knows how old it is");
    }

    #[test]
    fn models_are_found_by_their_ids() {
        let list = list(&["vendor/z", "a", "m"]);
        assert_eq!(list.ids().collect::<Vec<_>>(), ["a", "m", "vendor/z"]);
        assert_eq!(list.find("vendor/z").map(|model| model.id.as_str()), Some("vendor/z"));
        assert!(list.find("z").is_none());
    }

    #[test]
    fn what_is_otherwise_is_told_by_ids() {
        let before = list(&["a", "b", "c"]);
        let models = ["d", "c", "b"].map(Model::new).into_iter();
        let models =
            models.map(|model| if model.id == "c" { model.with_capabilities(["vision"]) } else { model });
        let after = ModelList::new(models.collect(), before.cached_at());
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let expected = Difference { added: names(&["d"]), removed: names(&["a"]), changed: names(&["c"]) };
        assert_eq!(after.since(Some(&before)), expected);
        assert_eq!(after.since(Some(&after)), Difference::default());
        assert_eq!(after.since(None).added, ["b", "c", "d"]);
    }

    #[test]
    fn models_are_counted_by_what_they_can_do() {
        let mut embedder = Model::new("e").with_capabilities(["embeddings"]);
        embedder.kind = "embedding".to_owned();
        let sees = Model::new("v").with_capabilities(["vision", "function_calling"]);
        let list = ModelList::new(vec![Model::new("m"), embedder, sees], SystemTime::UNIX_EPOCH);
        let expected =
            Statistics { total_models: 3, chat_models: 2, vision_models: 1, function_calling_models: 1 };
        assert_eq!(list.statistics(), expected);
    }
}

//! Who serves which model: written down once, so that requests need not ask everybody.

use std::collections::HashMap;
use std::sync::Arc;

use super::catalogue::family;
use super::{Pool, Provider};

/// Providers by what they serve.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_model: HashMap<String, Arc<Pool>>,
    by_family: HashMap<String, Arc<Pool>>,
}

impl Index {
    /// Of these providers, in their order.
    pub(super) fn of(providers: &[Arc<Provider>]) -> Self {
        let lists: Vec<_> = providers.iter().map(|provider| provider.listed()).collect();
        let (mut models, mut families) = (Names::default(), Names::default());
        for (provider, list) in providers.iter().zip(&lists) {
            for model in provider.known_models() {
                models.add(model, provider);
            }
            for model in list.iter().flat_map(|list| list.ids()) {
                models.add(model, provider);
                families.add(family(model), provider);
            }
        }
        // Most models are served by one provider; there are thousands, and those of one share a pool.
        let mut alone = HashMap::new();
        Self { by_model: models.pools(&mut alone), by_family: families.pools(&mut alone) }
    }

    /// Those that are known to serve a model.
    pub(super) fn serving(&self, model: &str) -> Option<&Arc<Pool>> {
        self.by_model.get(model)
    }

    /// Those whose vendors list another version of it.
    pub(super) fn listing_kin(&self, model: &str) -> Option<&Arc<Pool>> {
        self.by_family.get(family(model))
    }
}

/// Providers by a name.
#[derive(Default)]
struct Names<'a>(HashMap<&'a str, Vec<&'a Arc<Provider>>>);

impl<'a> Names<'a> {
    fn add(&mut self, name: &'a str, provider: &'a Arc<Provider>) {
        let members = self.0.entry(name).or_default();
        // A default may be listed, too, and a family is listed with each of its versions.
        if members.last().is_none_or(|last| !Arc::ptr_eq(last, provider)) {
            members.push(provider);
        }
    }

    fn pools(self, alone: &mut HashMap<&'a str, Arc<Pool>>) -> HashMap<String, Arc<Pool>> {
        let mut pool = |members: Vec<&'a Arc<Provider>>| match members[..] {
            [only] => {
                Arc::clone(alone.entry(only.name()).or_insert_with(|| Pool::of(vec![Arc::clone(only)])))
            }
            _ => Pool::of(members.into_iter().cloned().collect()),
        };
        self.0.into_iter().map(|(name, members)| (name.to_owned(), pool(members))).collect()
    }
}

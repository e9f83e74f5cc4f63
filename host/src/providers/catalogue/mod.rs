//! What each provider's vendor lists: asked for seldom, kept over generations and restarts, read without waiting.

// A list, and how long it holds.
mod list;
// Whose list it is.
mod source;

pub use list::{Difference, ModelList, Statistics};

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use patchbay_plugin_api::Model;

use self::source::Source;
use crate::config::ProviderSettings;

/// The models that one provider's vendor lists. Outlives generations and settings, for as long as they lead to the
/// same vendor.
#[derive(Debug)]
pub struct Catalogue {
    source: Source,
    list: ArcSwapOption<ModelList>,
}

impl Catalogue {
    /// The one of before, where it is of the same vendor; else one of which nothing is known.
    pub(crate) fn following(before: Option<&Arc<Self>>, settings: &ProviderSettings) -> Arc<Self> {
        let source = Source::of(settings);
        match before {
            Some(before) if before.source == source => Arc::clone(before),
            _ => Arc::new(Self { source, list: ArcSwapOption::empty() }),
        }
    }

    /// What is listed; none where nobody knows.
    pub fn list(&self) -> Option<Arc<ModelList>> {
        self.list.load_full()
    }

    /// What is listed of this model.
    pub fn find(&self, model: &str) -> Option<Arc<Model>> {
        self.list.load().as_ref()?.find(model).cloned()
    }
}

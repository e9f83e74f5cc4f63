//! What each provider's vendor lists: asked for seldom, kept over generations and restarts, read without waiting.

// A list, and how long it holds.
mod list;
// Which names are of one model.
mod family;
// Whose list it is.
mod source;
// Asking for it.
mod ask;
// Asking before anybody wants to know.
mod keep;
// What is said, without the nonsense.
mod read;
// Lists on disk.
mod shelf;

pub use ask::{ModelQuestion, NotListed};
pub(super) use family::family;
pub use keep::keep_listed;
pub use list::{Difference, ModelList, Statistics};
pub use shelf::Shelf;

use std::sync::{Arc, Mutex};
use std::time::Instant;

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
    /// Why the vendor could not be asked for a newer one, when that was tried last.
    failure: ArcSwapOption<String>,
    /// When the last answer came that was taken over, one after the other.
    taken: Mutex<Option<Instant>>,
    /// Where the list is kept, under the provider's name.
    place: Option<(Arc<Shelf>, String)>,
}

impl Catalogue {
    /// The one of before, where it is of the same vendor; else one that knows what was kept of it.
    pub(crate) fn following(
        before: Option<&Arc<Self>>,
        settings: &ProviderSettings,
        shelf: Option<&Arc<Shelf>>,
    ) -> Arc<Self> {
        let source = Source::of(settings);
        if let Some(before) = before.filter(|before| before.source == source) {
            return Arc::clone(before);
        }
        let kept = shelf.and_then(|shelf| shelf.read(&settings.name, &source));
        Arc::new(Self {
            source,
            list: ArcSwapOption::from_pointee(kept),
            failure: ArcSwapOption::empty(),
            taken: Mutex::default(),
            place: shelf.map(|shelf| (Arc::clone(shelf), settings.name.to_string())),
        })
    }

    /// Lists these models, for tests of other modules.
    #[cfg(test)]
    pub(crate) fn hold(&self, models: impl IntoIterator<Item = Model>) {
        let list = ModelList::new(models.into_iter().collect(), std::time::SystemTime::now());
        self.list.store(Some(Arc::new(list)));
    }

    /// What is listed; none where nobody knows.
    pub fn list(&self) -> Option<Arc<ModelList>> {
        self.list.load_full()
    }

    /// Why what is listed is not of now, where its vendor could not be asked when it was last tried.
    pub fn failure(&self) -> Option<Arc<String>> {
        self.failure.load_full()
    }

    /// What is listed of this model.
    pub fn find(&self, model: &str) -> Option<Arc<Model>> {
        self.list.load().as_ref()?.find(model).cloned()
    }
}

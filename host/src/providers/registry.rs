//! The snapshot that requests read: built whole, published with one pointer swap, never edited.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Provider;
use super::index::Index;
use crate::config::{HealthSettings, LimitSettings, ModelSettings, RoutingSettings};
use crate::limits::Limiter;

/// The mock's plugin and its priority: together they mean "never in place of a real one".
const MOCK: (&str, i32) = ("mock", 999);

/// What is decided by, beside the providers themselves.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Which provider serves a request, and what happens when one fails.
    pub routing: RoutingSettings,
    /// How providers are checked while nobody asks them.
    pub health: HealthSettings,
    /// How much anybody may ask.
    pub limits: LimitSettings,
    /// How the vendors' lists of models are kept up.
    pub models: ModelSettings,
}

/// Providers that serve the same, by priority.
#[derive(Debug, Default)]
pub struct Pool {
    members: Vec<Arc<Provider>>,
    /// Whose turn it is, for those who take turns.
    turn: AtomicUsize,
}

impl Pool {
    /// Lower priority first, then by name.
    pub fn members(&self) -> &[Arc<Provider>] {
        &self.members
    }

    /// Whose turn it would be.
    pub fn turn(&self) -> usize {
        self.turn.load(Ordering::Relaxed)
    }

    /// One more every time.
    pub fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn of(members: Vec<Arc<Provider>>) -> Arc<Self> {
        Arc::new(Self { members, turn: AtomicUsize::new(0) })
    }
}

/// A provider to be, as soon as it has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its name.
    pub name: String,
    /// The plugin that would make it.
    pub plugin: String,
    /// The variable that is looked for.
    pub variable: String,
}

/// All providers at one moment, indexed by what requests ask for: who serves one is found without asking everybody.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Counts the sets of providers; one that only lists other models has the number of the one before.
    pub number: u64,
    /// What is decided by.
    pub rules: Arc<Rules>,
    by_name: HashMap<String, Arc<Provider>>,
    by_priority: Vec<Arc<Provider>>,
    offered: Arc<Pool>,
    unlisted: Arc<Pool>,
    index: Index,
    disabled: Vec<String>,
    waiting: Vec<Waiting>,
}

impl Snapshot {
    /// Builds the snapshot that will be published as `number`.
    pub fn new(number: u64, mut providers: Vec<Arc<Provider>>, rules: Rules) -> Self {
        providers.sort_by(|a, b| {
            (a.settings.priority, &a.settings.name).cmp(&(b.settings.priority, &b.settings.name))
        });
        let by_name =
            providers.iter().map(|provider| (provider.name().to_owned(), Arc::clone(provider))).collect();
        Self::built(number, by_name, providers, Arc::new(rules))
    }

    /// The same providers, by what they list now.
    fn relisted(&self) -> Self {
        let anew =
            Self::built(self.number, self.by_name.clone(), self.by_priority.clone(), Arc::clone(&self.rules));
        Self { offered: Arc::clone(&self.offered), ..anew }
            .with_disabled(self.disabled.clone(), self.waiting.clone())
    }

    fn built(
        number: u64,
        by_name: HashMap<String, Arc<Provider>>,
        by_priority: Vec<Arc<Provider>>,
        rules: Arc<Rules>,
    ) -> Self {
        let real: Vec<_> = by_priority.iter().filter(|provider| !is_mock(provider)).cloned().collect();
        let offered = if real.is_empty() { by_priority.clone() } else { real };
        let unlisted = offered.iter().filter(|provider| is_unlisted(provider)).cloned();
        Self {
            number,
            rules,
            by_name,
            unlisted: Pool::of(unlisted.collect()),
            index: Index::of(&offered),
            offered: Pool::of(offered),
            by_priority,
            disabled: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Adds the names of the entries that are switched off, or wait for a key, and those who wait.
    #[must_use]
    pub fn with_disabled(mut self, names: Vec<String>, waiting: Vec<Waiting>) -> Self {
        self.disabled = names;
        self.waiting = waiting;
        self
    }

    /// The entries that are switched off, or wait for a key.
    pub fn disabled(&self) -> &[String] {
        &self.disabled
    }

    /// Those of them that wait for a key.
    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// Whether there is one of this name, be it disabled or without a key.
    pub fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name) || self.disabled.iter().any(|disabled| disabled == name)
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Provider>> {
        self.by_name.get(name)
    }

    /// All of them: lower priority first, then by name.
    pub fn by_priority(&self) -> &[Arc<Provider>] {
        &self.by_priority
    }

    /// Who may be asked without being named. The mock is only while there is nobody else.
    pub fn offered(&self) -> &Arc<Pool> {
        &self.offered
    }

    /// Those of them that are known to serve a model.
    pub fn serving(&self, model: &str) -> Option<&Arc<Pool>> {
        self.index.serving(model)
    }

    /// Those of them whose vendors list another version of it.
    pub fn listing_kin(&self, model: &str) -> Option<&Arc<Pool>> {
        self.index.listing_kin(model)
    }

    /// Those of them of whom nobody said which models they serve, neither the configuration nor their vendors.
    pub fn unlisted(&self) -> &Arc<Pool> {
        &self.unlisted
    }
}

fn is_mock(provider: &Provider) -> bool {
    (provider.plugin.id.as_str(), provider.settings.priority) == MOCK
}

/// Whether nobody said which models it serves. The mock plays any model, whatever it lists.
fn is_unlisted(provider: &Provider) -> bool {
    provider.settings.models.is_empty() && (is_mock(provider) || provider.listed().is_none())
}

/// Where requests find the current snapshot. Reading never waits.
#[derive(Debug)]
pub struct Registry {
    current: ArcSwap<Snapshot>,
    /// One set is built and published after the other: none may be built from what another one replaces.
    publishing: Mutex<()>,
    published: watch::Sender<u64>,
    /// What was taken of what is limited: outlives every set of providers.
    pub limiter: Arc<Limiter>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::with_limiter(Arc::default())
    }
}

impl Registry {
    /// An empty one whose providers are counted here.
    pub fn with_limiter(limiter: Arc<Limiter>) -> Self {
        let (current, publishing) = (ArcSwap::default(), Mutex::default());
        Self { current, publishing, published: watch::Sender::new(0), limiter }
    }

    /// The set of now; whoever keeps it keeps its providers alive.
    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Builds a new set, puts it in place, and gives the old one back.
    pub fn publish(&self, build: impl FnOnce() -> Snapshot) -> Arc<Snapshot> {
        let _alone = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = build();
        let number = snapshot.number;
        let old = self.current.swap(Arc::new(snapshot));
        self.published.send_replace(number);
        old
    }

    /// Publishes the providers of now again, because they list other models.
    pub(super) fn relist(&self) {
        let _alone = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let anew = self.current.load().relisted();
        self.current.store(Arc::new(anew));
    }

    /// Tells of every new set.
    pub fn publications(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }
}

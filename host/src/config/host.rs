//! The whole configuration, as the layers leave it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use rust_decimal::Decimal;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::check::seconds;
use super::describe::{ROOT, Shape};
use super::entry::ProviderEntry;
use super::environment::{Environment, Set};
use super::layered::Layered;
use super::models::ModelSettings;
use super::network::Network;
use super::origin::EffectiveValue;
use super::pointer::join;
use super::prices::dollars;
use super::problem::{ConfigProblem, ConfigProblems, ENVIRONMENT};
use super::secret::masked;
use super::telemetry::TelemetrySettings;
use super::usage::UsageSettings;
use super::variables::in_capitals;

/// See the module.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where and how to listen.
    pub server: ServerSettings,
    /// Further folders to look for plugins in, besides `plugins/custom` and `plugins/builtin`.
    pub plugin_dirs: Vec<PathBuf>,
    /// Which provider serves a request.
    pub routing: RoutingSettings,
    /// How providers are checked while nobody asks them.
    pub health: HealthSettings,
    /// How the vendors' lists of models are kept up.
    pub models: ModelSettings,
    /// How much is served.
    pub limits: LimitSettings,
    /// What is kept of requests.
    pub usage: UsageSettings,
    /// How libraries are loaded and watched over.
    pub loader: LoaderSettings,
    /// What the host says about itself.
    pub telemetry: TelemetrySettings,
    /// Where the host keeps what it has to remember, if a variable says so.
    pub data_dir: Option<PathBuf>,
    /// The providers, by name.
    pub plugins: BTreeMap<String, ProviderEntry>,
    /// Providers that were removed while the host ran.
    pub removed: BTreeSet<String>,
    /// By the capitals of a provider's name: what variables would make of it if there is a plugin.
    offered: BTreeMap<String, Result<ProviderEntry, ConfigProblems>>,
    effective: Vec<EffectiveValue>,
}

/// The `server` section, with what came from elsewhere.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerSettings {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 picks a free one.
    pub port: u16,
    /// Whether anyone may spend when bound beyond loopback.
    pub open: bool,
    /// The largest request body taken.
    pub max_body_bytes: usize,
    /// The time without a chunk after which a stream of events says that it lives.
    #[serde(deserialize_with = "seconds")]
    pub keep_alive: Duration,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// Peers whose forwarding headers count.
    pub trusted_proxies: Vec<Network>,
    /// What admin routes ask for. Only ever from the environment.
    #[serde(skip)]
    pub admin_token: Option<SecretString>,
}

/// The `routing` section.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RoutingSettings {
    /// How the providers that could serve are ordered.
    pub default_strategy: Strategy,
    /// Whether the next provider is asked when one fails.
    pub fallback: bool,
    /// For a model, the models to try in its place.
    pub chains: BTreeMap<String, Vec<String>>,
    /// How long, and how often, it goes on trying.
    pub retries: RetrySettings,
    /// When a failing provider is left alone.
    pub breaker: BreakerSettings,
}

/// How long, and how often, a request goes on being tried.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RetrySettings {
    /// No try but the first goes on for longer, counted from the request's arrival.
    #[serde(deserialize_with = "seconds")]
    pub deadline: Duration,
    /// A provider that wants to be left alone for longer is not waited for.
    #[serde(deserialize_with = "seconds")]
    pub longest_wait: Duration,
    /// Second tries at one provider, for each request it gets.
    pub budget: f64,
}

/// How the providers that could serve are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By their priority.
    PriorityFirst,
    /// In turn.
    RoundRobin,
    /// By their weight.
    Weighted,
    /// The quicker of two first.
    LeastLatency,
    /// By what the request would cost.
    LowestCost,
}

impl Strategy {
    /// The word for it in configuration, requests and answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::PriorityFirst => "priority_first",
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
            Self::LeastLatency => "least_latency",
            Self::LowestCost => "lowest_cost",
        }
    }

    /// The strategy of this name.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.word() == word)
    }

    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::PriorityFirst, Self::RoundRobin, Self::Weighted, Self::LeastLatency, Self::LowestCost];
}

/// The circuit breaker.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BreakerSettings {
    /// So many failures in a row open it.
    pub failures: u32,
    /// After so long without one, failures are counted anew.
    #[serde(deserialize_with = "seconds")]
    pub window: Duration,
    /// How long it stays open.
    #[serde(deserialize_with = "seconds")]
    pub open_for: Duration,
}

/// The `health` section.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct HealthSettings {
    /// Whether they are checked at all.
    pub enabled: bool,
    /// Between two checks of a provider that served nothing in between.
    #[serde(deserialize_with = "seconds")]
    pub interval: Duration,
    /// A check may take this long.
    #[serde(deserialize_with = "seconds")]
    pub timeout: Duration,
    /// Checks at one time.
    pub concurrency: usize,
}

/// The `limits` section; none is without a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct LimitSettings {
    /// Per token or client address.
    pub requests_per_minute: Option<u32>,
    /// Per token or client address.
    pub tokens_per_minute: Option<u32>,
    /// Per token or client address.
    #[serde(deserialize_with = "dollars")]
    pub budget_usd_per_day: Option<Decimal>,
    /// Per token or client address.
    #[serde(deserialize_with = "dollars")]
    pub budget_usd_per_month: Option<Decimal>,
    /// Requests at one time.
    pub max_concurrent: Option<u32>,
    /// Of everybody together.
    #[serde(deserialize_with = "dollars")]
    pub host_budget_usd_per_day: Option<Decimal>,
    /// Of everybody together.
    #[serde(deserialize_with = "dollars")]
    pub host_budget_usd_per_month: Option<Decimal>,
    /// What becomes of requests that no budget can count.
    pub unpriced: Unpriced,
}

/// What becomes of a request with a budget at a model without a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// It costs nothing.
    #[default]
    Allow,
    /// It is refused.
    Refuse,
}

/// The `loader` section: how libraries are loaded and watched over. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LoaderSettings {
    /// Takes libraries that others than the host's user can write to.
    pub allow_unsafe_permissions: bool,
    /// The largest library.
    pub max_file_bytes: u64,
    /// The probe process may take this long.
    pub probe_timeout: f64,
    /// Opening a library, and making one provider, may take this long.
    pub load_timeout: f64,
    /// A plugin's thread may be inside plugin code this long before it is given up.
    pub stall_limit: f64,
    /// So many panics within `panic_window` quarantine a plugin.
    pub panic_limit: usize,
    /// See `panic_limit`.
    pub panic_window: f64,
    /// A replaced generation may finish what it had begun for this long; without a bound by default.
    pub drain_timeout: Option<f64>,
}

/// What holds until the first configuration is in force. A test compares it with the description.
impl Default for RoutingSettings {
    fn default() -> Self {
        Self {
            default_strategy: Strategy::PriorityFirst,
            fallback: true,
            chains: BTreeMap::new(),
            retries: RetrySettings {
                deadline: Duration::from_secs(120),
                longest_wait: Duration::from_secs(5),
                budget: 0.2,
            },
            breaker: BreakerSettings::default(),
        }
    }
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 5, window: Duration::from_secs(30), open_for: Duration::from_secs(15) }
    }
}

/// What holds until the first configuration is in force. A test compares it with the description.
impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            concurrency: 8,
        }
    }
}

/// For tests and benchmarks that load libraries without a configuration. A test compares it with the description.
impl Default for LoaderSettings {
    fn default() -> Self {
        Self {
            allow_unsafe_permissions: false,
            max_file_bytes: 256 << 20,
            probe_timeout: 5.0,
            load_timeout: 5.0,
            stall_limit: 5.0,
            panic_limit: 5,
            panic_window: 60.0,
            drain_timeout: None,
        }
    }
}

impl Config {
    /// None only together with problems.
    pub(super) fn new(
        layered: &Layered,
        environment: &Environment,
        waiting: &BTreeMap<String, String>,
        offered: BTreeMap<String, Result<ProviderEntry, ConfigProblems>>,
        removed: BTreeSet<String>,
        problems: &mut Vec<ConfigProblem>,
    ) -> Option<Self> {
        if !problems.is_empty() {
            return None;
        }
        let mut plugins = BTreeMap::new();
        for name in layered.object("/plugins").into_iter().flat_map(|entries| entries.keys()) {
            match ProviderEntry::of(layered, &join("/plugins", name)) {
                Ok(mut entry) => {
                    entry.waits_for = waiting.get(name).cloned();
                    plugins.insert(name.clone(), entry);
                }
                Err(mut found) => problems.append(&mut found),
            }
        }
        let token = environment.get("ADMIN_TOKEN");
        let admin_token = token.map(|set| set.value.to_str().ok_or_else(|| no_text(&set)));
        // Whoever sets a token must not get a host without one.
        let admin_token = admin_token.transpose().map_err(|problem| problems.push(problem)).ok()?;
        let server: ServerSettings = typed(layered, "/server", problems)?;
        Some(Self {
            server: ServerSettings { admin_token: admin_token.map(Into::into), ..server },
            plugin_dirs: typed(layered, "/plugin_dirs", problems)?,
            routing: typed(layered, "/routing", problems)?,
            health: typed(layered, "/health", problems)?,
            models: typed(layered, "/models", problems)?,
            limits: typed(layered, "/limits", problems)?,
            usage: typed(layered, "/usage", problems)?,
            loader: typed(layered, "/loader", problems)?,
            telemetry: typed(layered, "/telemetry", problems)?,
            data_dir: environment.path("PATCHBAY_DATA_DIR"),
            plugins,
            removed,
            offered,
            effective: effective(layered, token),
        })
    }

    /// What variables alone make of a provider that has no entry: one whose key is set.
    pub fn offered(&self, name: &str) -> Option<&Result<ProviderEntry, ConfigProblems>> {
        self.offered.get(&in_capitals(name)).filter(|_| !self.removed.contains(name))
    }

    /// Every value in force outside of `plugins`, and where each comes from.
    pub fn effective(&self) -> &[EffectiveValue] {
        &self.effective
    }
}

/// Everything was checked against the description: an error here is a mistake in that.
fn typed<T: DeserializeOwned>(
    layered: &Layered,
    pointer: &str,
    problems: &mut Vec<ConfigProblem>,
) -> Option<T> {
    let value = layered.get(pointer).cloned().unwrap_or_default();
    let told = |error: serde_json::Error| {
        let hint = "compare it with the JSON Schema";
        problems.push(ConfigProblem::new("the configuration", pointer, error.to_string(), hint));
    };
    serde_json::from_value(value).map_err(told).ok()
}

fn no_text(set: &Set<'_>) -> ConfigProblem {
    ConfigProblem::new(ENVIRONMENT, "", format!("{} is not UTF-8", set.name), "set it to a text")
}

fn effective(layered: &Layered, token: Option<Set<'_>>) -> Vec<EffectiveValue> {
    let mut rows: Vec<EffectiveValue> = layered
        .effective("", &Shape::Section(&ROOT))
        .into_iter()
        .filter(|row| !super::pointer::within(&row.pointer, "/plugins"))
        .collect();
    if let Some(set) = token {
        rows.push(EffectiveValue {
            pointer: "/server/admin_token".to_owned(),
            value: masked(&set.value.to_string_lossy()).into(),
            origin: set.origin(),
        });
    }
    rows
}

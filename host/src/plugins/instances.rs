//! The providers that the configuration asks for, made from the plugins that are there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use patchbay_plugin_api::ErrorKind;

use super::call_keys::CallKeys;
use super::engine::Active;
use super::manifest::PluginId;
use super::outbound::Outbound;
use super::problem::{Problem, ProblemCode, Step};
use super::report::FailedProvider;
use super::stray::StrayKeys;
use crate::config::{
    BreakerSettings, Changes, Config, ConfigProblem, ConfigProblems, Enabled, ProviderEntry,
    ProviderSettings, key_variable,
};
use crate::events::Bus;
use crate::limits::Limiter;
use crate::providers::{
    Catalogue, Counters, Herald, KeyRing, ModelQuestion, PluginRef, PreparedCalls, Provider, Shelf, Snapshot,
    Standing, Waiting,
};
use crate::services::http::HttpClient;
use crate::services::redact;

/// The plugin that serves when nothing is configured.
const MOCK: &str = "mock";

pub(super) type Plugins = BTreeMap<PluginId, Active>;

/// A provider to be, with the plugin that makes it.
pub(super) struct Wanted {
    pub(super) settings: Arc<ProviderSettings>,
    pub(super) plugin: PluginId,
}

/// What the configuration asks for.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) wanted: Vec<Wanted>,
    /// Entries that cannot be made into a provider.
    pub(super) failed: Vec<FailedProvider>,
    /// Entries that are switched off, or wait for a key.
    pub(super) disabled: Vec<String>,
    /// Those of them that wait.
    pub(super) waiting: Vec<Waiting>,
    /// What is no mistake, as far as anybody can tell, and may not be what was meant.
    pub(super) warnings: Vec<ConfigProblem>,
}

/// Reads the entries over their plugins' defaults. `reasons` says why a plugin is not there.
pub(super) fn asked(
    config: &Config,
    plugins: &Plugins,
    reasons: &BTreeMap<String, String>,
    changes: &Changes,
) -> Asked {
    let mut asked = Asked::default();
    let entries = entries(config, plugins, &mut asked.failed);
    for (name, entry) in &entries {
        if entry.enabled == Enabled::No {
            asked.disabled.push(name.clone());
            continue;
        }
        let id = entry.plugin.as_deref().unwrap_or(name);
        // Two plugins may differ in nothing else than `-` and `_`: then the one that is meant to the letter.
        let exact = plugins.get_key_value(id);
        let found = exact.or_else(|| plugins.iter().find(|(known, _)| alike(known.as_str(), id)));
        let Some((plugin, active)) = found else {
            match entry.enabled {
                _ if entry.waits_for.is_some() => asked.disabled.push(name.clone()),
                _ if changes.disabled_plugins.iter().any(|off| alike(off, id)) => {
                    asked.disabled.push(name.clone());
                }
                Enabled::Yes => asked.failed.push(failure(name, no_plugin(name, id, plugins, reasons))),
                Enabled::Auto | Enabled::No => asked.disabled.push(name.clone()),
            }
            continue;
        };
        let manifest = &active.plugin.manifest;
        let strays = StrayKeys::of(name, entry, Some(manifest));
        if !strays.refused.is_empty() {
            let message = ConfigProblems(strays.refused).to_string();
            asked.failed.push(failure(name, refused_configuration(message)));
            continue;
        }
        asked.warnings.extend(strays.doubtful);
        let mut waits_for = |variable: String| {
            asked.disabled.push(name.clone());
            asked.waiting.push(Waiting { name: name.clone(), plugin: plugin.to_string(), variable });
        };
        if let Some(variable) = &entry.waits_for {
            waits_for(variable.clone());
            continue;
        }
        match ProviderSettings::new(name, plugin.as_str(), entry, &manifest.config_defaults, manifest.secrets)
        {
            Ok(settings) if entry.enabled == Enabled::Auto && settings.keys.is_empty() => {
                waits_for(key_variable(name));
            }
            Ok(settings) => {
                asked.wanted.push(Wanted { settings: Arc::new(settings), plugin: plugin.clone() });
            }
            Err(message) => asked.failed.push(failure(name, refused_configuration(message))),
        }
    }
    asked
}

/// Those of the configuration, and those that nobody has written down: made by variables alone, or the mock where
/// there is nothing else.
pub(super) fn entries(
    config: &Config,
    plugins: &Plugins,
    failed: &mut Vec<FailedProvider>,
) -> BTreeMap<String, ProviderEntry> {
    let mut entries = config.plugins.clone();
    for (name, offered) in offered(config, plugins) {
        match offered {
            Ok(entry) => _ = entries.insert(name, entry.clone()),
            Err(problems) => failed.push(failure(&name, refused_configuration(problems.to_string()))),
        }
    }
    let nothing_configured = entries.is_empty() && failed.is_empty() && !config.removed.contains(MOCK);
    if nothing_configured && plugins.contains_key(MOCK) {
        entries.insert(MOCK.to_owned(), ProviderEntry::default());
    }
    entries
}

/// Built-in plugins that no entry names, and whose key is set: with that alone they are providers.
fn offered<'a>(
    config: &'a Config,
    plugins: &'a Plugins,
) -> impl Iterator<Item = (String, &'a Result<ProviderEntry, ConfigProblems>)> {
    let named = |id: &str| {
        config
            .plugins
            .iter()
            .any(|(name, entry)| alike(name, id) || alike(entry.plugin.as_deref().unwrap_or(name), id))
    };
    let builtin = |active: &Active| active.file.parent().is_some_and(|dir| dir.ends_with("plugins/builtin"));
    let unnamed = plugins.iter().filter(move |(id, active)| builtin(active) && !named(id.as_str()));
    unnamed.filter_map(|(id, _)| Some((id.to_string(), config.offered(id.as_str())?)))
}

/// `-` and `_` are alike in ids, as cargo has it.
pub fn alike(a: &str, b: &str) -> bool {
    let same = |byte: u8| if byte == b'_' { b'-' } else { byte };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| same(a) == same(b))
}

/// What becomes of one wanted provider.
pub(super) enum Outcome {
    /// The one that serves now stays.
    Kept(Arc<Provider>),
    /// It was made, in place of the one that serves now if there is one.
    Made(Arc<Provider>),
    /// It could not be made.
    Failed(Problem),
}

/// What providers are made with, and share.
pub(super) struct Means<'a> {
    pub(super) client: &'a HttpClient,
    pub(super) limiter: &'a Limiter,
    pub(super) shelf: &'a Arc<Shelf>,
    pub(super) events: &'a Bus,
}

/// Keeps the provider where nothing it is made from has changed, and makes it otherwise.
pub(super) async fn make(
    wanted: &Wanted,
    plugins: &Plugins,
    current: &Snapshot,
    means: Means<'_>,
    patience: Duration,
) -> Outcome {
    let Means { client, limiter, shelf, events } = means;
    let Some(active) = plugins.get(&wanted.plugin) else {
        return Outcome::Failed(refused_configuration(format!("the plugin \"{}\" is gone", wanted.plugin)));
    };
    let before = current.get(&wanted.settings.name);
    if let Some(provider) = before
        && provider.settings.same_as(&wanted.settings)
        && Arc::ptr_eq(provider.instance.generation(), &active.generation)
    {
        provider.settings.take_origins(&wanted.settings);
        return Outcome::Kept(Arc::clone(provider));
    }
    let settings = &wanted.settings;
    let config = serde_json::to_vec(&settings.plugin_config).unwrap_or_default();
    let calls = Arc::<CallKeys>::default();
    let fetch =
        Outbound { client: client.clone(), settings: Arc::clone(settings), calls: Arc::clone(&calls) };
    let made = active.generation.create(&settings.name, config, Arc::new(fetch), calls, patience).await;
    match made {
        Err(error) => Outcome::Failed(creation_failed(settings, &error)),
        Ok((instance, plan)) => Outcome::Made(Arc::new(Provider {
            settings: Arc::clone(settings),
            plugin: PluginRef {
                id: wanted.plugin.to_string(),
                version: active.plugin.manifest.version.clone(),
                generation: active.generation.record.generation,
            },
            features: active.plugin.manifest.supported_features.clone(),
            plan,
            prepared: PreparedCalls::new(settings.keys.len()),
            meter: limiter.provider(&settings.name),
            counters: before
                .map_or_else(|| Arc::new(Counters::default()), |before| Arc::clone(&before.counters)),
            catalogue: Catalogue::following(before.map(|before| &before.catalogue), settings, Some(shelf)),
            question: ModelQuestion::default(),
            keys: KeyRing::new(&settings.keys, before.map(|before| &before.keys)),
            standing: Standing::new(&BreakerSettings::default(), Herald::new(events)),
            instance,
        })),
    }
}

pub(super) fn failure(name: &str, problem: Problem) -> FailedProvider {
    FailedProvider { name: name.to_owned(), problem, kept_previous: false }
}

fn no_plugin(name: &str, id: &str, plugins: &Plugins, reasons: &BTreeMap<String, String>) -> Problem {
    let reason = reasons.iter().find(|(known, _)| alike(known, id)).map(|(_, reason)| reason);
    let (code, why) = match reason {
        Some(reason) => (ProblemCode::PluginRefused, format!("which could not be used: {reason}")),
        None => (ProblemCode::PluginMissing, "which is not there".to_owned()),
    };
    let known: Vec<&str> = plugins.keys().map(PluginId::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Problem {
        phase: Step::Configuration.phase(),
        step: Step::Configuration,
        code,
        message: format!("the provider \"{name}\" needs the plugin \"{id}\", {why}"),
        hint: format!(
            "put its library into plugins/custom, or name another with \"plugin\"; loaded are: {known}"
        ),
    }
}

/// A provider of a new generation that was refused for another provider's sake.
pub(super) fn waiting(name: &str, refusal: &Problem) -> Problem {
    let message = format!(
        "the provider \"{name}\" waits for its plugin, whose new generation was refused: {}",
        refusal.message
    );
    Problem { message, ..refusal.clone() }
}

fn refused_configuration(message: String) -> Problem {
    Problem {
        phase: Step::Configuration.phase(),
        step: Step::Configuration,
        code: ProblemCode::ConfigurationInvalid,
        message,
        hint: "mend the provider's entry in plugin_config.json".to_owned(),
    }
}

fn creation_failed(settings: &ProviderSettings, error: &patchbay_plugin_api::ProviderError) -> Problem {
    let name = &settings.name;
    let (code, hint) = match error.kind {
        ErrorKind::InvalidInput => {
            (ProblemCode::ConfigurationRefused, "mend the provider's entry in plugin_config.json")
        }
        ErrorKind::Panicked => {
            (ProblemCode::CreatePanicked, "mend the panic; the host's log has its place in the source")
        }
        ErrorKind::TimedOut => (ProblemCode::CreateHung, "making a provider must not block or spin"),
        _ => (ProblemCode::CreateFailed, "the message is the plugin's own; its documentation may say more"),
    };
    // The plugin's own words, and it may have been given its key.
    let message = redact::hide(&error.message, &settings.keys);
    let detail = error.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    let detail = redact::hide(&detail, &settings.keys);
    Problem {
        phase: Step::Create.phase(),
        step: Step::Create,
        code,
        message: format!("the provider \"{name}\" could not be made: {message}{detail}"),
        hint: hint.to_owned(),
    }
}

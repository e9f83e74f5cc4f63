//! A provider to be: an entry over its plugin's defaults, as the rest of the host uses it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::duration;
use super::entry::ProviderEntry;
use super::origin::EffectiveValue;
use super::prices::{self, Priced, dollars};
use crate::limits::{Budget, Rates};

/// See the module.
#[derive(Clone)]
pub struct ProviderSettings {
    /// The entry's key: how requests name the provider, and every record of one.
    pub name: Arc<str>,
    /// The name for people.
    pub display_name: String,
    /// The id of the plugin that makes it.
    pub plugin: String,
    /// Lower is tried first.
    pub priority: i32,
    /// Share under the `weighted` strategy.
    pub weight: u32,
    /// The keys, in the order they are used. Empty where upstream needs none.
    pub keys: Vec<SecretString>,
    /// Where upstream is, without a slash at the end.
    pub base_url: Option<String>,
    /// The model when a request names none.
    pub model: Option<String>,
    /// The models it serves, where the operator listed them.
    pub models: Vec<String>,
    /// Default for `/api/*`.
    pub max_tokens: Option<u64>,
    /// Default for `/api/*`.
    pub temperature: Option<f64>,
    /// A plain answer, and a stream's first token, within this time.
    pub timeout: Duration,
    /// The connection to upstream within this time.
    pub connect_timeout: Duration,
    /// The next chunk of a stream within this time.
    pub chunk_timeout: Duration,
    /// A whole stream within this time.
    pub total_timeout: Option<Duration>,
    /// How often a request that failed for a passing reason is tried again here.
    pub retry_attempts: u32,
    /// Requests at one time; none is without a limit.
    pub max_concurrent: Option<u64>,
    /// Requests and tokens in a minute, and money in a day and a month.
    pub rates: Rates,
    /// Whether plain http is allowed beyond loopback.
    pub allow_http: bool,
    /// Headers added to every request upstream.
    pub extra_headers: BTreeMap<String, String>,
    /// What models cost, by what the operator and the plugin say.
    pub pricing: BTreeMap<String, Priced>,
    /// The whole `config` object for the plugin, defaults merged, without any key.
    pub plugin_config: Map<String, Value>,
    /// Every value in force, and where each comes from. Only for showing: it may change while the provider stays.
    pub origins: Arc<ArcSwap<Vec<EffectiveValue>>>,
}

/// Any text in the rest may hold a secret.
impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings")
            .field("name", &self.name)
            .field("plugin", &self.plugin)
            .field("priority", &self.priority)
            .field("effective", &self.origins.load())
            .finish_non_exhaustive()
    }
}

/// The keys of `config` that the host itself reads. The plugin sees them too, but for the secrets.
#[derive(Deserialize)]
struct HostKeys {
    name: Option<String>,
    api_key: Option<SecretString>,
    #[serde(default)]
    api_keys: Vec<SecretString>,
    base_url: Option<String>,
    model: Option<String>,
    #[serde(default)]
    models: Vec<String>,
    max_tokens: Option<u64>,
    temperature: Option<f64>,
    timeout: Option<f64>,
    connect_timeout: Option<f64>,
    chunk_timeout: Option<f64>,
    total_timeout: Option<f64>,
    retry_attempts: Option<u32>,
    max_concurrent: Option<u64>,
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u32>,
    #[serde(default, deserialize_with = "dollars")]
    budget_usd_per_day: Option<Decimal>,
    #[serde(default, deserialize_with = "dollars")]
    budget_usd_per_month: Option<Decimal>,
    #[serde(default)]
    allow_http: bool,
    #[serde(default)]
    extra_headers: BTreeMap<String, String>,
    priority: Option<i32>,
}

const SECRETS: [&str; 3] = ["api_key", "api_keys", "api_key_env"];

impl ProviderSettings {
    /// Reads an entry over the plugin's own defaults. The error says which key is wrong.
    pub fn new(
        name: &str,
        plugin: &str,
        entry: &ProviderEntry,
        defaults: &Map<String, Value>,
        sees_secrets: bool,
    ) -> Result<Self, String> {
        let said: Map<String, Value> =
            entry.config().into_iter().filter(|(_, value)| !value.is_null()).collect();
        let pricing = prices::of_config(&said, defaults)
            .map_err(|error| format!("the configuration of \"{name}\" cannot be used: {error}"))?;
        let mut config = defaults.clone();
        prices::give_way(&mut config, &said);
        for (key, value) in said {
            match (config.get_mut(&key), value) {
                (Some(Value::Object(plugins)), Value::Object(operators)) => plugins.extend(operators),
                (_, value) => drop(config.insert(key, value)),
            }
        }
        let host = HostKeys::deserialize(Value::Object(config.clone()))
            .map_err(|error| format!("the configuration of \"{name}\" cannot be used: {error}"))?;
        let mut plugin_config = config;
        if !sees_secrets {
            plugin_config.retain(|key, _| !SECRETS.contains(&key.as_str()));
        }
        let seconds = |key: &str, value: Option<f64>| match value {
            None => Ok(None),
            Some(value) => duration(value)
                .map(Some)
                .ok_or_else(|| format!("\"{key}\" of \"{name}\" is {value}, not a time in seconds")),
        };
        Ok(Self {
            name: name.into(),
            display_name: host.name.unwrap_or_else(|| name.to_owned()),
            plugin: plugin.to_owned(),
            priority: entry.priority.or(host.priority).unwrap_or(50),
            weight: entry.weight,
            keys: distinct(host.api_key.into_iter().chain(host.api_keys)),
            base_url: host.base_url.map(|url| url.trim_end_matches('/').to_owned()),
            model: host.model,
            models: host.models,
            max_tokens: host.max_tokens,
            temperature: host.temperature,
            timeout: seconds("timeout", host.timeout)?.unwrap_or(Duration::from_secs(30)),
            connect_timeout: seconds("connect_timeout", host.connect_timeout)?
                .unwrap_or(Duration::from_secs(5)),
            chunk_timeout: seconds("chunk_timeout", host.chunk_timeout)?.unwrap_or(Duration::from_secs(60)),
            total_timeout: seconds("total_timeout", host.total_timeout)?,
            retry_attempts: host.retry_attempts.unwrap_or(3),
            max_concurrent: host.max_concurrent,
            rates: Rates {
                requests_per_minute: host.requests_per_minute,
                tokens_per_minute: host.tokens_per_minute,
                budget: Budget::of(host.budget_usd_per_day, host.budget_usd_per_month),
            },
            allow_http: host.allow_http,
            extra_headers: host.extra_headers,
            pricing,
            plugin_config,
            origins: Arc::new(ArcSwap::from_pointee(entry.effective(name, Some((plugin, defaults))))),
        })
    }

    /// Every value in force, secrets masked, and where each comes from.
    pub fn effective(&self) -> Arc<Vec<EffectiveValue>> {
        self.origins.load_full()
    }

    /// Takes over where the values come from: they may be the same and be written elsewhere now.
    pub fn take_origins(&self, anew: &Self) {
        self.origins.store(anew.origins.load_full());
    }

    /// Whether a provider made from `other` is the one that would be made from these, wherever they are written.
    pub fn same_as(&self, other: &Self) -> bool {
        let keys = |settings: &Self| {
            settings.keys.iter().map(|key| key.expose_secret().to_owned()).collect::<Vec<_>>()
        };
        self.plain() == other.plain() && keys(self) == keys(other)
    }

    /// All but the keys. Taken apart by name, so that a new field cannot be forgotten here.
    fn plain(&self) -> impl PartialEq + '_ {
        let Self {
            name,
            display_name,
            plugin,
            priority,
            weight,
            keys: _,
            base_url,
            model,
            models,
            max_tokens,
            temperature,
            timeout,
            connect_timeout,
            chunk_timeout,
            total_timeout,
            retry_attempts,
            max_concurrent,
            rates,
            allow_http,
            extra_headers,
            pricing,
            plugin_config,
            origins: _,
        } = self;
        (
            (name, display_name, plugin, priority, weight, base_url, model, models, max_tokens, temperature),
            (
                timeout,
                connect_timeout,
                chunk_timeout,
                total_timeout,
                retry_attempts,
                max_concurrent,
                rates,
                allow_http,
                extra_headers,
                pricing,
                plugin_config,
            ),
        )
    }
}

/// Without those that are empty or there already: a key that is refused once is refused.
fn distinct(keys: impl Iterator<Item = SecretString>) -> Vec<SecretString> {
    let mut kept: Vec<SecretString> = Vec::new();
    for key in keys {
        let text = key.expose_secret();
        if !text.trim().is_empty() && kept.iter().all(|known| known.expose_secret() != text) {
            kept.push(key);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(config: &Value, defaults: &Value) -> Result<ProviderSettings, String> {
        let entry = ProviderEntry::from_config(config.as_object().unwrap());
        ProviderSettings::new("p", "plugin", &entry, defaults.as_object().unwrap(), false)
    }

    #[test]
    fn the_file_wins_over_the_plugins_defaults() {
        let settings = settings(
            &serde_json::json!({"model": "mine", "timeout": 1.5, "own": 1, "api_key": "sk-1", "base_url": null}),
            &serde_json::json!({"model": "theirs", "base_url": "https://up/v1/", "priority": 7}),
        )
        .unwrap();
        assert_eq!(settings.model.as_deref(), Some("mine"));
        assert_eq!(settings.base_url.as_deref(), Some("https://up/v1"));
        assert_eq!((settings.priority, settings.timeout), (7, Duration::from_millis(1500)));
        assert_eq!(settings.keys.len(), 1);
        assert_eq!(settings.plugin_config.get("own"), Some(&Value::from(1)));
        assert!(!settings.plugin_config.contains_key("api_key"), "the plugin did not ask for secrets");
        assert!(!format!("{settings:?}").contains("sk-1"), "a secret cannot be printed");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let error = settings(&serde_json::json!({"timeout": -1}), &serde_json::json!({})).unwrap_err();
        assert_eq!(error, "\"timeout\" of \"p\" is -1, not a time in seconds");
        let error = settings(&serde_json::json!({"max_tokens": "many"}), &serde_json::json!({})).unwrap_err();
        assert!(
            error.starts_with("the configuration of \"p\" cannot be used: invalid type: string"),
            "{error}"
        );
    }

    #[test]
    fn a_key_counts_once() {
        let config = serde_json::json!({"api_key": "a", "api_keys": ["b", " ", "a", "b", "c"]});
        let keys = settings(&config, &serde_json::json!({})).unwrap().keys;
        let keys: Vec<&str> = keys.iter().map(SecretString::expose_secret).collect();
        assert_eq!(keys, ["a", "b", "c"]);
    }

    #[test]
    fn a_changed_key_is_a_change() {
        let with =
            |key: &str| settings(&serde_json::json!({ "api_key": key }), &serde_json::json!({})).unwrap();
        assert!(with("a").same_as(&with("a")));
        assert!(!with("a").same_as(&with("b")));
    }
}

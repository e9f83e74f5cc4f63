//! Settings as the rest of the host uses them: every default filled in, secrets in their own type.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ProviderEntry;

/// The `server` section, with what came from elsewhere.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 picks a free one.
    pub port: u16,
    /// Whether anyone may spend when bound beyond loopback.
    pub open: bool,
    /// The largest request body taken.
    pub max_body_bytes: usize,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// Peers whose forwarding headers count.
    pub trusted_proxies: Vec<IpAddr>,
    /// What admin routes ask for.
    pub admin_token: Option<SecretString>,
}

/// The `loader` section: how libraries are loaded and watched over. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
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

/// One entry of `plugins`: a provider to be.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// The entry's key: how requests name the provider.
    pub name: String,
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
    /// Whether plain http is allowed beyond loopback.
    pub allow_http: bool,
    /// Headers added to every request upstream.
    pub extra_headers: BTreeMap<String, String>,
    /// The whole `config` object for the plugin, defaults merged, without any key.
    pub plugin_config: Map<String, Value>,
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
        let mut config = defaults.clone();
        config.extend(
            entry.config.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())),
        );
        let host = HostKeys::deserialize(Value::Object(config.clone()))
            .map_err(|error| format!("the configuration of \"{name}\" cannot be used: {error}"))?;
        let mut plugin_config = config;
        if !sees_secrets {
            plugin_config.retain(|key, _| !SECRETS.contains(&key.as_str()));
        }
        let seconds = |key: &str, value: Option<f64>| match value {
            None => Ok(None),
            Some(value) => Duration::try_from_secs_f64(value)
                .ok()
                .filter(|duration| !duration.is_zero())
                .map(Some)
                .ok_or_else(|| format!("\"{key}\" of \"{name}\" is {value}, not a time in seconds")),
        };
        Ok(Self {
            name: name.to_owned(),
            display_name: host.name.unwrap_or_else(|| name.to_owned()),
            plugin: plugin.to_owned(),
            priority: entry.priority.or(host.priority).unwrap_or(50),
            weight: entry.weight,
            keys: host
                .api_key
                .into_iter()
                .chain(host.api_keys)
                .filter(|key| !key.expose_secret().trim().is_empty())
                .collect(),
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
            allow_http: host.allow_http,
            extra_headers: host.extra_headers,
            plugin_config,
        })
    }

    /// Whether a provider made from `other` is the one that would be made from these.
    pub fn same_as(&self, other: &Self) -> bool {
        let plain = |settings: &Self| {
            let mut settings = settings.clone();
            settings.keys = Vec::new();
            format!("{settings:?}")
        };
        let keys = |settings: &Self| {
            settings.keys.iter().map(|key| key.expose_secret().to_owned()).collect::<Vec<_>>()
        };
        plain(self) == plain(other) && keys(self) == keys(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(config: &Value, defaults: &Value) -> Result<ProviderSettings, String> {
        let entry = ProviderEntry { config: config.as_object().unwrap().clone(), ..ProviderEntry::default() };
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
    fn a_changed_key_is_a_change() {
        let with =
            |key: &str| settings(&serde_json::json!({ "api_key": key }), &serde_json::json!({})).unwrap();
        assert!(with("a").same_as(&with("a")));
        assert!(!with("a").same_as(&with("b")));
    }
}

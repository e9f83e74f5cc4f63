//! `plugin_config.json` as it is written.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::LoaderSettings;

/// The whole file. Everything in it may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    #[serde(rename = "$schema")]
    _schema: Option<String>,
    /// Where and how to listen.
    pub server: ServerSection,
    /// Further folders to look for plugins in, besides `plugins/custom` and `plugins/builtin`.
    pub plugin_dirs: Vec<PathBuf>,
    /// How libraries are loaded and watched over.
    pub loader: LoaderSettings,
    /// The providers, by name.
    pub plugins: BTreeMap<String, ProviderEntry>,
}

/// The `server` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSection {
    pub host: String,
    pub port: u16,
    pub open: bool,
    pub max_body_bytes: usize,
    pub cors_origins: Vec<String>,
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 5000,
            open: false,
            max_body_bytes: 20 << 20,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// One entry of `plugins`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderEntry {
    /// The plugin's id; the entry's name when left out.
    pub plugin: Option<String>,
    /// Whether it becomes a provider.
    pub enabled: Enabled,
    /// Lower is tried first; the plugin's own default when left out, else 50.
    pub priority: Option<i32>,
    /// Share under the `weighted` strategy.
    pub weight: u32,
    /// Where its code runs; only `in_process` so far.
    pub isolation: Isolation,
    /// For host and plugin.
    pub config: Map<String, Value>,
}

impl Default for ProviderEntry {
    fn default() -> Self {
        Self {
            plugin: None,
            enabled: Enabled::Yes,
            priority: None,
            weight: 1,
            isolation: Isolation::InProcess,
            config: Map::new(),
        }
    }
}

/// Whether an entry becomes a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Enabled {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It does if its key is there.
    Auto,
}

impl TryFrom<Value> for Enabled {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Bool(true) => Ok(Self::Yes),
            Value::Bool(false) => Ok(Self::No),
            Value::String(word) if word == "auto" => Ok(Self::Auto),
            other => Err(format!("\"enabled\" is true, false or \"auto\", not {other}")),
        }
    }
}

/// Where a plugin's code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// In the host, on a thread of its own.
    InProcess,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The file is not what it should be.
    #[error("{} is not a valid configuration", .0.display())]
    Invalid(PathBuf, #[source] serde_json::Error),
}

impl Config {
    /// Reads the file; one that does not exist is an empty one unless it was asked for by name.
    pub fn read(path: &Path, must_exist: bool) -> Result<Self, ConfigError> {
        match std::fs::read(path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| ConfigError::Invalid(path.to_owned(), error))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => Ok(Self::default()),
            Err(error) => Err(ConfigError::Unreadable(path.to_owned(), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<usize, &str>) {
        let parsed: Result<Config, _> = serde_json::from_str(text);
        match (parsed, expected) {
            (Ok(config), Ok(entries)) => assert_eq!(config.plugins.len(), entries, "{text}"),
            (Err(error), Err(message)) => assert!(error.to_string().contains(message), "{text}: {error}"),
            (parsed, expected) => panic!("{text}: {parsed:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn shapes() {
        check("{}", Ok(0));
        check(r#"{"plugins": {"mock": {}}}"#, Ok(1));
        check(r#"{"plugins": {"a": {"enabled": "auto", "config": {"anything": 1}}}}"#, Ok(1));
        check(
            r#"{"plugins": {"a": {"enabled": "yes"}}}"#,
            Err("\"enabled\" is true, false or \"auto\", not \"yes\""),
        );
        check(r#"{"plugins": {"a": {"enabeld": true}}}"#, Err("unknown field `enabeld`"));
        check(r#"{"sever": {}}"#, Err("unknown field `sever`"));
        check(r#"{"server": {"port": 70000}}"#, Err("invalid value: integer `70000`"));
    }
}

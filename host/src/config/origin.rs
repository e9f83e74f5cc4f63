//! Where a value comes from.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The layer that an effective value comes from, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "layer", rename_all = "snake_case")]
pub enum Origin {
    /// The host's own.
    HostDefault,
    /// The plugin's manifest.
    PluginDefault {
        /// Its id.
        plugin: String,
    },
    /// The configuration file.
    File {
        /// Which.
        path: PathBuf,
        /// Where in it.
        pointer: String,
    },
    /// The environment that the host was started in.
    Environment {
        /// Which variable.
        variable: String,
    },
    /// The `.env` beside the configuration file.
    DotEnv {
        /// Which variable.
        variable: String,
        /// On which line.
        line: usize,
    },
    /// The command line.
    CommandLine {
        /// Which option.
        option: &'static str,
    },
    /// A change made while the host ran.
    Runtime,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostDefault => f.write_str("default"),
            Self::PluginDefault { plugin } => write!(f, "default of the plugin {plugin}"),
            Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Environment { variable } => write!(f, "environment: {variable}"),
            Self::DotEnv { variable, line } => write!(f, ".env line {line}: {variable}"),
            Self::CommandLine { option } => write!(f, "command line: {option}"),
            Self::Runtime => f.write_str("changed at run time"),
        }
    }
}

/// A value that is in force, fit to be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EffectiveValue {
    /// Which, as a JSON pointer into the configuration.
    pub pointer: String,
    /// What, with every secret masked.
    pub value: Value,
    /// Where from.
    pub origin: Origin,
}

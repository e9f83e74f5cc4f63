//! The configuration file: read, checked, and turned into settings.

mod file;
mod settings;

pub use file::{Config, ConfigError, Enabled, ProviderEntry};
pub use settings::{LoaderSettings, ProviderSettings, ServerSettings};

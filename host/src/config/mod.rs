//! The configuration file: read, checked, and turned into settings.

mod changes;
mod file;
mod settings;

pub use changes::{Change, ChangeFile, ChangeFileError, Changes};
pub use file::{Config, ConfigError, Enabled, ProviderEntry};
pub use settings::{LoaderSettings, ProviderSettings, ServerSettings};

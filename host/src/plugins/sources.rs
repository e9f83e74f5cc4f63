//! Where configuration and libraries come from. Fixed at start: nothing of it ever comes from a request.

use std::path::{Path, PathBuf};

use super::discover::{DirCategory, PluginDir};
use crate::config::{Config, ConfigError};

/// See the module.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The configuration file.
    pub config_file: PathBuf,
    /// Whether the operator named it, so that it must be there.
    pub config_named: bool,
    /// What relative folders are relative to, and where `plugins/` lies.
    pub base: PathBuf,
    /// Folders named on the command line or in the environment.
    pub plugin_dirs: Vec<PathBuf>,
}

impl Sources {
    /// Reads the configuration file as it is now.
    pub fn read_config(&self) -> Result<Config, ConfigError> {
        Config::read(&self.config_file, self.config_named)
    }

    /// The folders to search, most important first.
    pub fn dirs(&self, config: &Config) -> Vec<PluginDir> {
        let at = |path: &Path, category| PluginDir { path: self.base.join(path), category };
        let custom = at(Path::new("plugins/custom"), DirCategory::Custom);
        let builtin = at(Path::new("plugins/builtin"), DirCategory::Builtin);
        let mut dirs = vec![custom];
        let extra = self.plugin_dirs.iter().chain(&config.plugin_dirs);
        dirs.extend(extra.map(|path| at(path, DirCategory::Extra)));
        dirs.push(builtin);
        let mut seen = std::collections::BTreeSet::new();
        dirs.retain(|dir| seen.insert(dir.path.clone()));
        dirs
    }
}

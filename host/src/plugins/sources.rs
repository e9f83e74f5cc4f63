//! Where configuration and libraries come from. Fixed at start: nothing of it ever comes from a request.

use std::path::{Path, PathBuf};

use super::discover::{DirCategory, PluginDir};
use crate::config::{
    CommandLineLayer, Config, ConfigFiles, ConfigProblems, Environment, Layers, RuntimeLayer,
};

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file.
    pub config_file: PathBuf,
    /// Whether the operator named it, so that it must be there.
    pub config_named: bool,
    /// Those that have been read since the start, which must be there from then on.
    pub files: ConfigFiles,
    /// What relative folders are relative to, and where `plugins/` lies.
    pub base: PathBuf,
    /// Folders named on the command line, besides those of the configuration.
    pub plugin_dirs: Vec<PathBuf>,
    /// The variables that the host was started with.
    pub environment: Environment,
    /// What the command line says of the configuration.
    pub command_line: CommandLineLayer,
}

impl Sources {
    /// Reads the configuration as it is now, under the changes made at run time.
    pub fn read_config(&self, runtime: &RuntimeLayer) -> Result<Config, ConfigProblems> {
        let layers = Layers {
            file: &self.config_file,
            must_exist: self.config_named,
            files: &self.files,
            environment: &self.environment,
            command_line: &self.command_line,
            runtime,
        };
        layers.read()
    }

    /// The folders to search, most important first; `configured` are those of the configuration.
    pub fn dirs(&self, configured: &[PathBuf]) -> Vec<PluginDir> {
        let at = |path: &Path, category| PluginDir { path: self.base.join(path), category };
        let custom = at(Path::new("plugins/custom"), DirCategory::Custom);
        let builtin = at(Path::new("plugins/builtin"), DirCategory::Builtin);
        let mut dirs = vec![custom];
        let extra = self.plugin_dirs.iter().chain(configured);
        dirs.extend(extra.map(|path| at(path, DirCategory::Extra)));
        dirs.push(builtin);
        let mut seen = std::collections::BTreeSet::new();
        dirs.retain(|dir| seen.insert(dir.path.clone()));
        dirs
    }
}

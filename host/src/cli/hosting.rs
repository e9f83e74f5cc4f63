//! The options of every command that serves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::app::{AppOptions, CONFIG_FILE};
use crate::config::Environment;

#[derive(Debug, Clone, Default, Args)]
pub(super) struct Hosting {
    /// The configuration file [env: PATCHBAY_CONFIG] [default: plugin_config.json of the working directory, or else of
    /// the installation that the program is in]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The address to listen on [env: HOST] [default: 127.0.0.1]
    #[arg(long)]
    host: Option<String>,

    /// The port to listen on; 0 picks a free one [env: PORT] [default: 5000]
    #[arg(long)]
    port: Option<u16>,

    /// A directory with plugins besides plugins/builtin, plugins/custom and those of the configuration; may be repeated
    /// [env: PATCHBAY_PLUGIN_DIRS, with colons in between]
    #[arg(long = "plugin-dir", value_name = "DIR")]
    plugin_dirs: Vec<PathBuf>,

    /// Where the host keeps what it has to remember [env: PATCHBAY_DATA_DIR] [default: .patchbay]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// How long streams may take to finish when the host is told to end
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain_timeout: u64,
}

impl Hosting {
    /// The options as the host takes them. Of the variables, only where the configuration is cannot be left to it.
    pub(super) fn options(self, environment: Environment) -> AppOptions {
        AppOptions {
            config_file: self.config_file(&environment),
            host: self.host,
            port: self.port,
            plugin_dirs: self.plugin_dirs,
            data_dir: self.data_dir,
            watch: false,
            take_over: false,
            development: false,
            drain_timeout: Duration::from_secs(self.drain_timeout),
            environment,
            listener: None,
        }
    }

    /// The file that the operator named, or the one that the program was installed with, if any.
    pub(super) fn config_file(&self, environment: &Environment) -> Option<PathBuf> {
        config_file(self.config.as_ref(), environment)
    }
}

/// The configuration file, unless it is the one of the working directory.
pub(super) fn config_file(named: Option<&PathBuf>, environment: &Environment) -> Option<PathBuf> {
    named.cloned().or_else(|| environment.path("PATCHBAY_CONFIG")).or_else(|| {
        let is_here = Path::new(CONFIG_FILE).exists();
        if is_here { None } else { installed_beside(&std::env::current_exe().ok()?) }
    })
}

/// An installation has its programs in `bin`, and the configuration above.
fn installed_beside(program: &Path) -> Option<PathBuf> {
    let folder = program.parent().filter(|folder| folder.ends_with("bin"))?;
    Some(folder.with_file_name(CONFIG_FILE)).filter(|file| file.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_file_comes_from_the_option_or_else_from_its_variable() {
        let environment = Environment::from_iter([("PATCHBAY_CONFIG", "/etc/patchbay.json")]);
        let given = Hosting { config: Some("mine.json".into()), ..Hosting::default() };
        assert_eq!(given.options(environment.clone()).config_file, Some("mine.json".into()));
        assert_eq!(Hosting::default().options(environment).config_file, Some("/etc/patchbay.json".into()));
        let empty = Environment::from_iter([("PATCHBAY_CONFIG", "")]);
        assert_eq!(Hosting::default().options(empty).config_file, None);
    }
}

//! The options of every command that serves.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Failure;
use crate::app::AppOptions;

#[derive(Debug, Clone, Default, Args)]
pub(super) struct Hosting {
    /// The configuration file [env: PATCHBAY_CONFIG] [default: plugin_config.json, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The address to listen on [env: HOST] [default: 127.0.0.1]
    #[arg(long)]
    host: Option<String>,

    /// The port to listen on; 0 picks a free one [env: PORT] [default: 5000]
    #[arg(long)]
    port: Option<u16>,

    /// A directory with plugins besides plugins/builtin and plugins/custom; may be repeated
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
    /// An option that was not given comes from its variable. Read here and not by clap, which would call a wrong
    /// variable a wrong usage and not say its name, and takes an empty one for a value.
    pub(super) fn with_environment(
        self,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<AppOptions, Failure> {
        let set = |name| environment(name).filter(|value| !value.is_empty());
        let mut plugin_dirs = self.plugin_dirs;
        if plugin_dirs.is_empty() {
            let listed = set("PATCHBAY_PLUGIN_DIRS").unwrap_or_default();
            // An empty part comes from `$OLD:/new` with nothing in OLD, and would be the working directory.
            plugin_dirs.extend(std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()));
        }
        let port = match (self.port, set("PORT")) {
            (None, Some(value)) => Some(port(&value)?),
            (given, _) => given,
        };
        let host = match (self.host, set("HOST")) {
            (None, Some(value)) => {
                Some(value.into_string().map_err(|value| bad_variable("HOST", &value, "an address"))?)
            }
            (given, _) => given,
        };
        Ok(AppOptions {
            config_file: self.config.or_else(|| set("PATCHBAY_CONFIG").map(PathBuf::from)),
            host,
            port,
            plugin_dirs,
            data_dir: self.data_dir.or_else(|| set("PATCHBAY_DATA_DIR").map(PathBuf::from)),
            watch: false,
            drain_timeout: Duration::from_secs(self.drain_timeout),
        })
    }
}

fn port(value: &OsString) -> Result<u16, Failure> {
    let parsed = value.to_str().and_then(|value| value.trim().parse().ok());
    parsed.ok_or_else(|| bad_variable("PORT", value, "a port: use a number from 0 to 65535"))
}

fn bad_variable(name: &str, value: &OsString, expected: &str) -> Failure {
    Failure::bad_configuration(format!("{name}={} is not {expected}", value.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(hosting: Hosting, variables: &[(&str, &str)]) -> Result<AppOptions, Failure> {
        let find = |name: &str| variables.iter().find(|(variable, _)| *variable == name);
        hosting.with_environment(|name| find(name).map(|(_, value)| OsString::from(value)))
    }

    const ALL: [(&str, &str); 5] = [
        ("HOST", "0.0.0.0"),
        ("PORT", "8080"),
        ("PATCHBAY_CONFIG", "/etc/patchbay.json"),
        ("PATCHBAY_PLUGIN_DIRS", ":/one:/two"),
        ("PATCHBAY_DATA_DIR", "/var/lib/patchbay"),
    ];

    #[test]
    fn what_was_not_given_comes_from_the_environment() {
        let options = options(Hosting::default(), &ALL).unwrap();
        assert_eq!(options.host.as_deref(), Some("0.0.0.0"));
        assert_eq!(options.port, Some(8080));
        assert_eq!(options.config_file, Some("/etc/patchbay.json".into()));
        assert_eq!(options.plugin_dirs, [PathBuf::from("/one"), "/two".into()]);
        assert_eq!(options.data_dir, Some("/var/lib/patchbay".into()));
    }

    #[test]
    fn what_was_given_wins() {
        let given = Hosting {
            config: Some("mine.json".into()),
            host: Some("::1".into()),
            port: Some(0),
            plugin_dirs: vec!["mine".into()],
            data_dir: Some("data".into()),
            drain_timeout: 5,
        };
        let options = options(given, &ALL).unwrap();
        assert_eq!((options.host.as_deref(), options.port), (Some("::1"), Some(0)));
        assert_eq!(options.config_file, Some("mine.json".into()));
        assert_eq!(options.plugin_dirs, [PathBuf::from("mine")]);
        assert_eq!(options.data_dir, Some("data".into()));
        assert_eq!(options.drain_timeout, Duration::from_secs(5));
    }

    #[test]
    fn an_empty_variable_says_nothing() {
        let options = options(Hosting::default(), &ALL.map(|(name, _)| (name, ""))).unwrap();
        assert_eq!((options.host, options.port, options.config_file), (None, None, None));
        assert!(options.plugin_dirs.is_empty());
    }

    #[test]
    fn a_bad_port_is_bad_configuration_that_names_the_variable() {
        for value in ["http", "70000", "-1"] {
            let failure = options(Hosting::default(), &[("PORT", value)]).unwrap_err();
            assert_eq!(failure.code(), 78);
            assert!(format!("{failure:?}").contains(&format!("PORT={value}")), "{failure:?}");
        }
    }
}

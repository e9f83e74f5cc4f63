//! `patchbay config`: what is configured, where each value comes from, and what is wrong with it.

mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::hosting::config_file;
use super::{Failure, output};
use crate::app::{AppOptions, Setup};
use crate::config::{self, ConfigProblems, Enabled, Environment};
use crate::plugins::manifest::Manifest;
use crate::plugins::{StrayKeys, alike};

/// Look at the configuration, without a running host
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay config check
  patchbay config show")]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(Check),
    Show(show::Show),
    Schema(Schema),
}

/// Which configuration is meant.
#[derive(Debug, Args)]
struct Place {
    /// The configuration file [env: PATCHBAY_CONFIG] [default: plugin_config.json of the working directory, or else of
    /// the installation that the program is in]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where a host keeps what was changed while it ran [env: PATCHBAY_DATA_DIR] [default: .patchbay]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Say everything that is wrong with it
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  patchbay config check

The exit code is 78 when there is something to mend.")]
struct Check {
    #[command(flatten)]
    place: Place,
}

/// Print the JSON Schema of the configuration file
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  patchbay config schema > plugin_config.schema.json")]
struct Schema {}

pub(super) fn run(command: ConfigCommand, environment: Environment) -> Result<u8, Failure> {
    match command.command {
        Command::Check(command) => check(command, environment),
        Command::Show(command) => show::run(command, environment),
        Command::Schema(Schema {}) => {
            output::line(&format!("{:#}", config::schema()));
            Ok(0)
        }
    }
}

fn check(command: Check, environment: Environment) -> Result<u8, Failure> {
    let setup = command.place.read(environment)?;
    setup.check()?;
    let plugins = show::manifests(&setup);
    let StrayKeys { refused, mut doubtful } = strays(&setup, &plugins);
    doubtful.extend(setup.config.doubts());
    if !refused.is_empty() {
        return Err(Failure::bad_configuration(ConfigProblems(refused).to_string()));
    }
    let (file, entries) = (setup.sources.config_file.display(), setup.config.plugins.len());
    let verdict = match doubtful.len() {
        0 => "nothing to mend".to_owned(),
        1 => "nothing that a host refuses, and one thing to look at".to_owned(),
        several => format!("nothing that a host refuses, and {several} things to look at"),
    };
    output::line(&format!("{file}: {verdict}, {entries} providers"));
    doubtful.iter().for_each(|warning| output::note(&format!("warning: {warning}")));
    remarks(&setup, &plugins).iter().for_each(|remark| output::note(remark));
    Ok(0)
}

/// Keys that neither the host nor the plugins read, of providers that are not switched off.
fn strays(setup: &Setup, plugins: &BTreeMap<String, Manifest>) -> StrayKeys {
    let mut strays = StrayKeys::default();
    for (name, entry) in setup.config.plugins.iter().filter(|(_, entry)| entry.enabled != Enabled::No) {
        let id = entry.plugin.as_deref().unwrap_or(name);
        let manifest = plugins.iter().find(|(known, _)| alike(known, id)).map(|(_, manifest)| manifest);
        let StrayKeys { refused, doubtful } = StrayKeys::of(name, entry, manifest);
        strays.refused.extend(refused);
        strays.doubtful.extend(doubtful);
    }
    strays
}

/// What is no mistake, and may still be a surprise.
fn remarks(setup: &Setup, plugins: &BTreeMap<String, Manifest>) -> Vec<String> {
    let entries = setup.config.plugins.iter().filter(|(_, entry)| entry.enabled == Enabled::Yes);
    let named = entries.map(|(name, entry)| (name, entry.plugin.as_deref().unwrap_or(name)));
    let missing = named.filter(|(_, id)| !plugins.keys().any(|known| alike(known, id)));
    let missing = missing.map(|(name, id)| {
        format!("note: the provider \"{name}\" needs the plugin \"{id}\", and no library here holds it")
    });
    let removed = setup.config.removed.iter().map(|name| {
        format!(
            "note: the provider \"{name}\" was removed while a host ran, whatever the file says: `patchbay provider \
             add {name} --plugin ID` brings it back"
        )
    });
    let checked = "note: what plugins check themselves is said by `patchbay reload --dry-run`".to_owned();
    missing.chain(removed).chain([checked]).collect()
}

impl Place {
    /// Reads it as a host would that starts now.
    fn read(self, environment: Environment) -> Result<Setup, Failure> {
        let config_file = config_file(self.config.as_ref(), &environment);
        let options =
            AppOptions { config_file, data_dir: self.data_dir, environment, ..AppOptions::default() };
        Ok(Setup::read(&options)?)
    }
}

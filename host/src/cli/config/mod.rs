//! `patchbay config`: what is configured, where each value comes from, and what is wrong with it.

mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::hosting::config_file;
use super::{Failure, output};
use crate::app::{AppOptions, Setup};
use crate::config::{self, Enabled, Environment};
use crate::plugins::alike;

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
    let entries = setup.config.plugins.len();
    output::line(&format!("{}: nothing to mend, {entries} providers", setup.sources.config_file.display()));
    remarks(&setup).iter().for_each(|remark| output::note(remark));
    Ok(0)
}

/// What is no mistake, and may still be a surprise.
fn remarks(setup: &Setup) -> Vec<String> {
    let plugins = show::defaults(setup);
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

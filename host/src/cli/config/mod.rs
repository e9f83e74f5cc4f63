//! `patchbay config`: what is configured, where each value comes from, and what is wrong with it.

mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Failure, output};
use crate::app::{AppOptions, Setup};
use crate::config::{self, Environment};

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
    /// The configuration file [env: PATCHBAY_CONFIG] [default: plugin_config.json, if it is there]
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
    Ok(0)
}

impl Place {
    /// Reads it as a host would that starts now.
    fn read(self, environment: Environment) -> Result<Setup, Failure> {
        let config_file = self.config.or_else(|| environment.path("PATCHBAY_CONFIG"));
        let options =
            AppOptions { config_file, data_dir: self.data_dir, environment, ..AppOptions::default() };
        Ok(Setup::read(&options)?)
    }
}

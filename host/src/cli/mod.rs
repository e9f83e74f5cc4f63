//! The command line: one file per subcommand.

// 1. What every subcommand shares.
mod failure;
mod hosting;
mod open_files;
mod output;
mod progress;
mod remote;
mod signals;
mod successor;
mod table;
#[cfg(test)]
mod testing;
mod times;

// 2. The subcommands.
mod audit;
mod chat;
mod completions;
mod config;
mod demo;
mod dev;
mod events;
mod health;
mod install;
mod keys;
mod log_level;
mod models;
mod plugin;
mod provider;
mod reload;
mod serve;
mod usage;

use clap::{Parser, Subcommand};

pub use self::failure::Failure;
use crate::config::{ConfigFiles, Environment};
use crate::telemetry::log::{LogError, LogOptions};

/// An AI gateway whose providers are plugins, loaded and swapped while it runs
#[derive(Debug, Parser)]
#[command(name = "patchbay", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  patchbay dev                  build the plugins here, serve, and swap them in as they change
  patchbay serve --port 8080    serve what is built already
  patchbay demo                 see a running host at work

Exit codes: 0 ok, 1 failed, 2 wrong usage, 64 bad input, 78 bad configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Dev(dev::Dev),
    Install(install::Install),
    Plugin(plugin::Plugin),
    Provider(provider::Provider),
    Reload(reload::Reload),
    Chat(chat::Chat),
    Models(models::Models),
    Health(health::Health),
    Events(events::Events),
    Audit(audit::Audit),
    Keys(keys::Keys),
    Usage(Box<usage::Usage>),
    LogLevel(log_level::LogLevel),
    Demo(demo::Demo),
    Config(config::ConfigCommand),
    Completions(completions::Completions),
}

impl CommandLine {
    /// How much is logged, and in which form. `.env` has a say: it lies beside the configuration file.
    ///
    /// # Errors
    ///
    /// When a variable does not say what it should; the error names it.
    pub fn log_options(&self, environment: &Environment) -> Result<LogOptions, LogError> {
        let hosting = match &self.command {
            Command::Serve(command) => Some(command.hosting()),
            Command::Dev(command) => Some(command.hosting()),
            _ => None,
        };
        let named = hosting.and_then(|hosting| hosting.config_file(environment)).unwrap_or_default();
        // What is wrong with `.env` is told together with what is wrong elsewhere, once the configuration is read.
        let (environment, _) =
            environment.with_dotenv(&named.with_file_name(".env"), &ConfigFiles::default());
        LogOptions::read(|name| environment.text(name).map(str::to_owned))
    }
}

/// Does what the command line says.
///
/// # Errors
///
/// When it could not be done; the failure knows the exit code.
pub async fn run(command_line: CommandLine, environment: Environment) -> Result<u8, Failure> {
    match command_line.command {
        Command::Serve(command) => Box::pin(serve::run(command, environment)).await,
        Command::Dev(command) => Box::pin(dev::run(command, environment)).await,
        Command::Install(command) => Box::pin(install::run(command)).await,
        Command::Plugin(command) => Box::pin(plugin::run(command)).await,
        Command::Provider(command) => Box::pin(provider::run(command)).await,
        Command::Reload(command) => Box::pin(reload::run(command)).await,
        Command::Chat(command) => Box::pin(chat::run(command)).await,
        Command::Models(command) => Box::pin(models::run(command)).await,
        Command::Health(command) => Box::pin(health::run(command)).await,
        Command::Events(command) => Box::pin(events::run(command)).await,
        Command::Audit(command) => Box::pin(audit::run(command)).await,
        Command::Keys(command) => Box::pin(keys::run(command)).await,
        Command::Usage(command) => Box::pin(usage::run(*command)).await,
        Command::LogLevel(command) => Box::pin(log_level::run(command)).await,
        Command::Demo(command) => Box::pin(demo::run(command)).await,
        Command::Config(command) => config::run(command, environment),
        Command::Completions(command) => Ok(completions::run(&command)),
    }
}

/// A variable of the environment; an empty one says nothing, as it comes from templates that were not filled in.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_level_of_help_has_an_example() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("patchbay "), "{} has no example", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&CommandLine::command());
    }
}

//! `patchbay plugin`: what can be done with one plugin.

mod check;
mod install;
mod list;
mod new;
mod switch;
mod test;

use clap::{Args, Subcommand};

use super::Failure;

/// Write, check, test, install and switch plugins
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  patchbay plugin new hello\n  patchbay plugin check plugins/custom/libmock.so\n  patchbay plugin list"
)]
pub(super) struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::New),
    Check(check::Check),
    Test(test::Test),
    Install(install::Install),
    List(list::List),
    Enable(switch::Enable),
    Disable(switch::Disable),
}

pub(super) async fn run(command: Plugin) -> Result<u8, Failure> {
    match command.command {
        Command::New(command) => new::run(&command),
        Command::Check(command) => check::run(&command).await,
        Command::Test(command) => test::run(command).await,
        Command::Install(command) => install::run(command).await,
        Command::List(command) => list::run(command).await,
        Command::Enable(command) => switch::enable(command).await,
        Command::Disable(command) => switch::disable(command).await,
    }
}

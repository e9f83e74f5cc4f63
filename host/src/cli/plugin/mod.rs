//! `patchbay plugin`: what can be done with one plugin.

mod check;

use clap::{Args, Subcommand};

use super::Failure;

/// Work on one plugin
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Example:\n  patchbay plugin check target/release/libmock.so"
)]
pub(super) struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
}

pub(super) async fn run(command: Plugin) -> Result<u8, Failure> {
    match command.command {
        Command::Check(command) => check::run(&command).await,
    }
}

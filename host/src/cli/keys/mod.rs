//! `patchbay keys`: the keys that a running host gives out.

mod create;
mod list;
mod revoke;
mod set;

use clap::{Args, Subcommand};

use super::Failure;

/// Give out keys for a running host, list, change and revoke them
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  patchbay keys create web-team --model 'groq/*' --expires-in 90d\n  patchbay keys list\n  \
patchbay keys set key_1f6f0a4c2b9d8e77 --budget-per-day 10\n  \
patchbay keys revoke key_1f6f0a4c2b9d8e77\n\nOnce there was a key, applications need one, on this machine too, \
unless server.open says otherwise."
)]
pub(super) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Create),
    List(list::List),
    Set(set::Set),
    Revoke(revoke::Revoke),
}

pub(super) async fn run(command: Keys) -> Result<u8, Failure> {
    match command.command {
        Command::Create(command) => create::run(command).await,
        Command::List(command) => list::run(command).await,
        Command::Set(command) => set::run(command).await,
        Command::Revoke(command) => revoke::run(command).await,
    }
}

//! `patchbay keys`: the keys that a running host gives out.

mod create;
mod list;
mod revoke;
mod rotate;
mod set;

use clap::{Args, Subcommand};
use serde::Deserialize;

use super::Failure;
use super::remote::Remote;

/// Give out keys for a running host, list, change, rotate and revoke them
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  patchbay keys create web-team --model 'groq/*' --expires-in 90d\n  patchbay keys list\n  \
patchbay keys set key_1f6f0a4c2b9d8e77 --budget-per-day 10\n  \
patchbay keys rotate key_1f6f0a4c2b9d8e77\n  patchbay keys revoke key_1f6f0a4c2b9d8e77\n\nOnce there was a key, applications need one, on this machine too, \
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
    Rotate(rotate::Rotate),
    Revoke(revoke::Revoke),
}

pub(super) async fn run(command: Keys) -> Result<u8, Failure> {
    match command.command {
        Command::Create(command) => create::run(command).await,
        Command::List(command) => list::run(command).await,
        Command::Set(command) => set::run(command).await,
        Command::Rotate(command) => rotate::run(command).await,
        Command::Revoke(command) => revoke::run(command).await,
    }
}

/// What all ids begin with.
const IDS: &str = "key_";

/// The id of a key that is named by it, or by a name that no other has. What looks like an id is taken for one: of a key
/// that was revoked the host may know more than its list shows.
pub(super) async fn id_of(remote: &Remote, wanted: &str) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Keys {
        keys: Vec<Key>,
    }
    #[derive(Deserialize)]
    struct Key {
        id: String,
        name: String,
    }
    if wanted.starts_with(IDS) {
        return Ok(wanted.to_owned());
    }
    let (_, Keys { keys }) = remote.read("/api/keys").await?;
    let mut ids: Vec<String> = keys.into_iter().filter(|key| key.name == wanted).map(|key| key.id).collect();
    match (ids.pop(), ids.is_empty()) {
        (Some(id), true) => Ok(id),
        (Some(last), false) => {
            ids.push(last);
            let (count, ids) = (ids.len(), ids.join(", "));
            Err(Failure::bad_input(format!("{count} keys are called {wanted:?}: name one by its id ({ids})")))
        }
        (None, _) => Err(Failure::bad_input(format!(
            "no key has the id or name {wanted:?}: `patchbay keys list` shows those that there are"
        ))),
    }
}

//! `patchbay provider`: the providers of a running host.

mod add;
mod assign;
mod key;
mod list;
mod remove;
mod set;
mod show;

use clap::{Args, Subcommand};

use serde::Deserialize;

use super::{Failure, output};
use crate::config::ConfigProblem;
use crate::segment::segment;

/// List, add, change and remove the providers of a running host
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  patchbay provider list\n  patchbay provider set mock priority=10"
)]
pub(super) struct Provider {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Show(show::Show),
    Add(add::Add),
    Set(set::Set),
    Remove(remove::Remove),
}

pub(super) async fn run(command: Provider) -> Result<u8, Failure> {
    match command.command {
        Command::List(command) => list::run(command).await,
        Command::Show(command) => show::run(command).await,
        Command::Add(command) => add::run(command).await,
        Command::Set(command) => set::run(command).await,
        Command::Remove(command) => remove::run(command).await,
    }
}

/// What the host remarks on a provider that it has made or changed.
#[derive(Deserialize)]
struct Remarks {
    #[serde(default)]
    warnings: Vec<ConfigProblem>,
}

fn note_remarks(answer: &[u8]) {
    // A host of another version may answer otherwise; the change is made all the same.
    let warnings =
        serde_json::from_slice(answer).map_or_else(|_| Vec::new(), |Remarks { warnings }| warnings);
    warnings.iter().for_each(|warning| output::note(&format!("warning: {warning}")));
}

fn path(name: &str) -> String {
    format!("/api/providers/{}", segment(name))
}

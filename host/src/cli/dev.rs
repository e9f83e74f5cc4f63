//! `patchbay dev`: serve, and keep the plugins built.

use std::path::PathBuf;

use clap::Args;

use super::failure::chain;
use super::hosting::Hosting;
use super::{Failure, output, serve};
use crate::app::AppOptions;
use crate::config::Environment;
use crate::dev::{self, Places, Work, Workshop};

/// Build the plugins, serve them, and swap each in again when its source changes
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Dev {
    /// A plugin crate, or a folder of them [default: plugins/builtin and plugins/custom]
    #[arg(value_name = "DIR")]
    dirs: Vec<PathBuf>,

    #[command(flatten)]
    hosting: Hosting,
}

const EXAMPLES: &str = "\
Examples:
  patchbay dev                 every crate under plugins/
  patchbay dev ../my-plugin    one crate, wherever it is

A library is staged in the folder that its crate is in; that of a single crate in its own target folder.
What does not compile is shown, and the previous library goes on serving.";

impl Dev {
    pub(super) fn hosting(&self) -> &Hosting {
        &self.hosting
    }
}

pub(super) async fn run(command: Dev, environment: Environment) -> Result<u8, Failure> {
    let mut options = command.hosting.options(environment);
    let here = std::env::current_dir()
        .map_err(|error| Failure::failed(format!("the working directory is not there: {error}")))?;
    let places = Places::new(&command.dirs, &here)
        .map_err(|(dir, error)| Failure::bad_input(format!("{}: {error}", dir.display())))?;

    let found = places.find().await?;
    found.problems.iter().for_each(|problem| output::note(problem));
    let mut workshop = Workshop::open(places, found.crates)
        .await
        .map_err(|error| Failure::failed(format!("sources cannot be watched: {error}")))?;
    if workshop.crates().is_empty() {
        output::note("no plugin crates here yet: `patchbay dev` builds those with crate-type = [\"cdylib\"]");
    }
    tell(&dev::build(workshop.crates(), |_| true).await?);
    add_staging_folders(&mut options, &workshop, &Places::standard(&here));

    let building = tokio::spawn(async move {
        loop {
            match workshop.next().await {
                Ok((work, problems)) => {
                    problems.iter().for_each(|problem| output::note(problem));
                    tell(&work);
                }
                Err(error) => output::note(&format!("error: {}", chain(&error))),
            }
        }
    });
    let served = serve::serve(AppOptions { watch: true, development: true, ..options }).await;
    building.abort();
    served
}

/// The host is told of the plugin directories that it would not look into by itself.
fn add_staging_folders(options: &mut AppOptions, workshop: &Workshop, standard: &[PathBuf]) {
    for plugin in workshop.crates() {
        if !standard.contains(&plugin.staging) && !options.plugin_dirs.contains(&plugin.staging) {
            options.plugin_dirs.push(plugin.staging.clone());
        }
    }
}

fn tell(work: &[Work]) {
    for work in work {
        output::note(&work.to_string());
    }
}

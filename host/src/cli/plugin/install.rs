//! `patchbay plugin install`: a library, checked, into the folder of a host, and into the host if it runs.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use reqwest::Method;

use super::check;
use crate::cli::Failure;
use crate::cli::output::{self, Paint};
use crate::cli::progress;
use crate::cli::reload::Report;
use crate::cli::remote::{Remote, RemoteArgs};
use crate::dev::{Staged, stage};
use crate::plugins::manifest::{Manifest, PluginId};
use crate::plugins::{self, read_manifest};

/// Check a library, put it where a host looks, and have a running host load it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay plugin install target/release/libhello.so
  patchbay plugin install libhello.so --dir /srv/patchbay

A library that does not pass `patchbay plugin check` is refused. The one that it replaces serves until the reload, \
and finishes what it has begun.")]
pub(super) struct Install {
    /// The library
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Which of the folders in plugins/
    #[arg(long, value_enum, default_value_t = Folder::Custom)]
    to: Folder,

    /// The folder that the host runs in [default: the working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    dir: PathBuf,

    /// Replace a file even if that one is another plugin, or a newer version of this one
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Folder {
    Builtin,
    Custom,
}

pub(super) async fn run(command: Install) -> Result<u8, Failure> {
    let file = &command.file;
    let Some(name) = file.file_name().filter(|_| file.is_file()) else {
        return Err(Failure::bad_input(format!("{} is no file", file.display())));
    };
    if !command.dir.is_dir() {
        return Err(Failure::bad_input(format!("{} is no folder", command.dir.display())));
    }
    // Before anything is changed: a wrong address is no reason to have half of the work done.
    let remote = Remote::new(command.remote)?;
    let report = progress::shown("checking", plugins::check_file(file)).await;
    if !report.passed() {
        output::line(&check::render(&report, Paint::for_stdout()));
        return Err(Failure::failed("it was not installed: a host would refuse it"));
    }
    // What has passed can be read again, unless it has changed meanwhile.
    let Some(new) = read_manifest(file) else {
        return Err(Failure::failed(format!("{} has changed while it was checked", file.display())));
    };
    let folder = command.dir.join("plugins").join(command.to.name());
    if !command.force {
        may_replace(&new, &folder.join(name))?;
    }
    match stage(file, &folder) {
        Ok(Staged::Replaced(path)) => output::line(&format!("installed as {}", path.display())),
        Ok(Staged::UpToDate) => output::line("these very bytes are installed already"),
        Err(error) => {
            return Err(Failure::failed(format!("{} cannot be written: {error}", folder.display())));
        }
    }
    reload(&remote, &new.id).await
}

/// Installing over an older version is what this command is for; anything else may be a mistake.
fn may_replace(new: &Manifest, place: &Path) -> Result<(), Failure> {
    let refuse = |reason: String| {
        Err(Failure::bad_input(format!("{} {reason}: --force replaces it all the same", place.display())))
    };
    match read_manifest(place) {
        Some(old) if old.id != new.id => refuse(format!("is another plugin, \"{}\"", old.id)),
        Some(old) if old.version > new.version => {
            refuse(format!("is version {}, newer than {}", old.version, new.version))
        }
        // Nothing that a host could use is lost.
        _ => Ok(()),
    }
}

async fn reload(remote: &Remote, plugin: &PluginId) -> Result<u8, Failure> {
    let address = remote.address();
    if !remote.is_there().await? {
        output::note(&format!(
            "no host runs at {address}: it will be loaded when one starts, or by `patchbay reload --url` where one runs \
             elsewhere"
        ));
        return Ok(0);
    }
    let report = Report::read(&remote.send(Method::POST, "/api/providers/reload").await?)?;
    output::line(&report.render(false, Paint::for_stdout()));
    if !report.has_seen(plugin.as_str()) {
        return Err(Failure::failed(format!(
            "the host at {address} does not look there: name the folder that it runs in with --dir"
        )));
    }
    let (_, plugin) = remote.read::<Installed>(&format!("/api/plugins/{plugin}")).await?;
    if plugin.state == "unused" {
        output::note(&format!("no provider uses it yet: {}", new_provider(&plugin.id)));
    }
    Ok(if report.is_ok() { 0 } else { 1 })
}

/// As far as it matters here.
#[derive(Debug, serde::Deserialize)]
struct Installed {
    id: String,
    state: String,
}

/// How a plugin comes to be used.
fn new_provider(id: &str) -> String {
    format!(
        "patchbay provider add {id} --plugin {id}, or \"{id}\": {{}} under \"plugins\" in plugin_config.json"
    )
}

impl Folder {
    fn name(self) -> &'static str {
        match self {
            Folder::Builtin => "builtin",
            Folder::Custom => "custom",
        }
    }
}

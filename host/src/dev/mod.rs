//! The workshop of plugin authors: builds their crates, and builds them again when a source changes.
//!
//! It ends where a library lies in a plugin directory. That the host notices and swaps it in is the host's own
//! watching, the same as for a library that came from anywhere else.

// 1. Which crates there are.
mod crates;
// 2. How they are built.
mod cargo;
mod environment;
// 3. Where the libraries go.
mod stage;
// 4. And where everything goes that an installation has.
mod ship;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::cargo::CargoError;
use self::cargo::OWN_PROFILE;
pub use self::crates::{Found, Places, PluginCrate};
pub use self::ship::{Artefacts, Change, Placed, ShipError, lay_out};
pub use self::stage::{Staged, stage};
use crate::plugins::watch::{WatchOptions, Watcher};

/// What became of one crate.
#[derive(Debug)]
pub struct Work {
    pub name: String,
    pub version: String,
    pub result: Result<Staged, Trouble>,
}

#[derive(Debug)]
pub enum Trouble {
    /// The compiler has said why, on stderr.
    DoesNotBuild,
    NotStaged(io::Error),
}

/// Builds crates and stages every library that differs from the staged one. Tells about those that are wanted.
///
/// The other crates of a workspace are built along with one that is wanted. They are up to date, so it costs
/// nothing; but cargo chooses features of dependencies for all that it builds together, and crates that are built
/// once together and once alone would have their dependencies compiled twice.
///
/// # Errors
///
/// When cargo cannot be run at all.
pub async fn build(
    crates: &[PluginCrate],
    wanted: impl Fn(&PluginCrate) -> bool,
) -> Result<Vec<Work>, CargoError> {
    let workspaces: BTreeSet<&Path> =
        crates.iter().filter(|plugin| wanted(plugin)).map(|plugin| plugin.workspace.as_path()).collect();
    let mut done = Vec::new();
    for workspace in workspaces {
        let members = || crates.iter().filter(|plugin| plugin.workspace == workspace);
        let libraries =
            cargo::build(workspace, members().map(|plugin| plugin.package_id.as_str()), OWN_PROFILE).await?;
        for plugin in members().filter(|plugin| wanted(plugin)) {
            let library = libraries.get(&plugin.package_id).cloned();
            done.push(Work {
                name: plugin.name.clone(),
                version: plugin.version.clone(),
                result: stage_built(library, plugin.staging.clone()).await,
            });
        }
    }
    Ok(done)
}

/// Builds one crate and leaves its library where cargo puts it; none if it does not build.
///
/// # Errors
///
/// When cargo cannot be run.
pub async fn library(plugin: &PluginCrate) -> Result<Option<PathBuf>, CargoError> {
    let mut libraries =
        cargo::build(&plugin.workspace, [plugin.package_id.as_str()].into_iter(), OWN_PROFILE).await?;
    Ok(libraries.remove(&plugin.package_id))
}

async fn stage_built(library: Option<PathBuf>, staging: PathBuf) -> Result<Staged, Trouble> {
    let library = library.ok_or(Trouble::DoesNotBuild)?;
    // Copying and syncing wait for the disk.
    let staged = tokio::task::spawn_blocking(move || stage(&library, &staging)).await;
    staged.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(Trouble::NotStaged)
}

/// Plugin crates, and the watch over their sources.
#[derive(Debug)]
pub struct Workshop {
    places: Places,
    crates: Vec<PluginCrate>,
    sources: Watcher,
}

impl Workshop {
    /// Watches from before the first build: an edit during it is not lost.
    ///
    /// # Errors
    ///
    /// When the watch cannot be started.
    pub async fn open(places: Places, crates: Vec<PluginCrate>) -> io::Result<Workshop> {
        let sources = watch(&places, &crates).await?;
        Ok(Workshop { places, crates, sources })
    }

    pub fn crates(&self) -> &[PluginCrate] {
        &self.crates
    }

    /// Waits until sources change, builds what is made from them, and tells what became of it.
    ///
    /// # Errors
    ///
    /// When cargo cannot be run; the next change is a new attempt.
    pub async fn next(&mut self) -> Result<(Vec<Work>, Vec<String>), CargoError> {
        let changed = self.sources.changed().await.files;
        let (mut problems, mut new) = (Vec::new(), Vec::new());
        // A crate may have come, gone, got another dependency, or be in the making.
        let is_known = |file: &PathBuf| self.crates.iter().any(|plugin| plugin.is_made_from(file));
        if changed.iter().any(|file| file.ends_with("Cargo.toml") || !is_known(file)) {
            (problems, new) = self.find_again().await?;
        }
        let is_affected = |plugin: &PluginCrate| {
            changed.iter().any(|file| plugin.is_made_from(file)) || new.contains(&plugin.folder)
        };
        Ok((build(&self.crates, is_affected).await?, problems))
    }

    /// Gives what could not be looked at, and the folders of crates that were not known before.
    async fn find_again(&mut self) -> Result<(Vec<String>, Vec<PathBuf>), CargoError> {
        let mut found = self.places.find().await?;
        let new = found.crates.iter().map(|plugin| plugin.folder.clone());
        let new = new.filter(|folder| !self.crates.iter().any(|known| known.folder == *folder)).collect();
        if !found.problems.is_empty() {
            // A manifest in the middle of an edit takes no crate away.
            let is_missing =
                |known: &&PluginCrate| !found.crates.iter().any(|plugin| plugin.folder == known.folder);
            let missing: Vec<_> = self.crates.iter().filter(is_missing).cloned().collect();
            found.crates.extend(missing);
        }
        if found.crates != self.crates {
            // The new watch starts before the build that follows: what changes in between is built again.
            self.sources = watch(&self.places, &found.crates).await.map_err(CargoError::Run)?;
            self.crates = found.crates;
        }
        Ok((found.problems, new))
    }
}

async fn watch(places: &Places, crates: &[PluginCrate]) -> io::Result<Watcher> {
    let dependencies: BTreeSet<&PathBuf> = crates.iter().flat_map(|plugin| &plugin.dependencies).collect();
    let sources = dependencies.iter().map(|folder| folder.join("src"));
    let workspaces: BTreeSet<&PathBuf> = crates.iter().map(|plugin| &plugin.workspace).collect();
    Watcher::start(WatchOptions {
        // Whole folders: a crate that is made while this runs is one more to build.
        trees: places.trees().cloned().chain(sources).collect(),
        files: dependencies.iter().chain(&workspaces).map(|folder| folder.join("Cargo.toml")).collect(),
        // Somebody is waiting, and an editor writes a file at once.
        settle: Duration::from_millis(200),
        ..WatchOptions::default()
    })
    .await
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.name, self.version)?;
        match &self.result {
            Ok(Staged::Replaced(path)) => write!(f, "built, staged as {}", path.display()),
            Ok(Staged::UpToDate) => f.write_str("up to date"),
            Err(Trouble::DoesNotBuild) => f.write_str("does not build, the previous library stays"),
            Err(Trouble::NotStaged(error)) => {
                write!(f, "built but not staged, the previous library stays: {error}")
            }
        }
    }
}

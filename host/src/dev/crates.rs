//! Finds plugin crates: those with a cdylib, in the folders where plugins lie or in folders that were named.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::cargo::{self, CargoError, Package, Workspace};

/// Where crates are looked for.
#[derive(Debug, Clone)]
pub struct Places {
    /// Folders of crates; each is a plugin directory of the host, too.
    folders: Vec<PathBuf>,
    /// Crates that were named themselves.
    crates: Vec<PathBuf>,
}

/// One crate that makes a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginCrate {
    pub name: String,
    pub version: String,
    /// The plugin directory its library goes to.
    pub staging: PathBuf,
    pub(super) package_id: String,
    pub(super) workspace: PathBuf,
    pub(super) folder: PathBuf,
    /// Folders of the crates of this machine that it is made from besides itself.
    pub(super) dependencies: Vec<PathBuf>,
}

/// What was found, and what could not be looked at.
#[derive(Debug, Default)]
pub struct Found {
    pub crates: Vec<PluginCrate>,
    pub problems: Vec<String>,
}

impl Places {
    /// The named directories, each a crate or a folder of crates; without names, the plugin folders of the
    /// working directory.
    ///
    /// # Errors
    ///
    /// When a named directory cannot be entered.
    pub fn new(named: &[PathBuf], working_directory: &Path) -> Result<Places, (PathBuf, io::Error)> {
        let standard = Places::standard(working_directory);
        if named.is_empty() {
            return Ok(Places { folders: standard, crates: Vec::new() });
        }
        let mut places = Places { folders: Vec::new(), crates: Vec::new() };
        for directory in named {
            // Canonical, because the paths that cargo and the file system tell are compared with it.
            let found = directory.canonicalize().map_err(|error| (directory.clone(), error))?;
            if found.join("Cargo.toml").exists() {
                places.crates.push(found);
            } else {
                places.folders.push(found);
            }
        }
        Ok(places)
    }

    /// The folders that the host looks into without being told.
    pub fn standard(working_directory: &Path) -> Vec<PathBuf> {
        let folders = ["plugins/builtin", "plugins/custom"].map(|folder| working_directory.join(folder));
        folders.map(|folder| folder.canonicalize().unwrap_or(folder)).into()
    }

    /// Whether there are crates in them: then it is sources that somebody has here.
    pub fn hold_crates(folders: &[PathBuf]) -> bool {
        let listed = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
        listed.flatten().any(|entry| entry.path().join("Cargo.toml").is_file())
    }

    pub(super) fn trees(&self) -> impl Iterator<Item = &PathBuf> {
        self.folders.iter().chain(&self.crates)
    }

    /// Asks cargo about every manifest in these places.
    ///
    /// # Errors
    ///
    /// When cargo cannot be run at all; a manifest that it cannot read is a problem of that crate alone.
    pub async fn find(&self) -> Result<Found, CargoError> {
        let mut found = Found::default();
        let mut workspaces: Vec<Workspace> = Vec::new();
        for folder in self.candidates() {
            let manifest = folder.join("Cargo.toml");
            if package(&workspaces, &manifest).is_none() {
                match cargo::metadata(&manifest).await {
                    Ok(workspace) => workspaces.push(workspace),
                    Err(error @ CargoError::Manifest { .. }) => found.problems.push(error.to_string()),
                    Err(error) => return Err(error),
                }
            }
            let Some((workspace, package)) = package(&workspaces, &manifest) else { continue };
            if package.is_plugin() {
                found.crates.push(self.plugin(&folder, workspace, package));
            } else if self.crates.contains(&folder) {
                let name = &package.name;
                found
                    .problems
                    .push(format!("{name} makes no plugin: its [lib] needs crate-type = [\"cdylib\"]"));
            }
        }
        Ok(found)
    }

    fn candidates(&self) -> BTreeSet<PathBuf> {
        // A folder that is not there yet may come, and one that cannot be read holds nothing to build.
        let listed = self.folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
        let crates = listed.filter_map(|entry| Some(entry.ok()?.path()));
        crates.filter(|path| path.join("Cargo.toml").is_file()).chain(self.crates.iter().cloned()).collect()
    }

    fn plugin(&self, folder: &Path, workspace: &Workspace, package: &Package) -> PluginCrate {
        let parent = folder.parent().filter(|parent| self.folders.iter().any(|folder| folder == parent));
        // A crate somewhere on the disk: what lies beside it is none of ours to load.
        let staging = parent.map_or_else(|| workspace.target_directory.join("patchbay"), Path::to_path_buf);
        PluginCrate {
            name: package.name.clone(),
            version: package.version.clone(),
            staging,
            package_id: package.id.clone(),
            workspace: workspace.root.clone(),
            folder: folder.to_path_buf(),
            dependencies: package
                .dependencies
                .iter()
                .filter_map(|dependency| dependency.path.clone())
                .collect(),
        }
    }
}

impl PluginCrate {
    /// Whether it has to be built again when this file changes.
    pub(super) fn is_made_from(&self, file: &Path) -> bool {
        self.dependencies.iter().chain([&self.folder]).any(|folder| file.starts_with(folder))
    }
}

fn package<'a>(workspaces: &'a [Workspace], manifest: &Path) -> Option<(&'a Workspace, &'a Package)> {
    workspaces.iter().find_map(|workspace| {
        let package = workspace.packages.iter().find(|package| package.manifest_path == manifest)?;
        Some((workspace, package))
    })
}

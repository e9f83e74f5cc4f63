//! An installation: one folder that runs from anywhere, made from a checkout.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::cargo::{self, CargoError};
use super::crates::{Places, PluginCrate};
use super::stage::{Staged, place, prepare};

/// How the host is built, and how its libraries: for speed, and for size.
const PROFILES: [&str; 2] = ["dist", "plugin"];

/// The package and the program.
const HOST: &str = "patchbay";

/// The one of `plugins/custom` that comes with the host: without any key, it is who answers.
const EXAMPLE: &str = "mock";

/// Files of the checkout, and where they go. They are the installation's: the next one replaces them.
const FILES: [(&str, &str); 5] = [
    ("plugin_config.schema.json", "plugin_config.schema.json"),
    (".env.example", ".env.example"),
    ("host/share/patchbay.service", "share/patchbay.service"),
    ("host/share/patchbay.socket", "share/patchbay.socket"),
    ("host/share/Containerfile", "share/Containerfile"),
];

/// The operator's own once it is there.
const CONFIGURATION: &str = "plugin_config.json";

/// Why there is no installation.
#[derive(Debug, Error)]
pub enum ShipError {
    /// Somewhere else.
    #[error("{} is no checkout of Patchbay: run it in one, it builds the host and the plugins there", .0.display())]
    NoCheckout(PathBuf),
    /// The compiler has said why.
    #[error("{0} does not build: nothing was installed")]
    DoesNotBuild(String),
    /// Cargo.
    #[error(transparent)]
    Cargo(#[from] CargoError),
    /// What is there stays as it was; what was written before is complete.
    #[error(
        "{} cannot be written: let the user who installs write there, or install as root; what was written before is \
         complete, and the same command goes on from there",
        path.display()
    )]
    NotWritten {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What was built.
#[derive(Debug)]
pub struct Artefacts {
    /// The program.
    pub program: PathBuf,
    /// The libraries that come with it.
    pub libraries: Vec<PathBuf>,
}

/// What became of one file.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Placed {
    /// Within the installation.
    pub path: PathBuf,
    /// In one word.
    pub change: Change,
}

/// See [`Placed`].
#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new, or has taken the place of another one.
    Written,
    /// It was there already, to the byte.
    Same,
    /// It is the operator's, whatever stands in it.
    Kept,
}

impl Artefacts {
    /// Builds everything as it is shipped, with the compiler's words on stderr.
    ///
    /// # Errors
    ///
    /// When anything does not build.
    pub async fn build(checkout: &Path) -> Result<Self, ShipError> {
        let is_checkout = FILES.iter().all(|(from, _)| checkout.join(from).is_file());
        if !is_checkout {
            return Err(ShipError::NoCheckout(checkout.to_owned()));
        }
        let [for_host, for_plugins] = PROFILES;
        let failed = |name: &str| ShipError::DoesNotBuild(name.to_owned());
        let places = Places::new(&[], checkout).map_err(|(path, _)| ShipError::NoCheckout(path))?;
        let found = places.find().await?;
        let crates: Vec<&PluginCrate> = found.crates.iter().filter(|plugin| is_shipped(plugin)).collect();
        let program = cargo::program(checkout, HOST, for_host).await?.ok_or_else(|| failed("the host"))?;
        let packages = crates.iter().map(|plugin| plugin.package_id.as_str());
        let mut built = cargo::build(checkout, packages, for_plugins).await?;
        let library =
            |plugin: &&PluginCrate| built.remove(&plugin.package_id).ok_or_else(|| failed(&plugin.name));
        let libraries = crates.iter().map(library).collect::<Result<_, _>>()?;
        Ok(Self { program, libraries })
    }
}

fn is_shipped(plugin: &PluginCrate) -> bool {
    plugin.staging.ends_with("plugins/builtin") || plugin.name == EXAMPLE
}

/// Makes or updates an installation, file by file: each is replaced as a whole, and a host that runs keeps those that
/// it has open. The operator's configuration and libraries are not touched.
///
/// # Errors
///
/// When a file cannot be written.
pub fn lay_out(artefacts: &Artefacts, checkout: &Path, to: &Path) -> Result<Vec<Placed>, ShipError> {
    let mut files = Vec::new();
    for library in &artefacts.libraries {
        let name = library.file_name().unwrap_or_default();
        files.push((library.clone(), Path::new("plugins/builtin").join(name), 0o644));
    }
    files.extend(FILES.map(|(from, path)| (checkout.join(from), path.into(), 0o644)));
    files.push((checkout.join(CONFIGURATION), CONFIGURATION.into(), 0o644));
    // Last: who starts it finds everything else.
    files.push((artefacts.program.clone(), "bin/patchbay".into(), 0o755));

    let not_written = |path: &Path, source| ShipError::NotWritten { path: path.to_owned(), source };
    for folder in ["", "bin", "share", "plugins", "plugins/builtin"].map(|folder| to.join(folder)) {
        prepare(&folder).map_err(|source| not_written(&folder, source))?;
    }
    let custom = to.join("plugins/custom");
    if !custom.exists() {
        prepare(&custom).map_err(|source| not_written(&custom, source))?;
    }
    let mut placed = Vec::new();
    for (from, path, mode) in files {
        let target = to.join(&path);
        let is_kept = path == Path::new(CONFIGURATION) && fs::symlink_metadata(&target).is_ok();
        let change = if is_kept {
            Change::Kept
        } else {
            match place(&from, &target, mode).map_err(|source| not_written(&target, source))? {
                Staged::Replaced(_) => Change::Written,
                Staged::UpToDate => Change::Same,
            }
        };
        placed.push(Placed { path, change });
    }
    Ok(placed)
}

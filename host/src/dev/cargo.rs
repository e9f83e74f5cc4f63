//! Cargo, asked what crates there are and told to build them.

use std::collections::BTreeMap;
use std::env::consts::DLL_SUFFIX;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::environment;

#[derive(Debug, Error)]
pub enum CargoError {
    #[error(
        "cargo was not found: plugins are built with the Rust toolchain, get it from https://rustup.rs; libraries \
         that are built already are served by `patchbay serve --watch`"
    )]
    NotInstalled,
    #[error("cargo could not be run")]
    Run(#[source] io::Error),
    #[error("cargo cannot read {}", manifest.display())]
    Manifest { manifest: PathBuf },
    #[error("cargo's answer cannot be read; this host understands cargo 1.77 and later")]
    Answer(#[source] serde_json::Error),
}

/// The workspace that a manifest belongs to, as `cargo metadata` tells it.
#[derive(Debug, Deserialize)]
pub(super) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(super) root: PathBuf,
    pub(super) target_directory: PathBuf,
    pub(super) packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) manifest_path: PathBuf,
    pub(super) targets: Vec<Target>,
    pub(super) dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    name: String,
    pub(super) crate_types: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    /// Where it lies, when it comes from this machine.
    pub(super) path: Option<PathBuf>,
}

/// One line of `cargo build --message-format=json`; of the many kinds, only libraries are of interest.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

/// Fails when a manifest cannot be read; cargo has then said why on stderr.
pub(super) async fn metadata(manifest: &Path) -> Result<Workspace, CargoError> {
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"]).arg(manifest);
    let output = command.stderr(Stdio::inherit()).output().await.map_err(not_run)?;
    if !output.status.success() {
        return Err(CargoError::Manifest { manifest: manifest.into() });
    }
    serde_json::from_slice(&output.stdout).map_err(CargoError::Answer)
}

/// The profile of the running binary: its dependencies are built already, and a plugin in a host made for debugging is
/// there to be debugged.
pub(super) const OWN_PROFILE: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

/// Builds packages of one workspace and gives the library of each that could be built, by package id.
///
/// What the compiler says goes to stderr as it comes.
pub(super) async fn build(
    workspace: &Path,
    packages: impl Iterator<Item = &str>,
    profile: &str,
) -> Result<BTreeMap<String, PathBuf>, CargoError> {
    let mut command = in_workspace(workspace, profile);
    // One crate that does not compile does not keep the others from it.
    command.args(["--lib", "--keep-going"]);
    for package in packages {
        command.args(["--package", package]);
    }
    run(command, library_in).await
}

/// Builds a package's program of the same name; none if it does not build.
pub(super) async fn program(
    workspace: &Path,
    package: &str,
    profile: &str,
) -> Result<Option<PathBuf>, CargoError> {
    let mut command = in_workspace(workspace, profile);
    command.args(["--package", package, "--bin", package]);
    let mut programs = run(command, program_in).await?;
    Ok(programs.remove(package))
}

fn in_workspace(workspace: &Path, profile: &str) -> Command {
    let mut command = cargo();
    command.args(["build", "--message-format=json-render-diagnostics", "--profile", profile]);
    command.arg("--manifest-path").arg(workspace.join("Cargo.toml"));
    command
}

/// Runs a build to its end; what there is in the lines it writes.
async fn run(
    mut command: Command,
    found_in: fn(&str) -> Option<(String, PathBuf)>,
) -> Result<BTreeMap<String, PathBuf>, CargoError> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(not_run)?;
    let mut found = BTreeMap::new();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await.map_err(CargoError::Run)? {
            found.extend(found_in(&line));
        }
    }
    // Its exit code says that something failed; which crate did is known from what is missing.
    child.wait().await.map_err(CargoError::Run)?;
    Ok(found)
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    let own_folder = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_path_buf()));
    command.env_clear().envs(environment::without_cargo_run(std::env::vars_os(), own_folder.as_deref()));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn not_run(error: io::Error) -> CargoError {
    match error.kind() {
        io::ErrorKind::NotFound => CargoError::NotInstalled,
        _ => CargoError::Run(error),
    }
}

/// Package id and library of a line that reports one.
fn library_in(line: &str) -> Option<(String, PathBuf)> {
    // Build scripts and newer cargos may print lines of any other shape.
    let message: Message = serde_json::from_str(line).ok()?;
    let is_library = message.reason == "compiler-artifact" && message.target?.is_plugin();
    let is_dynamic = |path: &PathBuf| path.to_str().is_some_and(|path| path.ends_with(DLL_SUFFIX));
    let library = message.filenames.into_iter().find(is_dynamic);
    library.filter(|_| is_library).map(|library| (message.package_id, library))
}

/// Name and file of a program in a line that reports one.
fn program_in(line: &str) -> Option<(String, PathBuf)> {
    let message: Message = serde_json::from_str(line).ok()?;
    Some((message.target?.name, message.executable?))
}

impl Package {
    pub(super) fn is_plugin(&self) -> bool {
        self.targets.iter().any(Target::is_plugin)
    }
}

impl Target {
    fn is_plugin(&self) -> bool {
        self.crate_types.iter().any(|kind| kind == "cdylib")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_found_among_cargos_messages() {
        let line = format!(
            r#"{{"reason":"compiler-artifact","package_id":"path+file:///p/mock#1.0.0","manifest_path":"/p/mock/Cargo.toml",
            "target":{{"kind":["cdylib","rlib"],"crate_types":["cdylib","rlib"],"name":"mock","src_path":"/p/mock/src/lib.rs"}},
            "filenames":["/t/debug/libmock.rlib","/t/debug/libmock{DLL_SUFFIX}"],"executable":null,"fresh":true}}"#
        );
        let library = PathBuf::from(format!("/t/debug/libmock{DLL_SUFFIX}"));
        assert_eq!(library_in(&line), Some(("path+file:///p/mock#1.0.0".into(), library)));
    }

    #[test]
    fn other_messages_are_skipped() {
        for line in [
            "",
            "warning: something a build script printed",
            r#"{"reason":"build-finished","success":false}"#,
            r#"{"reason":"compiler-artifact","package_id":"serde","target":{"crate_types":["lib"]},"filenames":["/t/libserde.rlib"]}"#,
            r#"{"reason":"compiler-artifact","package_id":"m","target":{"crate_types":["proc-macro"]},"filenames":["/t/libm.so"]}"#,
        ] {
            assert_eq!(library_in(line), None, "{line}");
        }
    }
}

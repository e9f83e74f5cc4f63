//! The loader's own pipeline on one file, for people who want to know before they ship it.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::advice::{Advice, advise, advise_on_features};
use super::copy;
use super::examine::stays;
use super::file::{self, FileContents, FileRules};
use super::inspect::{Inspection, inspect};
use super::manifest::Manifest;
use super::platform::Platform;
use super::probe::{self, Subject};
use super::problem::{Problem, Step};
use super::resolve::{Member, Offer, resolve};

/// What became of every step, in the order in which they were taken.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckReport {
    /// The file that was checked.
    pub file: PathBuf,
    /// The steps, up to the first that failed.
    pub steps: Vec<CheckStep>,
    /// What it could do better, where it could be read.
    pub advice: Vec<Advice>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckStep {
    /// Which.
    pub step: Step,
    /// Whether it was passed.
    pub outcome: Result<(), Problem>,
}

impl Serialize for CheckReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("CheckReport", 4)?;
        report.serialize_field("file", &self.file.display().to_string())?;
        report.serialize_field("passed", &self.passed())?;
        report.serialize_field("steps", &self.steps)?;
        report.serialize_field("advice", &self.advice)?;
        report.end()
    }
}

impl Serialize for CheckStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut step = serializer.serialize_struct("CheckStep", 3)?;
        step.serialize_field("step", &self.step)?;
        step.serialize_field("passed", &self.outcome.is_ok())?;
        step.serialize_field("problem", &self.outcome.as_ref().err())?;
        step.end()
    }
}

/// Takes a file through discovery and validation without a running host.
pub async fn check_file(path: &Path) -> CheckReport {
    let mut report = CheckReport { file: path.to_owned(), steps: Vec::new(), advice: Vec::new() };
    // The report says all there is to say.
    let _ = report.run(path).await;
    report
}

/// What the manifest in a file says, without running any of it; none where it cannot be read.
pub fn read_manifest(path: &Path) -> Option<Manifest> {
    let platform = Platform::host();
    let content = file::read(path, &FileRules::default()).ok()?;
    let inspection = inspect(&content.bytes, &platform).ok()?;
    Manifest::parse(&inspection.manifest_json, &platform).ok()
}

impl CheckReport {
    /// Whether every step was passed.
    pub fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.outcome.is_ok())
    }

    fn note<T>(&mut self, step: Step, outcome: Result<T, Problem>) -> Option<T> {
        let (outcome, value) = match outcome {
            Ok(value) => (Ok(()), Some(value)),
            Err(problem) => (Err(problem), None),
        };
        self.steps.push(CheckStep { step, outcome });
        value
    }

    async fn run(&mut self, path: &Path) -> Option<()> {
        let platform = Platform::host();
        let content = file::read(path, &FileRules::default()).map_err(|error| error.problem());
        let content = self.note(Step::File, content)?;
        let inspection = inspect(&content.bytes, &platform).map_err(|error| error.problem());
        let inspection = self.note(Step::Read, inspection)?;
        self.advice = advise(&content.bytes, &inspection);
        let manifest = Manifest::parse(&inspection.manifest_json, &platform).map_err(|error| error.problem());
        let manifest = self.note(Step::Metadata, manifest)?;
        self.advice.extend(advise_on_features(&manifest.supported_features));
        self.note(Step::Requires, requirements(&manifest))?;
        self.note(Step::Probe, try_out(&content, &inspection, &manifest).await)
    }
}

/// What it asks of the host. Which other plugins there will be is known only where it is installed.
fn requirements(manifest: &Manifest) -> Result<(), Problem> {
    let requires: Vec<String> =
        manifest.requires.iter().filter(|text| !text.trim_start().starts_with("plugin:")).cloned().collect();
    let member = Member { id: &manifest.id, version: &manifest.version, requires: &requires, refused: false };
    resolve(&[member], &Offer::of_this_host())
        .into_iter()
        .collect::<Result<(), _>>()
        .map_err(|error| error.problem())
}

async fn try_out(
    content: &FileContents,
    inspection: &Inspection,
    manifest: &Manifest,
) -> Result<(), Problem> {
    let scratch = Scratch::new("check")?;
    let probed = async {
        let stored = copy::store(&scratch.cache(), &manifest.id, 0, content);
        let copy = stored.map_err(|error| error.problem())?;
        let mut sample = manifest.config_defaults.clone();
        sample.extend(manifest.sample_config.clone().unwrap_or_default());
        let text = String::from_utf8_lossy(&inspection.manifest_json);
        let subject = Subject {
            copy: &copy,
            plugin: manifest.id.as_str(),
            manifest: &text,
            sample_config: Value::Object(sample),
            close: stays(manifest, inspection).is_none(),
        };
        let probed = probe::probe(Path::new(probe::PROGRAM), subject, Duration::from_secs(5)).await;
        probed.map(drop).map_err(|fault| fault.problem())
    };
    let outcome = probed.await;
    scratch.remove()?;
    outcome
}

/// A folder of this process's own for copies of libraries, as a data directory would be: others may write to the
/// temporary folder itself.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(purpose: &str) -> Result<Self, Problem> {
        let scratch = Self(std::env::temp_dir().join(format!("patchbay-{purpose}-{}", std::process::id())));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&scratch.0);
        made.map_err(|source| scratch.unusable(source))?;
        Ok(scratch)
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.0.join("plugins")
    }

    pub(super) fn remove(self) -> Result<(), Problem> {
        std::fs::remove_dir_all(&self.0).map_err(|source| self.unusable(source))
    }

    fn unusable(&self, source: std::io::Error) -> Problem {
        copy::CopyError::Unusable { dir: self.0.clone(), source }.problem()
    }
}

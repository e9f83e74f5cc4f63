//! Testing a plugin as its author would before it is shipped: against an upstream that follows a script, and that
//! does all that upstreams do, whatever the dialect.
//!
//! The tests run in a child process, which is this very binary started with `__conformance`: a plugin that crashes
//! or never returns is a finding, and a new child goes on behind it. It tells on its standard output what came of
//! each check.

// 1. What upstream says, and what came of it all.
mod captures;
mod report;
// 2. The test stand.
mod child;
mod detour;
mod notices;
mod stand;
mod upstream;
// 3. The checks.
mod checks;
mod conversations;
mod cuts;
mod failures;
mod operations;
mod reloads;
mod subject;
mod words;

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use self::checks::ALL;
use super::check::{self, CheckReport, Scratch};
use super::examine::stays;
use super::file::{self, FileRules};
use super::inspect::inspect;
use super::manifest::Manifest;
use super::platform::Platform;
use super::problem::Problem;
use super::{copy, probe};

pub use captures::{Captures, CapturesError, FOLDER};
pub use child::run_if_asked;
pub use report::{Checked, Outcome, Report, Subject, Summary};

/// The first argument that makes this binary a test's child.
const ASK: &str = "__conformance";

/// The key that the tested provider is given. Nobody may hear of it.
const KEY: &str = "conformance-key-that-nobody-may-see";

/// How long something is waited for that healthy plugins do at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one check may take in all: the largest captures are cut at some ten thousand places.
const CHECK: Duration = Duration::from_secs(300);

/// The name of the check that comes first.
const LOADS: &str = "passes `patchbay plugin check`";

/// What is tested, and with what.
#[derive(Debug)]
pub struct Options {
    /// The library.
    pub file: PathBuf,
    /// What its vendor says.
    pub captures: Captures,
    /// What the provider is configured with beside.
    pub config: Map<String, Value>,
    /// How often it is loaded and unloaded.
    pub reloads: usize,
}

/// What the child is told.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    /// Two private copies: one that stays loaded, and one that comes and goes.
    copies: [PathBuf; 2],
    manifest: String,
    keep: Option<String>,
    captures: Captures,
    config: Map<String, Value>,
    reloads: usize,
    /// How many checks were made already.
    skip: usize,
}

/// One line from the child.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// What came of the next check.
    Done(Outcome),
    /// It can make no check at all, and why.
    Unusable(String),
}

/// Tests a library. Each check is told as soon as it was made.
pub async fn test(options: &Options, mut told: impl FnMut(&Checked)) -> Report {
    let mut report = Report {
        file: options.file.display().to_string(),
        plugin: None,
        checks: Vec::new(),
        summary: Summary::default(),
    };
    let mut tell = |name: &str, outcome: Outcome, report: &mut Report| {
        let checked = Checked { name: name.to_owned(), outcome };
        told(&checked);
        report.checks.push(checked);
    };
    let checked = check::check_file(&options.file).await;
    let prepared = if checked.passed() {
        prepare(options).map_err(|problem| said(&problem))
    } else {
        Err(failed(&checked))
    };
    match prepared {
        Err(finding) => {
            tell(LOADS, Outcome::failed(finding), &mut report);
            for check in ALL {
                tell(check.name(), Outcome::not_tested("no host would load it"), &mut report);
            }
        }
        Ok((mut question, manifest, scratch)) => {
            report.plugin =
                Some(Subject { id: manifest.id.to_string(), version: manifest.version.to_string() });
            tell(LOADS, Outcome::Passed, &mut report);
            while let Some(check) = ALL.get(question.skip) {
                // A child that ends too early has been stopped by the check it was at, or could not even begin.
                let made = run_child(&mut question, |check, outcome| tell(check, outcome, &mut report)).await;
                if let Err(finding) = made {
                    tell(check_at(&question).unwrap_or(check.name()), Outcome::failed(finding), &mut report);
                    question.skip += 1;
                }
            }
            // What stays in the temporary folder says nothing of the plugin.
            let _ = scratch.remove();
        }
    }
    report.summary = Summary::of(&report.checks);
    report
}

fn check_at(question: &Question) -> Option<&'static str> {
    ALL.get(question.skip).map(|check| check.name())
}

/// The step that failed, as `plugin check` says it.
fn failed(report: &CheckReport) -> String {
    let problem = report.steps.iter().find_map(|step| step.outcome.as_ref().err());
    problem.map(said).unwrap_or_default()
}

fn said(problem: &Problem) -> String {
    format!("{}: {}; {}", problem.step.word(), problem.message, problem.hint)
}

fn prepare(options: &Options) -> Result<(Question, Manifest, Scratch), Problem> {
    let platform = Platform::host();
    let content = file::read(&options.file, &FileRules::default()).map_err(|error| error.problem())?;
    let inspection = inspect(&content.bytes, &platform).map_err(|error| error.problem())?;
    let manifest = Manifest::parse(&inspection.manifest_json, &platform).map_err(|error| error.problem())?;
    let scratch = Scratch::new("test")?;
    let store = |number| {
        let stored = copy::store(&scratch.cache(), &manifest.id, number, &content);
        stored.map_err(|error| error.problem())
    };
    let copies = match store(0).and_then(|first| Ok([first, store(1)?])) {
        Ok(copies) => copies,
        Err(problem) => {
            scratch.remove()?;
            return Err(problem);
        }
    };
    let question = Question {
        copies,
        manifest: String::from_utf8_lossy(&inspection.manifest_json).into_owned(),
        keep: stays(&manifest, &inspection).map(str::to_owned),
        captures: options.captures.clone(),
        config: options.config.clone(),
        reloads: options.reloads,
        skip: 0,
    };
    Ok((question, manifest, scratch))
}

/// Runs a child until it ends, and moves on in the question with every check that it has made. An error says how it
/// ended in the middle of one.
async fn run_child(
    question: &mut Question,
    mut made: impl FnMut(&'static str, Outcome),
) -> Result<(), String> {
    let not_started = |error: std::io::Error| format!("the test's own process could not be started: {error}");
    let mut child = spawn(question).await.map_err(not_started)?;
    let Some(output) = child.stdout.take() else {
        return Err("the test's own process says nothing".to_owned());
    };
    let mut lines = BufReader::new(output).lines();
    loop {
        match next_line(&mut lines).await {
            Ok(Some(Line::Done(outcome))) => {
                if let Some(name) = check_at(question) {
                    made(name, outcome);
                }
                question.skip += 1;
            }
            Ok(Some(Line::Unusable(why))) => {
                // What is wrong is wrong with everything.
                while let Some(name) = check_at(question) {
                    made(name, Outcome::failed(why.clone()));
                    question.skip += 1;
                }
            }
            Ok(None) if question.skip == ALL.len() => return Ok(()),
            Ok(None) => return Err(ended(&mut child).await),
            Err(slow) => {
                // Nobody waits for it any more.
                let _ = child.start_kill();
                return Err(slow);
            }
        }
    }
}

async fn spawn(question: &Question) -> std::io::Result<Child> {
    let mut child = Command::new(probe::PROGRAM)
        .arg(ASK)
        .arg(std::process::id().to_string())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&serde_json::to_vec(question)?).await?;
    }
    Ok(child)
}

/// The next line; none at the end, and an error when it takes too long.
async fn next_line(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<Option<Line>, String> {
    match tokio::time::timeout(CHECK, lines.next_line()).await {
        Err(_) => {
            Err(format!("it did not return within {CHECK:?}: wait with the host's services, and never block"))
        }
        Ok(line) => Ok(line.ok().flatten().and_then(|line| serde_json::from_str(&line).ok())),
    }
}

async fn ended(child: &mut Child) -> String {
    match child.wait().await {
        Ok(status) => how(status),
        Err(error) => format!("the test's own process is lost: {error}"),
    }
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            format!("it crashed ({}): a host would have ended here", probe::signal_name(signal))
        }
        (_, code) => format!("it ended the process (exit status {})", code.unwrap_or(-1)),
    }
}

/// Where a crate's captures lie, if it has some.
pub fn folder_of(krate: &Path) -> Option<PathBuf> {
    Some(krate.join(FOLDER)).filter(|folder| folder.is_dir())
}

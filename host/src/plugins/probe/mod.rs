//! Trying a library out in a short-lived process of its own, so that one that crashes, hangs or lies takes
//! nothing with it.
//!
//! The child is this very binary, started with `__probe`. It opens the copy that will be loaded, and writes a line
//! before each step: the last line tells what a child that died was doing. It filters crashes; it is no security
//! boundary, as the child may do whatever the host's user may.

mod child;
mod fault;
mod lines;
mod script;

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use fault::Refusal;
use lines::Lines;

pub use child::run_if_asked;
pub(super) use child::{die_with, end, own_standard_output};
pub use fault::ProbeFault;
pub(super) use lines::signal_name;

/// This very program, also when its file was replaced since it was started.
pub const PROGRAM: &str = "/proc/self/exe";

/// The first argument that makes this binary a probe.
const ASK: &str = "__probe";

/// What parent and child must agree on. A binary that was replaced on disk never runs: the child is started from
/// the parent's own image. This guards against being embedded in a program that is no probe.
const HELLO: &str = concat!("patchbay-probe 1 ", env!("CARGO_PKG_VERSION"));

/// All that a child may write, so that it never waits for its parent: what a pipe holds on a system that is short
/// of memory for pipes.
const ROOM: usize = 4096;

/// What the child is told.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    /// The private copy. Not as text: a path may be any bytes.
    path: OsString,
    /// The manifest as it was read from the file.
    manifest: String,
    plugin: String,
    sample_config: serde_json::Value,
    /// Whether to unload it again: not when it says that it must stay.
    close: bool,
}

/// What the child answers, when it comes to that.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// Nothing speaks against it.
    Good(Findings),
    /// It does not fit, and this is why.
    Refused { code: Refusal, message: String },
}

/// What is worth knowing of a library that passed.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Findings {
    /// Why it must not be unmapped, found out by trying.
    pub(super) keep: Option<String>,
}

/// The steps of the child. Their words are what a report says when the child died in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Starting,
    Constructors,
    Header,
    Layout,
    Describe,
    Create,
    Call,
    Cancel,
    Drop,
    Destructors,
}

impl Stage {
    fn during(self) -> &'static str {
        match self {
            Self::Starting => "before the library was opened",
            Self::Constructors => "in the library's constructors, before its header was read",
            Self::Header => "while its header was read",
            Self::Layout => "while its layout was checked",
            Self::Describe => "while it described itself",
            Self::Create => "while it made a provider from its sample configuration",
            Self::Call => "while it answered a first request",
            Self::Cancel => "while a request was cancelled",
            Self::Drop => "while its provider was dropped",
            Self::Destructors => "in the library's destructors",
        }
    }
}

/// One line from the child.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Hello(String),
    Stage(Stage),
    Verdict(Verdict),
}

/// What to try out.
pub(super) struct Subject<'a> {
    pub(super) copy: &'a Path,
    pub(super) plugin: &'a str,
    pub(super) manifest: &'a str,
    pub(super) sample_config: serde_json::Value,
    pub(super) close: bool,
}

/// Tries the library out. Called on a thread that lives long: the child dies with the thread that started it.
pub(super) async fn probe(
    program: &Path,
    subject: Subject<'_>,
    patience: Duration,
) -> Result<Findings, ProbeFault> {
    let question = Question {
        path: subject.copy.into(),
        manifest: subject.manifest.to_owned(),
        plugin: subject.plugin.to_owned(),
        sample_config: subject.sample_config,
        close: subject.close,
    };
    let (mut output, written_by_child) = std::io::pipe().map_err(ProbeFault::Spawn)?;
    let asked = question_file(&question).map_err(ProbeFault::Spawn)?;
    let mut child = Command::new(program)
        .arg(ASK)
        .arg(std::process::id().to_string())
        .arg(patience.as_secs().to_string())
        .env_clear()
        .current_dir("/")
        .stdin(asked)
        .stdout(written_by_child)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(ProbeFault::Spawn)?;
    // Its lines fit into the pipe, so they are read when it has ended, and nobody is woken for each of them.
    let ended = tokio::time::timeout(patience, child.wait()).await;
    let lines = Lines::read(&mut output).map_err(ProbeFault::Spawn)?;
    match ended {
        Err(_) => Err(ProbeFault::Hung { patience, during: lines.stage().during() }),
        Ok(Err(error)) => Err(ProbeFault::Spawn(error)),
        Ok(Ok(status)) => lines.verdict(status),
    }
}

/// The question as the child's standard input. In memory, and there before the child is: neither waits for the
/// other.
fn question_file(question: &Question) -> std::io::Result<File> {
    // SAFETY: the name is a C string, and a new descriptor is this file's alone.
    let mut file = unsafe {
        match libc::memfd_create(c"question".as_ptr(), libc::MFD_CLOEXEC) {
            -1 => return Err(std::io::Error::last_os_error()),
            descriptor => File::from_raw_fd(descriptor),
        }
    };
    file.write_all(&serde_json::to_vec(question)?)?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_is_told_any_path() {
        use std::os::unix::ffi::OsStringExt as _;
        let question = Question {
            path: OsString::from_vec(b"/data \xff\n/1.so".to_vec()),
            manifest: String::new(),
            plugin: String::new(),
            sample_config: serde_json::Value::Null,
            close: true,
        };
        let asked: Question = serde_json::from_reader(question_file(&question).unwrap()).unwrap();
        assert_eq!(asked.path, question.path);
    }
}

//! Trying a library out in a short-lived process of its own, so that one that crashes, hangs or lies takes
//! nothing with it.
//!
//! The child is this very binary, started with `__probe`. It opens the copy that will be loaded, and writes a line
//! before each step: the last line tells what a child that died was doing. It filters crashes; it is no security
//! boundary, as the child may do whatever the host's user may.

mod child;
mod script;

use std::ffi::OsString;
use std::fs::File;
use std::io::{PipeReader, Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::problem::{Problem, Step};

pub use child::run_if_asked;

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

/// Why the child refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refusal {
    Unloadable,
    NotAPlugin,
    NoLayout,
    Layout,
    ManifestDiffers,
    Panicked,
    Stuck,
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

/// Why a library was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ProbeFault {
    /// The child could not be started.
    #[error("the probe process could not be started")]
    Spawn(#[source] std::io::Error),
    /// This program has no probe in it.
    #[error("the host's own program did not answer as a probe")]
    NoProbe,
    /// The child died of a signal.
    #[error("it crashed ({signal}) {during}")]
    Crashed {
        /// The signal's name.
        signal: String,
        /// In which step.
        during: &'static str,
    },
    /// The child was ended from outside, or before it had begun.
    #[error("the probe process was killed ({signal}) {during}")]
    Killed {
        /// The signal's name.
        signal: String,
        /// In which step.
        during: &'static str,
    },
    /// The child ended without a verdict.
    #[error("it ended the process (exit status {status}) {during}")]
    Exited {
        /// The exit code.
        status: i32,
        /// In which step.
        during: &'static str,
    },
    /// The child took too long.
    #[error("it did not return within {patience:?} {during}")]
    Hung {
        /// How long was waited.
        patience: Duration,
        /// In which step.
        during: &'static str,
    },
    /// The child came to a verdict.
    #[error("{message}")]
    Refused {
        /// Machine-readable.
        code: &'static str,
        /// The child's words.
        message: String,
        /// How to mend it.
        hint: &'static str,
    },
}

impl ProbeFault {
    /// Whether trying the same bytes again would say the same. Not so where the system was short of something, or
    /// does not have a library yet that this one needs.
    pub(super) fn speaks_of_the_library(&self) -> bool {
        let unloadable = Refusal::Unloadable.words().0;
        match self {
            Self::Spawn(_) | Self::NoProbe | Self::Killed { .. } => false,
            Self::Refused { code, .. } => *code != unloadable,
            Self::Crashed { .. } | Self::Exited { .. } | Self::Hung { .. } => true,
        }
    }

    /// As it is reported.
    pub(super) fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::Spawn(_) => ("probe_not_started", "give the host's user room for another process"),
            Self::NoProbe => ("probe_missing", "call patchbay::plugins::probe::run_if_asked first in main"),
            Self::Crashed { .. } => {
                ("probe_crashed", "run the library's own tests, under a debugger if need be")
            }
            Self::Killed { .. } => {
                ("probe_killed", "see in the system's log whether memory ran out, and reload to try again")
            }
            Self::Exited { .. } => ("probe_exited", "a plugin must not end the process it runs in"),
            Self::Hung { .. } => {
                ("probe_hung", "a plugin must not block or spin: wait through the host's services")
            }
            Self::Refused { code, hint, .. } => (*code, *hint),
        };
        Problem::new(Step::Probe, code, self, hint)
    }
}

impl Refusal {
    fn words(self) -> (&'static str, &'static str) {
        const REBUILD: &str = "rebuild it with the export macro of patchbay-plugin-api 1.x";
        match self {
            Self::Unloadable => ("not_loadable", "ldd FILE shows what it needs and does not find"),
            Self::NotAPlugin => ("not_a_plugin", REBUILD),
            Self::NoLayout => ("no_layout", REBUILD),
            Self::Layout => ("layout_differs", REBUILD),
            Self::ManifestDiffers => ("manifest_differs", REBUILD),
            Self::Panicked => ("panicked", "mend the panic; the host's log has its place in the source"),
            Self::Stuck => ("not_dropped", "a plugin must let go of everything when its provider is dropped"),
        }
    }
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

/// The child's lines, as far as they came.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// What is there now. Not to the end of the pipe: a process that the plugin started may hold it open.
    fn read(from: &mut PipeReader) -> std::io::Result<Self> {
        // SAFETY: a plain system call on a descriptor that is open.
        if unsafe { libc::fcntl(from.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } == -1 {
            return Err(std::io::Error::last_os_error());
        }
        let mut lines = Vec::new();
        match from.take(ROOM as u64).read_to_end(&mut lines) {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(Self(lines)),
        }
    }

    fn each(&self) -> impl Iterator<Item = Line> {
        self.0.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
    }

    fn stage(&self) -> Stage {
        let stages =
            self.each().filter_map(|line| if let Line::Stage(stage) = line { Some(stage) } else { None });
        stages.last().unwrap_or(Stage::Starting)
    }

    fn verdict(&self, status: ExitStatus) -> Result<Findings, ProbeFault> {
        use std::os::unix::process::ExitStatusExt as _;
        let begun = self.each().any(|line| matches!(line, Line::Hello(hello) if hello == HELLO));
        let during = self.stage().during();
        match status.signal() {
            Some(signal) if !begun => {
                return Err(ProbeFault::Killed { signal: signal_name(signal), during: "before it began" });
            }
            // Nobody crashes of this one: it is how a system that is short of memory makes room.
            Some(signal @ libc::SIGKILL) => {
                return Err(ProbeFault::Killed { signal: signal_name(signal), during });
            }
            Some(signal) => return Err(ProbeFault::Crashed { signal: signal_name(signal), during }),
            None if !begun => return Err(ProbeFault::NoProbe),
            None => {}
        }
        let verdict =
            self.each().find_map(|line| if let Line::Verdict(verdict) = line { Some(verdict) } else { None });
        match verdict {
            Some(Verdict::Good(findings)) if status.success() => Ok(findings),
            Some(Verdict::Refused { code, message }) => {
                let (code, hint) = code.words();
                Err(ProbeFault::Refused { code, message, hint })
            }
            _ => Err(ProbeFault::Exited { status: status.code().unwrap_or(-1), during }),
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGABRT => "SIGABRT",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGSYS => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
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

    #[test]
    fn an_end_from_outside_is_not_the_librarys_fault() {
        use std::os::unix::process::ExitStatusExt as _;
        let said = |lines: &[Line]| {
            let lines = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n");
            Lines(lines.collect::<String>().into_bytes())
        };
        let hello = || Line::Hello(HELLO.to_owned());
        let refused = |code| Line::Verdict(Verdict::Refused { code, message: "so".to_owned() });
        let (killed, crashed) = (libc::SIGKILL, libc::SIGSEGV);
        for (lines, status, expected, remembered) in [
            (said(&[]), killed, "the probe process was killed (SIGKILL) before it began", false),
            (said(&[]), crashed, "the probe process was killed (SIGSEGV) before it began", false),
            (said(&[]), 0, "the host's own program did not answer as a probe", false),
            (
                said(&[hello(), Line::Stage(Stage::Call)]),
                killed,
                "the probe process was killed (SIGKILL) while it answered a first request",
                false,
            ),
            (
                said(&[hello(), Line::Stage(Stage::Call)]),
                crashed,
                "it crashed (SIGSEGV) while it answered a first request",
                true,
            ),
            (said(&[hello(), refused(Refusal::Unloadable)]), 0, "so", false),
            (said(&[hello(), refused(Refusal::Layout)]), 0, "so", true),
        ] {
            let fault = lines.verdict(ExitStatus::from_raw(status)).unwrap_err();
            assert_eq!((fault.to_string().as_str(), fault.speaks_of_the_library()), (expected, remembered));
        }
    }

    #[test]
    fn lines_are_read_while_somebody_still_holds_the_pipe() {
        let (mut output, mut held) = std::io::pipe().unwrap();
        held.write_all(b"{\"stage\":\"call\"}\n{\"sta").unwrap();
        assert_eq!(Lines::read(&mut output).unwrap().stage(), Stage::Call);
        assert_eq!(Lines::read(&mut output).unwrap().stage(), Stage::Starting);
        drop(held);
        assert_eq!(Lines::read(&mut output).unwrap().stage(), Stage::Starting);
    }
}

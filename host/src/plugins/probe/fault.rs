//! Why a library was not accepted, and what its author or the operator does about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plugins::problem::{Problem, ProblemCode, Step};

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
        code: ProblemCode,
        /// The child's words.
        message: String,
        /// How to mend it.
        hint: &'static str,
    },
}

impl ProbeFault {
    /// Whether trying the same bytes again would say the same. Not so where the system was short of something, or
    /// does not have a library yet that this one needs.
    pub(in crate::plugins) fn speaks_of_the_library(&self) -> bool {
        let unloadable = Refusal::Unloadable.words().0;
        match self {
            Self::Spawn(_) | Self::NoProbe | Self::Killed { .. } => false,
            Self::Refused { code, .. } => *code != unloadable,
            Self::Crashed { .. } | Self::Exited { .. } | Self::Hung { .. } => true,
        }
    }

    /// As it is reported.
    pub(in crate::plugins) fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::Spawn(_) => (ProblemCode::ProbeNotStarted, "give the host's user room for another process"),
            Self::NoProbe => {
                (ProblemCode::ProbeMissing, "call patchbay::plugins::probe::run_if_asked first in main")
            }
            Self::Crashed { .. } => {
                (ProblemCode::ProbeCrashed, "run the library's own tests, under a debugger if need be")
            }
            Self::Killed { .. } => (
                ProblemCode::ProbeKilled,
                "see in the system's log whether memory ran out, and reload to try again",
            ),
            Self::Exited { .. } => (ProblemCode::ProbeExited, "a plugin must not end the process it runs in"),
            Self::Hung { .. } => {
                (ProblemCode::ProbeHung, "a plugin must not block or spin: wait through the host's services")
            }
            Self::Refused { code, hint, .. } => (*code, *hint),
        };
        Problem::new(Step::Probe, code, self, hint)
    }
}

/// Why the child refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refusal {
    Unloadable,
    NotAPlugin,
    NoLayout,
    Layout,
    ManifestDiffers,
    Panicked,
    Stuck,
}

impl Refusal {
    pub(super) fn words(self) -> (ProblemCode, &'static str) {
        const REBUILD: &str = "rebuild it with the export macro of patchbay-plugin-api 1.x";
        match self {
            Self::Unloadable => (ProblemCode::NotLoadable, "ldd FILE shows what it needs and does not find"),
            Self::NotAPlugin => (ProblemCode::NotAPlugin, REBUILD),
            Self::NoLayout => (ProblemCode::NoLayout, REBUILD),
            Self::Layout => (ProblemCode::LayoutDiffers, REBUILD),
            Self::ManifestDiffers => (ProblemCode::ManifestDiffers, REBUILD),
            Self::Panicked => {
                (ProblemCode::Panicked, "mend the panic; the host's log has its place in the source")
            }
            Self::Stuck => {
                (ProblemCode::NotDropped, "a plugin must let go of everything when its provider is dropped")
            }
        }
    }
}

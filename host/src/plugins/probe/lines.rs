//! What the child has written, and what it says together with how the child ended.

use std::io::{PipeReader, Read as _};
use std::os::fd::AsRawFd as _;
use std::process::ExitStatus;

use super::{Findings, HELLO, Line, ProbeFault, ROOM, Stage, Verdict};

/// The child's lines, as far as they came.
#[derive(Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// What is there now. Not to the end of the pipe: a process that the plugin started may hold it open.
    pub(super) fn read(from: &mut PipeReader) -> std::io::Result<Self> {
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

    pub(super) fn stage(&self) -> Stage {
        let stages =
            self.each().filter_map(|line| if let Line::Stage(stage) = line { Some(stage) } else { None });
        stages.last().unwrap_or(Stage::Starting)
    }

    pub(super) fn verdict(&self, status: ExitStatus) -> Result<Findings, ProbeFault> {
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

/// As the manual has it.
pub(in crate::plugins) fn signal_name(signal: i32) -> String {
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
    use std::io::Write as _;

    use super::*;
    use crate::plugins::probe::Refusal;

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

//! The host that takes over from this one: the same program, as it is on disk now, with the same arguments.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;
use tracing::{error, info};

/// Makes a host serve in the place of the one that runs.
pub(super) const TAKE_OVER: &str = "--take-over";

/// How to start it. Looked up when this host starts: later the program's file may have another name, or none.
#[derive(Debug)]
pub(super) struct NextHost {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl NextHost {
    pub(super) fn of_this_process() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        // As it was called, for there may be links on the way that are made to lead elsewhere.
        let called = arguments.next().map(PathBuf::from).filter(|name| name.components().count() > 1);
        let program = called.map_or_else(std::env::current_exe, Ok)?;
        let arguments = arguments.filter(|argument| argument != TAKE_OVER);
        Ok(Self { program, arguments: arguments.chain([TAKE_OVER.into()]).collect() })
    }

    /// Starts it. What becomes of it is its own matter, or the log's.
    pub(super) fn start(&self) {
        let started = Command::new(&self.program).args(&self.arguments).stdin(Stdio::null()).spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                let program = self.program.display();
                error!(%program, %error, "the host that is to take over cannot be started: this one goes on");
                return;
            }
        };
        info!(process = child.id(), "a host is started that is to take over");
        tokio::spawn(async move {
            // One that has taken over outlives this process, unless yet another has taken over from it meanwhile.
            match child.wait().await {
                Ok(status) if status.success() => {
                    info!("the host that took over has ended, too");
                }
                Ok(status) => {
                    error!(%status, "the host that was to take over has ended; what it said is above");
                }
                Err(_) => {}
            }
        });
    }
}

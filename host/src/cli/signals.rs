//! What the operating system tells a running host.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a host that serves is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Stop(Stop),
    Reload,
    /// Have another one take over.
    Upgrade,
}

/// Asks the host to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Interrupt,
    Terminate,
}

#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    upgrade: Signal,
}

impl Signals {
    /// From here on no signal ends the process by itself.
    pub(super) fn listen() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    pub(super) async fn stop(&mut self) -> Stop {
        stop(&mut self.interrupt, &mut self.terminate).await
    }

    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            stop = stop(&mut self.interrupt, &mut self.terminate) => Wish::Stop(stop),
            _ = self.hang_up.recv() => Wish::Reload,
            _ = self.upgrade.recv() => Wish::Upgrade,
        }
    }
}

async fn stop(interrupt: &mut Signal, terminate: &mut Signal) -> Stop {
    tokio::select! {
        _ = interrupt.recv() => Stop::Interrupt,
        _ = terminate.recv() => Stop::Terminate,
    }
}

impl Stop {
    pub(super) fn name(self) -> &'static str {
        match self {
            Stop::Interrupt => "SIGINT",
            Stop::Terminate => "SIGTERM",
        }
    }

    /// What a shell makes of a process that the signal ended.
    pub(super) fn code(self) -> u8 {
        match self {
            Stop::Interrupt => 130,
            Stop::Terminate => 143,
        }
    }
}

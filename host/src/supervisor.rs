//! What starts and watches the host, where something does: systemd's two protocols, which others speak as well.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::{io, process};

use listenfd::ListenFd;
use rustix::time::{ClockId, clock_gettime};
use tracing::debug;

use crate::config::Environment;

/// Whom to tell how the host does; nobody, mostly.
#[derive(Debug, Default)]
pub struct Supervisor(Option<(UnixDatagram, SocketAddr)>);

impl Supervisor {
    /// The one that the variables name.
    pub fn find(environment: &Environment) -> Self {
        let Some(name) = environment.text("NOTIFY_SOCKET") else { return Self(None) };
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(name),
        };
        let found = address.and_then(|address| Ok((UnixDatagram::unbound()?, address)));
        Self(found.inspect_err(|error| debug!(%error, "there is nobody at NOTIFY_SOCKET")).ok())
    }

    /// It serves.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// It reads its configuration again; [`Self::ready`] says when it has.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reloading"));
    }

    /// It ends what it has begun.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=draining");
    }

    /// From now on the host is that process.
    pub fn succeeded_by(&self, process: i32) {
        self.tell(&format!("MAINPID={process}\nSTATUS=serving"));
    }

    fn tell(&self, what: &str) {
        let Some((socket, address)) = &self.0 else { return };
        if let Err(error) = socket.send_to_addr(what.as_bytes(), address) {
            debug!(%error, "the supervisor was not told");
        }
    }
}

/// The socket that was opened for the host before it was started. Takes the variables that say so away.
///
/// # Errors
///
/// When it is none that connections come from.
pub fn inherited_listener(environment: &Environment) -> io::Result<Option<TcpListener>> {
    // They go on to children, who are not meant.
    if environment.text("LISTEN_PID") != Some(process::id().to_string().as_str()) {
        return Ok(None);
    }
    ListenFd::from_env().take_tcp_listener(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_systemds_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let hears = UnixDatagram::bind(&path).unwrap();
        let heard = || {
            let mut bytes = [0; 200];
            let length = hears.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        };
        let environment = Environment::from_iter([("NOTIFY_SOCKET", path.to_str().unwrap())]);
        let supervisor = Supervisor::find(&environment);
        supervisor.ready();
        assert_eq!(heard(), "READY=1\nSTATUS=serving");
        supervisor.succeeded_by(42);
        assert_eq!(heard(), "MAINPID=42\nSTATUS=serving");
        supervisor.reloading();
        let text = heard();
        let micros = text.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
        assert!(text.starts_with("RELOADING=1\n") && micros.parse::<u64>().unwrap() > 0, "{text}");
        Supervisor::find(&Environment::default()).ready();
    }
}

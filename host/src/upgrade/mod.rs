//! One host takes over from another while both run, and nobody who asks them notices.
//!
//! ```text
//! successor                                predecessor
//! asks on <data>/control.sock       →      lets nothing be changed any more
//!                                   ←      the listening socket and the data directory's lock, as open files
//! loads configuration and plugins          serves
//! "ready"                           →
//!                                   ←      "yours"
//! takes connections, too; "taken"   →      takes none any more, answers the last request of each that it has
//!                                   ←      "rests": it begins nothing any more
//! may be changed                           ends what it has begun, and itself
//! reads what that has left behind
//! ```
//!
//! There is one queue of connections, which both have open: none is lost between them. Until the successor has taken
//! over, its end is all that it takes to have everything as before.
//!
//! Neither is changed by anybody from the first of these lines to "rests". So a key that is revoked, or a provider that
//! is switched off, is so for every request that begins: there is no host any more that does not know it.

// 1. What both say.
mod wire;
// 2. The one that serves.
mod control;
// 3. The one that comes.
mod inherit;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::control::{Control, Estate, Successor, forget};
pub use self::inherit::{Inheritance, Predecessor, TakeOverError, ask};

/// Where a successor asks, within the data directory.
const SOCKET: &str = "control.sock";

/// How long the other side may take for what it does without looking anywhere.
const PROMPT: Duration = Duration::from_secs(30);

/// How long a successor may load. Longer than any library that may be slow and still be used.
const LOADING: Duration = Duration::from_secs(10 * 60);

/// What is handed on, as open files: neither is closed in between.
#[derive(Debug)]
pub struct Handed {
    /// Where connections wait.
    pub listener: TcpListener,
    /// Of the data directory.
    pub lock: File,
    /// Whether it was a supervisor that opened the socket, and not a host.
    pub opened: bool,
}

/// A name within a folder that is short enough for a socket, however deep the folder lies. Good while it is open.
fn within(folder: &File, name: &str) -> PathBuf {
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)
}

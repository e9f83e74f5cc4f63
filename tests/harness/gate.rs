//! A library that takes as long to be loaded as a test likes, so that a reload can be looked at from outside.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Library, PATIENCE, compile};

/// A pipe in place of the file.
pub fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

pub struct Gate(PathBuf);

impl Gate {
    /// The library, and what holds it up. None where there is no C compiler.
    pub fn new(dir: &Path, manifest: &str) -> Option<(Library, Self)> {
        let pipe = dir.join("gate");
        make_pipe(&pipe);
        let library = compile("constructor-waits", manifest, &[&format!("-DPIPE={pipe:?}")])?;
        Some((library, Self(pipe)))
    }

    /// Waits until the library is being loaded, which then goes on for as long as the answer is held.
    pub fn reached(&self) -> File {
        let begun = Instant::now();
        loop {
            // Without waiting: this can be opened once the other end is.
            match OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&self.0) {
                Ok(held) => return held,
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENXIO), "{error}"),
            }
            assert!(begun.elapsed() < PATIENCE, "the library is not being loaded");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

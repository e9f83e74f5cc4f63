//! The host's process: started, listened to, ended.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::eventually;

/// Everything that was written to one of the process's outputs.
type Output = Arc<Mutex<String>>;

pub(super) struct Process {
    child: Child,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    readers: Vec<JoinHandle<()>>,
}

const BINARY: &str = env!("CARGO_BIN_EXE_patchbay");

/// Whom nothing belongs to, on every system that knows of users.
const NOBODY: u32 = 65534;

/// As root, which may read and write everything, runs the binary as somebody who may not. The folder becomes
/// theirs, and gets a copy of the binary, which may lie where only root can go.
fn as_nobody(dir: &Path) -> Command {
    // SAFETY: asks for a number.
    if unsafe { libc::geteuid() } != 0 {
        return Command::new(BINARY);
    }
    let binary = dir.join("patchbay");
    std::fs::copy(BINARY, &binary).unwrap();
    give_away(dir);
    let mut command = Command::new(binary);
    command.uid(NOBODY).gid(NOBODY);
    command
}

/// Lets it open only so many files, unless it asks for more.
fn start_with_open_files(command: &mut Command, limit: u64) {
    let lower = move || {
        let (_, hard) = rlimit::Resource::NOFILE.get()?;
        rlimit::Resource::NOFILE.set(limit, hard)
    };
    // SAFETY: between fork and exec it makes two system calls and nothing else.
    unsafe { command.pre_exec(lower) };
}

fn give_away(path: &Path) {
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
    }
}

impl Process {
    /// Starts the binary, and answers when it listens, with the address; or when it has ended, with its status
    /// and its words.
    pub(super) async fn start(
        dir: &Path,
        arguments: &[&str],
        environment: &[(String, OsString)],
        unprivileged: bool,
        open_files: Option<u64>,
    ) -> Result<(Self, String), (ExitStatus, String)> {
        let mut command = if unprivileged { as_nobody(dir) } else { Command::new(BINARY) };
        if let Some(limit) = open_files {
            start_with_open_files(&mut command, limit);
        }
        let mut child = command
            .args(arguments)
            .current_dir(dir)
            // Nothing of the tester's own: no ADMIN_TOKEN, no keys, no proxies.
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (listening, address) = oneshot::channel();
        let (stdout, stderr) = (Output::default(), Output::default());
        let readers = vec![
            read(child.stdout.take().unwrap(), &stdout, Some(listening)),
            read(child.stderr.take().unwrap(), &stderr, None),
        ];
        let mut process = Self { child, stdout, stderr, readers };
        // The sender goes away with the output: this ends when the process does, at the latest.
        match address.await {
            Ok(address) => Ok((process, address)),
            Err(_) => {
                let status = process.wait().await;
                Err((status, process.everything()))
            }
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The status, if it has ended.
    pub(super) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(super) fn signal(&self, signal: libc::c_int) {
        // SAFETY: a plain system call; the process was not waited for yet, so the id is still its own.
        let sent = unsafe { libc::kill(self.id().cast_signed(), signal) };
        assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
    }

    /// Waits for its end, and for the last it said.
    pub(super) async fn wait(&mut self) -> ExitStatus {
        let status = eventually("the host's end", async || self.status()).await;
        self.join();
        status
    }

    /// Ends it the hard way. Answers with the status it had ended with before, if it had.
    pub(super) fn kill(&mut self) -> Option<ExitStatus> {
        let ended = self.status();
        if ended.is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        self.join();
        ended
    }

    fn join(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
    }

    pub(super) fn log(&self) -> String {
        text(&self.stderr)
    }

    pub(super) fn everything(&self) -> String {
        format!("--- stdout\n{}--- stderr\n{}", text(&self.stdout), text(&self.stderr))
    }
}

fn text(output: &Output) -> String {
    output.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Reads to the end on a thread of its own, and tells the address once it was said.
fn read(
    from: impl Read + Send + 'static,
    to: &Output,
    mut listening: Option<oneshot::Sender<String>>,
) -> JoinHandle<()> {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            if let Some(address) = text.trim_end().strip_prefix("listening on ")
                && let Some(listening) = listening.take()
            {
                // A test that has given up waiting has failed anyway.
                let _ = listening.send(address.to_owned());
            }
            to.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            line.clear();
        }
    })
}

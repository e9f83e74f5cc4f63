//! The host as a process in a folder of its own. It never outlives its value.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::http::Connection;

/// Whatever is waited for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where plugins lie and the host will run.
pub(crate) struct Place {
    dir: TempDir,
    installed: u32,
}

pub(crate) struct Host {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) place: Place,
}

/// What a process takes up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    pub(crate) rss_kib: u64,
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
    /// Libraries of plugins that are mapped.
    pub(crate) mapped: usize,
}

impl Place {
    pub(crate) fn new() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("patchbay-").tempdir()?;
        fs::create_dir_all(dir.path().join("plugins/custom"))?;
        Ok(Self { dir, installed: 0 })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Puts a library in place as deployments should: written beside, then renamed.
    pub(crate) fn install(&mut self, name: &str, library: &[u8]) -> io::Result<()> {
        self.installed += 1;
        let folder = self.dir.path().join("plugins/custom");
        let beside = folder.join(format!(".{}-{name}", self.installed));
        fs::write(&beside, library)?;
        // Whatever the umask is.
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o644))?;
        fs::rename(beside, folder.join(format!("lib{name}.so")))
    }

    /// Starts the host here, and waits until it listens.
    pub(crate) fn serve(self, program: &Path) -> io::Result<Host> {
        let here = self.dir.path();
        let mut child = Command::new(program)
            .args(["serve", "--port", "0"])
            .current_dir(here)
            .env_clear()
            .env("LOG_LEVEL", "warn")
            // Nothing here is about plugins that hang; what is slow because the machine is busy is no such plugin.
            .envs(
                ["PROBE_TIMEOUT", "LOAD_TIMEOUT", "STALL_LIMIT"]
                    .map(|limit| (format!("PATCHBAY__LOADER__{limit}"), PATIENCE.as_secs().to_string())),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(here.join("log"))?)
            .spawn()?;
        let output = child.stdout.take();
        // From here on it is ended whatever happens.
        let mut host = Host { child, address: SocketAddr::from(([0; 4], 0)), place: self };
        // The end of its output ends the loop, so a host that does not start is noticed.
        for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
            if let Some(address) = line?.strip_prefix("listening on http://") {
                host.address = address.parse().map_err(io::Error::other)?;
                return Ok(host);
            }
        }
        Err(io::Error::other(format!("the host did not start: {}", host.log())))
    }
}

impl Host {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    /// One request over a connection of its own, which must succeed.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<Value> {
        let (status, answer) = Connection::open(self.address)?.ask(method, path, body)?;
        if status != 200 {
            return Err(io::Error::other(format!("{method} {path} was answered {status}: {answer}")));
        }
        serde_json::from_str(&answer).map_err(io::Error::other)
    }

    pub(crate) fn reload(&self) -> io::Result<Value> {
        self.ask("POST", "/api/providers/reload", "")
    }

    /// A whole answer's text.
    pub(crate) fn complete(&self, provider: &str, text: &str) -> io::Result<String> {
        let answer = self.ask("POST", "/api/chat/complete", &chat(provider, text))?;
        Ok(answer["response"].as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn footprint(&self) -> io::Result<Footprint> {
        let process = PathBuf::from(format!("/proc/{}", self.id()));
        let status = fs::read_to_string(process.join("status"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
        };
        Ok(Footprint {
            rss_kib: number("VmRSS:"),
            threads: usize::try_from(number("Threads:")).unwrap_or(usize::MAX),
            descriptors: fs::read_dir(process.join("fd"))?.count(),
            mapped: self.mapped()?.len(),
        })
    }

    /// The private copies that are mapped, by plugin and generation.
    pub(crate) fn mapped(&self) -> io::Result<BTreeSet<(String, u64)>> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.id()))?;
        let copies = maps.lines().filter_map(|line| {
            let (plugin, file) = line.split_once("/.patchbay/plugins/")?.1.split_once('/')?;
            Some((plugin.to_owned(), file.split_once('-')?.0.parse().ok()?))
        });
        Ok(copies.collect())
    }

    /// Waits until no generation of the plugin is on its way out, and answers with what is known of it.
    pub(crate) fn settled(&self, plugin: &str) -> io::Result<Value> {
        let begun = Instant::now();
        loop {
            let view = self.ask("GET", &format!("/api/plugins/{plugin}"), "")?;
            if view["draining"].as_array().is_some_and(Vec::is_empty) {
                return Ok(view);
            }
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("still draining: {view:#}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it in good order.
    pub(crate) fn stop(mut self) -> io::Result<ExitStatus> {
        // SAFETY: a plain system call; the child was not waited for yet, so the number is its own.
        if unsafe { libc::kill(self.id().cast_signed(), libc::SIGTERM) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("the host does not end: {}", self.log())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It has ended already, in good tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a chat request.
pub(crate) fn chat(provider: &str, text: &str) -> String {
    serde_json::json!({"provider": provider, "messages": [{"role": "user", "content": text}]}).to_string()
}

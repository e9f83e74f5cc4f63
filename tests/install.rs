//! An installation: laid out, moved, and run by somebody who may change nothing of it, under what the unit forbids.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use patchbay::dev::{Artefacts, Change, lay_out};
use serde_json::{Value, json};

use crate::harness::{Library, client, libraries};
use crate::skip::skip;

const UNIT: &str = "host/share/patchbay.service";

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What `cargo test` has built in the place of what is shipped.
fn artefacts(dir: &Path, mock: &Library) -> Artefacts {
    let mut libraries = vec![mock.clone()];
    libraries.extend(libraries::vendors().map(|(_, library)| library));
    libraries.extend(libraries::translating().map(|(_, library)| library));
    let install = |library: &Library| library.install(dir, &library.file_name());
    Artefacts {
        program: env!("CARGO_BIN_EXE_patchbay").into(),
        libraries: libraries.iter().map(install).collect(),
    }
}

fn is_root() -> bool {
    // SAFETY: asks for a number.
    unsafe { libc::geteuid() == 0 }
}

/// A host out of an installation, in no folder of its own.
struct Installed {
    child: Child,
    address: String,
}

impl Installed {
    fn start(home: &Path, data: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(home.join("bin/patchbay"));
        command.args(["serve", "--port", "0"]).args(arguments).current_dir("/").env_clear();
        command
            .env("PATCHBAY_DATA_DIR", data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if is_root() {
            command.uid(65534).gid(65534);
        }
        // SAFETY: between fork and exec it makes system calls and nothing else.
        unsafe { command.pre_exec(restrict) };
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let Some(address) = first.trim_end().strip_prefix("listening on ") else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("it did not start: {first}{said}");
        };
        let address = address.to_owned();
        // Both are read to the end, so that the host never waits for a reader.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Self { child, address }
    }

    async fn says(&self, text: &str) -> Value {
        let body = json!({ "messages": [{ "role": "user", "content": text }] }).to_string();
        let request = client().post(format!("{}/api/chat/complete", self.address));
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn plugins(&self) -> Value {
        let answer = client().get(format!("{}/api/plugins", self.address)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn ends(mut self) {
        let status = tokio::task::spawn_blocking(move || self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }

    fn terminate(&self) {
        // SAFETY: a plain system call; it was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id().cast_signed(), libc::SIGTERM) }, 0);
    }
}

/// As the unit's `MemoryDenyWriteExecute` and `NoNewPrivileges`, for the host and the probes that it starts.
fn restrict() -> std::io::Result<()> {
    const PR_SET_MDWE: libc::c_int = 65;
    const REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    let none: libc::c_ulong = 0;
    // SAFETY: two system calls that take numbers.
    let outcomes = unsafe {
        [
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as libc::c_ulong, none, none, none),
            libc::prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, none, none, none),
        ]
    };
    let error = std::io::Error::last_os_error();
    // Kernels before 6.3 do not know the second.
    let is_done = outcomes[0] == 0 && (outcomes[1] == 0 || error.raw_os_error() == Some(libc::EINVAL));
    if is_done { Ok(()) } else { Err(error) }
}

/// Belongs to whoever installs it, and may be written by nobody.
fn lock_up(path: &Path) {
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| lock_up(&entry.unwrap().path()));
    }
    let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o555;
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// So that the folder can be removed.
fn unlock(path: &Path) {
    if path.is_dir() {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        std::fs::read_dir(path).unwrap().for_each(|entry| unlock(&entry.unwrap().path()));
    }
}

fn public_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    dir
}

fn private_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    if is_root() {
        std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap();
    }
    dir
}

#[tokio::test]
async fn an_installation_serves_wherever_it_is_moved_and_is_upgraded_while_it_does() {
    let (built, place, data) = (tempfile::tempdir().unwrap(), public_folder(), private_folder());
    let first = place.path().join("first");
    let placed = lay_out(&artefacts(built.path(), &libraries::mock()), &checkout(), &first).unwrap();
    assert!(placed.iter().all(|file| file.change == Change::Written), "{placed:?}");
    let home = place.path().join("deep/down/elsewhere");
    std::fs::create_dir_all(home.parent().unwrap()).unwrap();
    std::fs::rename(&first, &home).unwrap();
    lock_up(&home);

    let host = Installed::start(&home, data.path(), &[]);
    assert_eq!(host.says("hello").await["response"], "You said: hello");
    let plugins = host.plugins().await;
    let plugins = plugins["plugins"].as_array().unwrap();
    assert_eq!(plugins.len(), 10, "{plugins:?}");
    assert!(plugins.iter().all(|plugin| plugin["problem"].is_null()), "{plugins:?}");

    // The next version, over the first, while that one runs.
    unlock(&home);
    let own = json!({ "plugins": { "mock": { "config": { "reply": "mine" } } } }).to_string();
    std::fs::write(home.join("plugin_config.json"), &own).unwrap();
    std::fs::write(home.join("plugins/custom/notes.txt"), "mine").unwrap();
    let next = artefacts(built.path(), &libraries::mock().version("9.0.0"));
    let placed = lay_out(&next, &checkout(), &home).unwrap();
    let changed = |change: Change| {
        let files = placed.iter().filter(move |file| file.change == change);
        files.map(|file| file.path.to_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(changed(Change::Written), ["plugins/builtin/libmock.so"]);
    assert_eq!(changed(Change::Kept), ["plugin_config.json"]);
    assert_eq!(std::fs::read_to_string(home.join("plugin_config.json")).unwrap(), own);
    assert_eq!(std::fs::read_to_string(home.join("plugins/custom/notes.txt")).unwrap(), "mine");
    lock_up(&home);
    assert_eq!(host.says("hello").await["response"], "You said: hello");

    let next = Installed::start(&home, data.path(), &["--take-over"]);
    assert_eq!(next.address, host.address);
    host.ends().await;
    assert_eq!(next.says("hello").await["response"], "mine");
    let plugins = next.plugins().await;
    let mock = plugins["plugins"].as_array().unwrap().iter().find(|plugin| plugin["id"] == "mock").unwrap();
    assert_eq!((&mock["version"], &mock["state"]), (&json!("9.0.0"), &json!("active")), "{mock}");
    next.terminate();
    next.ends().await;
    unlock(&home);
}

#[test]
fn what_is_no_checkout_is_not_built() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_patchbay"))
        .args(["install", "there"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("is no checkout of Patchbay: run it in one"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// With the program where it is installed, for what is said of it is looked at, too.
#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skip("systemd's look at the unit", "apt-get install systemd");
    }
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(checkout().join(UNIT)).unwrap();
    let text = text.replace("/opt/patchbay/bin/patchbay", env!("CARGO_BIN_EXE_patchbay"));
    let unit = dir.path().join("patchbay.service");
    std::fs::write(&unit, &text).unwrap();
    let socket = dir.path().join("patchbay.socket");
    std::fs::copy(checkout().join("host/share/patchbay.socket"), &socket).unwrap();
    let analyze = |arguments: &[&str], files: &[&Path]| {
        let output = Command::new("systemd-analyze").args(arguments).args(files).output().unwrap();
        let said = [&output.stdout, &output.stderr]
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .concat();
        assert!(output.status.success(), "{said}");
        said
    };
    let said = analyze(&["verify"], &[&unit, &socket]);
    assert!(!said.contains("patchbay."), "{said}");
    // Of 10, where less is better, times ten.
    let said = analyze(&["security", "--offline=true", "--no-pager", "--threshold=15"], &[&unit]);
    assert!(said.contains("Overall exposure level"), "{said}");
}

/// Nothing here can build it; but what it names is what an installation has.
#[test]
fn the_container_runs_what_is_installed() {
    let (built, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    lay_out(&artefacts(built.path(), &libraries::mock()), &checkout(), place.path()).unwrap();
    for name in ["host/share/Containerfile", UNIT] {
        let text = std::fs::read_to_string(checkout().join(name)).unwrap();
        let words = text.split(|end: char| end.is_whitespace() || "\",:|=".contains(end));
        let installed: Vec<&str> =
            words.filter_map(|word| word.trim_end_matches('.').strip_prefix("/opt/patchbay/")).collect();
        assert!(installed.contains(&"bin/patchbay"), "{name}: {installed:?}");
        for path in installed {
            assert!(place.path().join(path).exists(), "{name} names {path}");
        }
        // Every command is one that the program knows, with its options.
        let commands: &[&[&str]] = match name {
            UNIT => &[&["serve", "--config", "--drain-timeout"]],
            _ => &[&["serve", "--config", "--drain-timeout"], &["health", "--url"], &["install"]],
        };
        for words in commands {
            let (command, options) = words.split_first().unwrap();
            let help =
                Command::new(env!("CARGO_BIN_EXE_patchbay")).args([command, "--help"]).output().unwrap();
            let help = String::from_utf8_lossy(&help.stdout).into_owned();
            assert!(help.contains("Usage: patchbay"), "{command}: {help}");
            for option in options {
                assert!(text.contains(option) && help.contains(option), "{name}: {command} {option}");
            }
        }
    }
}

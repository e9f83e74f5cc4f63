//! Successors that do not come up, and those who are none: whoever serves goes on.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::harness::{Gate, Host, HostOptions, libraries};

/// A library in C is one without the SDK.
const MANIFEST: &str = crate::broken::IN_C;

fn socket(host: &Host) -> std::path::PathBuf {
    host.dir().join(".patchbay/control.sock")
}

/// Asks as a host does, and does nothing with what it gets.
pub(super) async fn ask_to_take_over(host: &Host) -> impl Sized {
    let mut stream = BufReader::new(UnixStream::connect(socket(host)).await.unwrap());
    stream.write_all(b"{\"take_over\":{\"version\":1}}\n").await.unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["handed"]["providers"].is_array(), "{answer}");
    stream
}

async fn mock_host() -> Host {
    Host::start(HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}))).await
}

/// As if nothing had happened.
async fn goes_on(host: Host) {
    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    let next = super::successor(&host).await;
    host.ends_with(0).await;
    assert_eq!(next.ask("mock", "hello").await.response(), "You said: hello");
    next.stop().await;
}

#[tokio::test]
async fn one_that_is_killed_before_it_is_ready_changes_nothing() {
    let host = mock_host().await;
    let Some((waits, gate)) = Gate::new(host.dir(), MANIFEST) else { return };
    let waits = host.install(&waits, "libwaits.so");
    let mut successor = Command::new(env!("CARGO_BIN_EXE_patchbay"))
        .args(["serve", "--port", "0", "--take-over"])
        .current_dir(host.dir())
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let held = tokio::task::spawn_blocking(move || gate.reached()).await.unwrap();
    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    assert_eq!(host.post("/api/providers/reload").await.json()["code"], "upgrading");
    successor.kill().unwrap();
    successor.wait().unwrap();
    drop(held);
    host.logs("the other host has not taken over", "this one goes on").await;
    std::fs::remove_file(waits).unwrap();
    goes_on(host).await;
}

#[tokio::test]
async fn one_that_comes_while_another_one_is_about_to_take_over_is_told_so() {
    let host = mock_host().await;
    let asked = ask_to_take_over(&host).await;
    let (status, said) = host.succeed(HostOptions::default()).await.err().unwrap();
    assert_eq!(status, Some(1), "{said}");
    let first = format!("another host (process {}) is about to take over", std::process::id());
    assert!(said.contains(&first) && said.contains("try again"), "{said}");
    host.logs("while another one is about to, and was refused", "process=").await;
    drop(asked);
    goes_on(host).await;
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_leaves_the_one_that_serves() {
    let host = mock_host().await;
    for (config, status, expected) in [
        (json!({ "sever": {} }), 78, "did you mean \"server\"?"),
        (json!({ "plugins": { "mock": { "config": { "chunks": 0 } } } }), 1, "do not start here: mock"),
        (json!({ "server": { "host": "192.0.2.1" } }), 78, "there is no admin token"),
    ] {
        host.configure(config);
        let refused = host.succeed(HostOptions::default()).await.err().unwrap();
        assert_eq!(refused.0, Some(status), "{}", refused.1);
        assert!(refused.1.contains(expected), "{expected:?} is not in:\n{}", refused.1);
        assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    }
    host.configure(json!({ "plugins": { "mock": {} } }));
    goes_on(host).await;
}

#[tokio::test]
async fn a_stranger_is_not_heard() {
    let host = mock_host().await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&socket(&host)), mode(&host.dir().join(".patchbay"))), (0o600, 0o700));
    // SAFETY: asks for a number.
    if unsafe { libc::geteuid() } != 0 {
        return crate::skip::skip(
            "a stranger at the control socket",
            "run the tests as root, who can be anybody",
        );
    }
    let may_connect = || {
        let look = format!(
            "import socket; s = socket.socket(socket.AF_UNIX); s.connect({:?}); \
             s.sendall(b'{{\"take_over\":{{\"version\":1}}}}\\n'); print(s.recv(1000))",
            socket(&host)
        );
        let output = as_nobody("python3").args(["-c", &look]).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(may_connect(), (false, String::new()));
    // Should somebody open it up, the other side's user is still looked at.
    for (path, mode) in [(host.dir(), 0o755), (&host.dir().join(".patchbay"), 0o755), (&socket(&host), 0o666)]
    {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let (_, said) = may_connect();
    assert!(!said.contains("handed"), "{said}");
    host.logs("somebody else's process has asked to take over, and was refused", "65534").await;
    goes_on(host).await;
}

fn as_nobody(program: &str) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    command.uid(65534).gid(65534).current_dir("/");
    command
}

//! The host under something that starts and watches it, as systemd does.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::harness::{Host, HostOptions, PATIENCE, client, eventually, libraries};

/// What the host says to whoever watches it, one message after the other.
struct Watching(UnixDatagram);

impl Watching {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    async fn hears(&self, what: &str) -> String {
        let socket = self.0.try_clone().unwrap();
        let text = tokio::task::spawn_blocking(move || {
            let mut bytes = [0; 1000];
            let length = socket.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        });
        let text = text.await.unwrap();
        assert!(text.starts_with(what), "{what:?} was to be heard: {text}");
        text
    }
}

/// A host that is no child of the test's, and must not outlive it.
struct Stranger(i32);

impl Stranger {
    fn signal(&self, signal: libc::c_int) -> bool {
        // SAFETY: a plain system call.
        unsafe { libc::kill(self.0, signal) == 0 }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.signal(libc::SIGKILL);
    }
}

#[tokio::test]
async fn a_signal_starts_the_successor_and_who_watches_is_told() {
    let place = tempfile::tempdir().unwrap();
    let watching = Watching::at(&place.path().join("notify"));
    let options = HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    let mut host = Host::start(options.env("NOTIFY_SOCKET", place.path().join("notify"))).await;
    watching.hears("READY=1").await;
    host.signal(libc::SIGHUP);
    watching.hears("RELOADING=1\nMONOTONIC_USEC=").await;
    watching.hears("READY=1").await;

    let (address, first) = (host.address().to_owned(), host.process_id());
    host.signal(libc::SIGUSR2);
    // Both say something now, in any order.
    let said = [watching.hears("").await, watching.hears("").await];
    let process = said.iter().find_map(|said| said.strip_prefix("MAINPID=")?.lines().next()?.parse().ok());
    let next = Stranger(process.unwrap_or_else(|| panic!("{said:?}")));
    assert!(said.iter().any(|said| said.starts_with("READY=1")), "{said:?}");
    assert_ne!(next.0, first.cast_signed());
    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    eventually("the end of the first", async || (!host.is_alive()).then_some(())).await;

    let answer = client().get(format!("{address}/readyz"));
    assert_eq!(answer.send().await.unwrap().status(), 200);
    assert!(next.signal(libc::SIGTERM));
    watching.hears("STOPPING=1").await;
    // What both write is closed when both have ended.
    host.ends_with(0).await;
}

#[tokio::test]
async fn a_successor_that_cannot_start_is_told_of() {
    let host =
        Host::start(HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}))).await;
    host.configure(json!({ "sever": {} }));
    host.signal(libc::SIGUSR2);
    host.logs("the host that was to take over has ended", "78").await;
    assert!(host.log().contains("did you mean \"server\"?"), "{}", host.log());
    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    host.stop().await;
}

/// The socket is the supervisor's: who connects between two hosts waits for the second.
#[tokio::test]
async fn a_socket_that_was_opened_before_outlives_the_host() {
    let place = tempfile::tempdir().unwrap();
    let plugins = place.path().join("plugins/custom");
    std::fs::create_dir_all(&plugins).unwrap();
    libraries::mock().install(&plugins, "libmock.so");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let client = client();
    let ask = || {
        let body = json!({ "messages": [{ "role": "user", "content": "hello" }] }).to_string();
        let request = client.post(format!("{address}/api/chat")).header("content-type", "application/json");
        let sent = request.body(body).send();
        async { sent.await.unwrap().text().await.unwrap() }
    };
    for _ in 0..2 {
        // Before there is anybody to answer.
        let asked = tokio::spawn(ask());
        let host = start_with(&listener, place.path());
        assert_eq!(asked.await.unwrap(), "You said: hello");
        // Who takes over gets the same socket, and no other, whatever is configured.
        let mut next = Command::new(env!("CARGO_BIN_EXE_patchbay"));
        next.args(["serve", "--port", "1", "--take-over"]).current_dir(place.path()).env_clear();
        let next = next.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        ends_well(host).await;
        assert_eq!(ask().await, "You said: hello");
        // SAFETY: a plain system call; it was not waited for yet.
        assert_eq!(unsafe { libc::kill(next.id().cast_signed(), libc::SIGTERM) }, 0);
        ends_well(next).await;
    }
}

async fn ends_well(mut host: Child) {
    let status = tokio::task::spawn_blocking(move || host.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

/// As the supervisor's child: the socket is its file 3, and its own number stands in its environment.
fn start_with(listener: &TcpListener, dir: &Path) -> Child {
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --port 1";
    Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_patchbay")])
        .current_dir(dir)
        .env_clear()
        .stdin(OwnedFd::from(listener.try_clone().unwrap()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

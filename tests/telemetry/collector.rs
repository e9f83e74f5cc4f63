//! A collector as operators run one, between the host and whoever reads traces: what it cannot read goes no further.

use std::process::Stdio;

use tokio::net::TcpStream;
use tokio::process::Child;

use super::receiver::Receiver;
use crate::clients::{program, python};
use crate::harness::eventually;

/// Others may be quicker to take a port that was free.
const TRIES: usize = 5;

/// See the module. Ends when it is dropped.
pub struct Collector {
    address: String,
    _process: Child,
    _dir: tempfile::TempDir,
}

impl Collector {
    /// One that passes on what it receives. None where it is not installed, which is then said.
    pub async fn before(receiver: &Receiver) -> Option<Self> {
        let mut find = python("rotel").await?;
        find.args([
            "-c",
            "import pathlib, rotel; print(pathlib.Path(rotel.__file__).with_name('rotel-agent'))",
        ]);
        let found = find.output().await.unwrap();
        let agent = String::from_utf8(found.stdout).unwrap();
        for _ in 0..TRIES {
            if let Some(started) = Self::start(agent.trim(), receiver).await {
                return Some(started);
            }
        }
        panic!("the collector {agent} does not start");
    }

    async fn start(agent: &str, receiver: &Receiver) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        // It takes no port of its own choice.
        let [http, grpc] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let mut command = program(agent);
        command.args(["start", "--otlp-http-endpoint", &http, "--otlp-grpc-endpoint", &grpc]);
        command.args(["--exporter", "otlp", "--otlp-exporter-endpoint", receiver.address()]);
        command.args(["--otlp-exporter-protocol", "http"]);
        command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let serves = eventually("the collector serves, or ends", async || {
            let ended = process.try_wait().unwrap().map(|_| false);
            ended.or(TcpStream::connect(&http).await.is_ok().then_some(true))
        });
        if !serves.await {
            return None;
        }
        Some(Self { address: format!("http://{http}"), _process: process, _dir: dir })
    }

    pub fn address(&self) -> &str {
        &self.address
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

//! What the benchmarks share: a loader in this process, as the host has it, and an upstream.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use patchbay::config::LoaderSettings;
use patchbay::plugins::{Cache, Manager, ManagerOptions, ReloadOptions, ReloadReport, ReloadStatus, Sources};
use patchbay::providers::{Provider, Registry};
use patchbay::services::http::HttpClient;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::scenario::host::Place;

/// A loader, and the folder it works in.
pub(crate) struct House {
    pub(crate) manager: Manager,
    pub(crate) registry: Arc<Registry>,
    pub(crate) client: HttpClient,
    pub(crate) place: Place,
}

impl House {
    /// Starts the loader, and loads what lies in the place. The probes are the real program.
    pub(crate) fn start(runtime: &Runtime, place: Place) -> Self {
        let (registry, client) = (Arc::new(Registry::default()), HttpClient::default());
        let base = place.path().to_owned();
        let sources = Sources {
            config_file: base.join("plugin_config.json"),
            config_named: false,
            base: base.clone(),
            ..Sources::default()
        };
        let options = ManagerOptions {
            sources,
            data_dir: base.join(".patchbay"),
            cache: Cache::of(&base.join(".patchbay"), 0),
            settings: LoaderSettings::default(),
            probe_program: Path::new(env!("CARGO_BIN_EXE_patchbay")).to_owned(),
            registry: Arc::clone(&registry),
            client: client.clone(),
            events: Default::default(),
        };
        let manager = runtime.block_on(async { Manager::start(options) }).unwrap();
        let house = Self { manager, registry, client, place };
        let report = runtime.block_on(house.reload(false));
        assert!(!report.plugins.loaded.is_empty(), "{report:?}");
        house
    }

    pub(crate) async fn reload(&self, dry_run: bool) -> Arc<ReloadReport> {
        let options = ReloadOptions { dry_run, only: None, reason: "benchmark" };
        let report = self.manager.reload(options).await;
        assert_eq!(report.status, ReloadStatus::Ok, "{report:?}");
        report
    }

    pub(crate) fn provider(&self, name: &str) -> Arc<Provider> {
        Arc::clone(self.registry.snapshot().get(name).unwrap())
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// Configures these entries, in JSON.
pub(crate) fn configure(place: &Place, entries: &str) {
    std::fs::write(place.path().join("plugin_config.json"), format!(r#"{{"plugins": {{{entries}}}}}"#))
        .unwrap();
}

const ANSWER: &str = r#"{"id":"b","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"pong"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// Answers everything at once and the same.
pub(crate) fn upstream(runtime: &Runtime) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket));
        }
    });
    address
}

async fn answer(socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        ANSWER.len()
    );
    let response = head + ANSWER;
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if socket.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await?;
        socket.write_all(response.as_bytes()).await?;
    }
}

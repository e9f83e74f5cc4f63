//! An upstream that speaks TLS, by a certificate of its own, and takes as long over the handshake as it is told to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::Version;
use axum::routing::post;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use crate::harness::PATIENCE;
use crate::harness::scripted::script::answer;

/// See the module. Ends when it is dropped.
pub struct Secure {
    port: u16,
    state: Arc<watch::Sender<Seen>>,
    dir: TempDir,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Those that were taken so far.
    pub connections: usize,
    /// What each request was made in.
    pub versions: Vec<String>,
    /// Whether handshakes are not answered.
    stalls: bool,
    /// Whether requests are not answered.
    holds: bool,
}

impl Secure {
    /// One that offers these protocols.
    pub async fn start(protocols: &[&[u8]]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(dir.path().join("certificate.pem"), own.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = config.with_single_cert(vec![own.cert.der().clone()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(watch::Sender::new(Seen::default()));
        let serving = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), Arc::clone(&state)));
        Self { port, state, dir, _serving: AbortOnDropHandle::new(serving) }
    }

    pub fn base_url(&self) -> String {
        format!("https://localhost:{}/v1", self.port)
    }

    /// The file that has whoever reads it trust this upstream.
    pub fn certificate(&self) -> PathBuf {
        Path::join(self.dir.path(), "certificate.pem")
    }

    /// Whether those who connect from now on are left without an answer, for good.
    pub fn stall(&self, stalls: bool) {
        self.state.send_modify(|seen| seen.stalls = stalls);
    }

    /// Whether those who ask have to wait for the answer.
    pub fn hold(&self, holds: bool) {
        self.state.send_modify(|seen| seen.holds = holds);
    }

    pub fn seen(&self) -> Seen {
        self.state.borrow().clone()
    }

    pub async fn sees(&self, what: impl Fn(&Seen) -> bool) {
        let mut seen = self.state.subscribe();
        let there = timeout(PATIENCE, seen.wait_for(what)).await.is_ok();
        assert!(there, "waited in vain: {:?}", self.seen());
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<watch::Sender<Seen>>) {
    let router = Router::new().route("/v1/chat/completions", post(chat)).with_state(Arc::clone(&state));
    let mut connections = JoinSet::new();
    let mut stalled = Vec::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        state.send_modify(|seen| seen.connections += 1);
        if state.borrow().stalls {
            stalled.push(socket);
            continue;
        }
        let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
        connections.spawn(async move {
            // Who does not trust the certificate goes away.
            let Ok(socket) = acceptor.accept(socket).await else { return };
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn chat(State(state): State<Arc<watch::Sender<Seen>>>, version: Version) -> String {
    state.send_modify(|seen| seen.versions.push(format!("{version:?}")));
    let mut seen = state.subscribe();
    seen.wait_for(|seen| !seen.holds).await.unwrap();
    answer("secure")
}

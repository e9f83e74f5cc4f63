//! A server that a test can kill as a crash would, with all of its connections, and bring back at the same address.

use std::net::SocketAddr;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// See the module. Ends when it is dropped.
pub struct Mortal {
    /// Bound and never listened on: while nobody serves there, nobody else gets the port.
    reserved: TcpSocket,
    router: Router,
    life: Option<Life>,
}

struct Life {
    end: CancellationToken,
    serving: AbortOnDropHandle<()>,
}

impl Mortal {
    pub fn start(router: Router) -> Self {
        let mut mortal = Self { reserved: socket("127.0.0.1:0".parse().unwrap()), router, life: None };
        mortal.revive();
        mortal
    }

    pub fn address(&self) -> SocketAddr {
        self.reserved.local_addr().unwrap()
    }

    /// Done when nobody listens any more and every connection was reset.
    pub async fn kill(&mut self) {
        let Life { end, serving } = self.life.take().expect("it lives");
        end.cancel();
        serving.await.unwrap();
    }

    pub fn revive(&mut self) {
        assert!(self.life.is_none(), "it lives");
        let listener = socket(self.address()).listen(1024).unwrap();
        let end = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, self.router.clone(), end.clone()));
        self.life = Some(Life { end, serving: AbortOnDropHandle::new(serving) });
    }
}

fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn serve(listener: TcpListener, router: Router, end: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let socket = tokio::select! {
            () = end.cancelled() => break,
            accepted = listener.accept() => accepted.unwrap().0,
        };
        socket.set_nodelay(true).unwrap();
        // However it ends, it ends at once and with a reset.
        socket.set_zero_linger().unwrap();
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let served = Builder::new(TokioExecutor::new());
            // Whoever has gone away is no concern of a server's.
            let _ = served.serve_connection(TokioIo::new(socket), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    connections.shutdown().await;
}

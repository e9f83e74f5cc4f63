//! The HTTP clients and their connection pools.

use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use patchbay_plugin_api::{ErrorKind, ProviderError};
use reqwest::Client;

/// Distinct connect timeouts with a client of their own; beyond that the one made first goes, with its idle
/// connections (requests under way keep theirs).
const MAX_CLIENTS: usize = 16;

/// Idle connections kept per upstream.
const IDLE_PER_HOST: usize = 256;

/// An idle connection is closed before the usual load balancer would do it at the wrong moment.
const IDLE_FOR: Duration = Duration::from_secs(50);

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Kind {
    // reqwest's connect timeout is the client's, not the request's.
    connect_timeout: Duration,
    // A proxy cannot reach this machine's own loopback, so requests there never go through one.
    loopback: bool,
}

/// Clients by what has to differ between them.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<(Kind, Client)>>);

impl Pool {
    pub(super) fn client(&self, connect_timeout: Duration, loopback: bool) -> Result<Client, ProviderError> {
        let kind = Kind { connect_timeout, loopback };
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(known, _)| *known == kind) {
            return Ok(client.clone());
        }
        let client = build(kind)?;
        if clients.len() == MAX_CLIENTS {
            clients.remove(0);
        }
        clients.push((kind, client.clone()));
        Ok(client)
    }
}

fn build(kind: Kind) -> Result<Client, ProviderError> {
    static CRYPTO: Once = Once::new();
    // An error says that the process has a provider already, which is as good.
    CRYPTO.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let builder = Client::builder()
        .user_agent(concat!("patchbay/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry the key to wherever upstream points.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(kind.connect_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_FOR)
        // A half-dead HTTP/2 connection would otherwise swallow every request of its upstream.
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .http2_adaptive_window(true);
    let builder = if kind.loopback { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| {
        ProviderError::new(ErrorKind::Connection, "the host cannot make an HTTP client; its log says why")
            .with_detail(super::failure::chain(&error))
    })
}

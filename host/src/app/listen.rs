//! The socket that connections come from: bound here, handed over by another host, or opened by whoever started this
//! one.

use std::net::{IpAddr, SocketAddr, TcpListener};

use tokio::net::lookup_host;

use super::StartError;
use crate::config::ServerSettings;
use crate::http::Server;

/// The socket and its address. `opened` is for this host in any case; `handed` where it is what is configured.
pub(super) async fn on(
    settings: &ServerSettings,
    opened: Option<&TcpListener>,
    handed: Option<TcpListener>,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let name = format!("{}:{}", settings.host, settings.port);
    let failed = |error| StartError::Bind(name.clone(), error);
    let listener = match (opened, handed) {
        // The same as the other host's, where both were started like this.
        (Some(opened), _) => opened.try_clone().map_err(failed)?,
        (None, Some(handed)) if is_meant(settings, &handed).await => handed,
        (None, _) => bind(settings).await.map_err(failed)?,
    };
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Serves on a copy of it: what is handed on later stays.
pub(super) fn serve(listener: &TcpListener) -> Result<Server, StartError> {
    let copy = || {
        let listener = listener.try_clone()?;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    };
    Ok(Server::on(copy().map_err(|error| StartError::Bind("the socket".to_owned(), error))?))
}

async fn bind(settings: &ServerSettings) -> std::io::Result<TcpListener> {
    tokio::net::TcpListener::bind((unbracketed(&settings.host), settings.port)).await?.into_std()
}

/// Whether it is bound to the address that is configured; port 0 asks for any.
async fn is_meant(settings: &ServerSettings, listener: &TcpListener) -> bool {
    let Ok(bound) = listener.local_addr() else { return false };
    let same = |ip: IpAddr| ip.to_canonical() == bound.ip().to_canonical();
    (settings.port == 0 || settings.port == bound.port())
        && lookup_host((unbracketed(&settings.host), settings.port))
            .await
            .is_ok_and(|mut addresses| addresses.any(|address| same(address.ip())))
}

/// `[::1]` is how an address stands in a URL, not how the system wants it.
fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

//! The socket that connections come from: bound here, handed over by another host, or opened by whoever started this
//! one.

use std::net::{IpAddr, SocketAddr, TcpListener};

use tokio::net::lookup_host;

use super::StartError;
use crate::config::ServerSettings;
use crate::http::Server;

/// What there is already.
#[derive(Debug)]
pub(super) enum Socket {
    /// Whoever started this host has opened it, or the one before: it is for this host whatever is configured.
    Opened(TcpListener),
    /// Another host has bound it: it is for this one where it is what is configured.
    Handed(TcpListener),
    /// Nothing.
    None,
}

impl Socket {
    pub(super) fn is_opened(&self) -> bool {
        matches!(self, Self::Opened(_))
    }

    /// The settings with the address that is certain. Who may be let in depends on it.
    pub(super) fn decide(&self, settings: &mut ServerSettings) -> Result<(), StartError> {
        if let Self::Opened(listener) = self {
            let address =
                listener.local_addr().map_err(|error| StartError::Bind("what was opened".into(), error))?;
            (settings.host, settings.port) = (address.ip().to_string(), address.port());
        }
        Ok(())
    }

    /// The socket to serve on, and its address.
    pub(super) async fn listen(
        self,
        settings: &ServerSettings,
    ) -> Result<(TcpListener, SocketAddr), StartError> {
        let failed = |error| StartError::Bind(format!("{}:{}", settings.host, settings.port), error);
        let listener = match self {
            Self::Opened(listener) => listener,
            Self::Handed(listener) if is_meant(settings, &listener).await => listener,
            Self::Handed(_) | Self::None => bind(settings).await.map_err(failed)?,
        };
        let address = listener.local_addr().map_err(failed)?;
        Ok((listener, address))
    }
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

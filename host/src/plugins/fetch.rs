//! HTTP as plugins get it lent: a request out, a response whose body is pulled.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use patchbay_plugin_api::Result;
use secrecy::SecretString;

/// What a plugin asked for, in the host's own types.
#[derive(Debug)]
pub struct Outgoing {
    /// The call it is for, which decides the key; 0 for none.
    pub call: u64,
    /// `GET`, `POST`, ...
    pub method: String,
    /// Absolute.
    pub url: String,
    /// May hold the key's placeholder.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// The head of the answer, and its body on the way.
pub struct Incoming {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Dropping it ends the request.
    pub body: BoxStream<'static, Result<Bytes>>,
}

/// Who makes the requests: the host's client for one provider, or the probe's script.
pub trait Fetch: Send + Sync {
    /// Makes one request. Dropping the future cancels it.
    fn fetch(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming>>;

    /// What it puts into requests and nobody may see anywhere else.
    fn keys(&self) -> &[SecretString] {
        &[]
    }
}

//! What the host lends, as a plugin's author uses it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use async_ffi::LocalFfiFuture;
use serde_json::{Map, Value};

use crate::abi::{self, HostServices, metric_kind};
use crate::guard::WakerGuard;
use crate::http::{HttpRequest, HttpResponse};
use crate::{ProviderError, Result, json};

/// The host's services. Cheap to copy; good for as long as the provider lives.
///
/// A plugin needs no runtime, no TLS and no connection pool of its own: it asks here.
#[derive(Clone, Copy)]
pub struct Host {
    services: HostServices,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host")
    }
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Level {
    /// Something failed that an operator should know of.
    Error = abi::log_level::ERROR,
    /// Something is odd but was dealt with.
    Warn = abi::log_level::WARN,
    /// Worth knowing in normal times.
    Info = abi::log_level::INFO,
    /// For debugging.
    Debug = abi::log_level::DEBUG,
    /// For debugging the debugging.
    Trace = abi::log_level::TRACE,
}

impl Host {
    /// Wraps the services a host (or a test's scripted host) gave.
    pub fn new(services: HostServices) -> Self {
        Self { services }
    }

    /// Makes an HTTP request; the answer is there once its head is. Dropping the answer ends the request.
    ///
    /// [`KEY_PLACEHOLDER`](abi::KEY_PLACEHOLDER) in a header or in the URL's query is replaced by the key of
    /// `call`, which the plugin never sees.
    pub async fn http(&self, call: &Call, request: HttpRequest) -> Result<HttpResponse> {
        let future = (self.services.http)(self.services.context, request.into_abi(call.id));
        let response =
            HostFuture::new(future, self.services).await.into_result().map_err(ProviderError::from)?;
        Ok(HttpResponse::from_abi(response, self.services))
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        HostFuture::new((self.services.sleep)(self.services.context, millis), self.services).await;
    }

    /// The time of day.
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos((self.services.now)(self.services.context).unix_nanos)
    }

    /// A clock that never goes back; only differences mean something.
    pub fn monotonic(&self) -> Duration {
        Duration::from_nanos((self.services.now)(self.services.context).monotonic_nanos)
    }

    /// Writes a line to the host's log, which adds plugin, generation and provider. `fields` is a JSON object.
    pub fn log(&self, level: Level, message: &str, fields: &Value) {
        let fields = if fields.is_null() { String::new() } else { json::to_string(fields) };
        (self.services.log)(self.services.context, level as u32, message.into(), fields.as_str().into());
    }

    /// Fills a buffer with random bytes fit for secrets.
    pub fn random(&self, buffer: &mut [u8]) {
        (self.services.random)(self.services.context, buffer.into());
    }

    /// The configuration this provider was created with, as JSON.
    pub fn config(&self) -> Vec<u8> {
        (self.services.config)(self.services.context).to_vec()
    }

    /// Adds to a counter in the host's metrics.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.metric(metric_kind::COUNTER, name, labels, value);
    }

    /// Sets a gauge in the host's metrics.
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.metric(metric_kind::GAUGE, name, labels, value);
    }

    fn metric(&self, kind: u32, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut object = Map::new();
        object.extend(labels.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))));
        let labels = json::to_string(&object);
        (self.services.metric)(self.services.context, kind, name.into(), labels.as_str().into(), value);
    }
}

/// One call of an operation: what the host says about it beside the request.
#[derive(Debug, Clone, Default)]
pub struct Call {
    id: u64,
    meta: Map<String, Value>,
}

impl Call {
    pub(crate) fn new(id: u64, meta: Map<String, Value>) -> Self {
        Self { id, meta }
    }

    /// Unique in the host's process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The client's or the host's id of the request, for logs and for upstream.
    pub fn request_id(&self) -> Option<&str> {
        self.meta.get("request_id").and_then(Value::as_str)
    }
}

/// A future of the host's. Stays on its thread (it is not `Send`), and gives the host only guarded wakers.
struct HostFuture<T> {
    future: LocalFfiFuture<T>,
    waker: WakerGuard,
}

impl<T> HostFuture<T> {
    fn new(future: LocalFfiFuture<T>, services: HostServices) -> Self {
        Self { future, waker: WakerGuard::new(services) }
    }
}

impl<T> Future for HostFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Self { future, waker } = &mut *self;
        waker.poll(context, |context| Pin::new(future).poll(context))
    }
}

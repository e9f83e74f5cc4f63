//! The host's services as functions of the ABI.
//!
//! Everything a plugin hands over is copied into the host's own types before anything is done with it. HTTP runs
//! on the host's main runtime, whose pools all providers share; only its results come to the plugin's thread.

use std::sync::{Arc, PoisonError, RwLock};
use std::thread::ThreadId;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use abi_stable::std_types::{ROption, RResult, RSliceMut, RStr, RVec};
use async_ffi::{FutureExt as _, LocalFfiFuture};
use bytes::Bytes;
use patchbay_plugin_api::abi::{
    AbiError, Header, HostContext, HostServices, HttpRequest, HttpResponse, Now, PullStream, RawInterface,
    log_level,
};
use patchbay_plugin_api::{ErrorKind, ProviderError};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, info, trace, warn};

use super::body::{self, Body};
use super::fetch::{Fetch, Incoming, Outgoing};
use super::pulse::{OnPanic, Pulse};
use super::slot::Operation;
use crate::services::redact;

/// What lies behind the [`HostContext`] of one instance. Kept until the generation's threads have ended, as plugin
/// code may have copies of the context until then; so it is small, and what is not goes with its [`Tenancy`].
pub(super) struct Lender {
    pub(super) plugin: Arc<str>,
    pub(super) generation: u64,
    pub(super) provider: String,
    /// None once the instance is gone.
    pub(super) loan: RwLock<Option<Arc<Loan>>>,
    pub(super) main: Handle,
    pub(super) pulse: Arc<Pulse>,
    /// The generation's own.
    pub(super) thread: ThreadId,
    /// Called for each panic the SDK contained.
    pub(super) on_panic: OnPanic,
}

/// What an instance has for as long as it lives: its configuration, and the keys with which it asks.
pub(super) struct Loan {
    pub(super) config: Vec<u8>,
    pub(super) fetch: Arc<dyn Fetch>,
}

/// Held by an instance, and by each of its operations. The last one takes the loan back.
pub(super) struct Tenancy(pub(super) Arc<Lender>);

impl Drop for Tenancy {
    fn drop(&mut self) {
        let loan = self.0.loan.write().unwrap_or_else(PoisonError::into_inner).take();
        // With the lock free: a configuration may be long.
        drop(loan);
    }
}

impl Lender {
    pub(super) fn loan(&self) -> Option<Arc<Loan>> {
        self.loan.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The services, for the plugin's `create`. Valid as long as `self` stays where it is.
    pub(super) fn services(self: &Arc<Self>) -> HostServices {
        HostServices {
            context: HostContext(Arc::as_ptr(self).cast()),
            http,
            sleep,
            now,
            log,
            random,
            config,
            metric,
            get_service,
        }
    }
}

fn lender(context: HostContext) -> &'static Lender {
    // SAFETY: every context was made by `services` from an `Arc` that the generation keeps until its threads,
    // the only ones that run its plugin's code, have ended. The lifetime ends with this call's use of it: nothing
    // below keeps the reference.
    unsafe { &*context.0.cast::<Lender>() }
}

fn wrong_thread() -> ProviderError {
    ProviderError::new(
        ErrorKind::Provider,
        "the plugin asked for a host service on a thread of its own; only log, now, random, config and metric \
         may be used there",
    )
}

/// Also told to calls of an instance that is gone.
pub(super) fn removed() -> ProviderError {
    ProviderError::new(ErrorKind::Cancelled, "the provider was removed")
}

extern "C" fn http(
    context: HostContext,
    request: HttpRequest,
) -> LocalFfiFuture<RResult<HttpResponse, AbiError>> {
    let lender = lender(context);
    if std::thread::current().id() != lender.thread {
        return async { RResult::RErr(wrong_thread().into()) }.into_local_ffi();
    }
    let Some(loan) = lender.loan() else {
        return async { RResult::RErr(removed().into()) }.into_local_ffi();
    };
    let outgoing = Outgoing {
        call: request.call,
        method: request.method.as_str().to_owned(),
        url: request.url.as_str().to_owned(),
        headers: request
            .headers
            .iter()
            .map(|header| (header.name.to_string(), header.value.to_string()))
            .collect(),
        body: Bytes::copy_from_slice(&request.body),
    };
    let (fetching, main) = (loan.fetch.fetch(outgoing), lender.main.clone());
    let fetched = async move {
        let Incoming { status, headers, body } = fetching.await?;
        Ok((status, headers, body::read(body, &main)))
    };
    let fetched = AbortOnDropHandle::new(lender.main.spawn(fetched));
    let pulse = Arc::clone(&lender.pulse);
    let operation = Operation::start(&lender.pulse, async move {
        let given_up = |_| Err(ProviderError::new(ErrorKind::Cancelled, "the request was given up"));
        match fetched.await.unwrap_or_else(given_up) {
            Ok((status, headers, body)) => RResult::ROk(respond(status, headers, Body::new(body, pulse))),
            Err(error) => RResult::RErr(AbiError::from(error)),
        }
    });
    operation.into_local_ffi()
}

fn respond(status: u16, headers: Vec<(String, String)>, body: Body) -> HttpResponse {
    let headers = headers.into_iter();
    HttpResponse {
        status,
        headers: headers.map(|(name, value)| Header { name: name.into(), value: value.into() }).collect(),
        body: PullStream::new(body),
    }
}

extern "C" fn sleep(context: HostContext, millis: u64) -> LocalFfiFuture<()> {
    let lender = lender(context);
    if std::thread::current().id() != lender.thread {
        // There is no error to answer with; not waiting is the least harm.
        return async {}.into_local_ffi();
    }
    Operation::start(&lender.pulse, async move {
        // The shortest that a timer can make is a millisecond. No time at all only lets the others have their turn.
        match millis {
            0 => tokio::task::yield_now().await,
            _ => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
    })
    .into_local_ffi()
}

extern "C" fn now(_: HostContext) -> Now {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Now {
        unix_nanos: nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
        monotonic_nanos: nanos(START.get_or_init(Instant::now).elapsed()),
    }
}

extern "C" fn log(context: HostContext, level: u32, message: RStr<'_>, fields: RStr<'_>) {
    let lender = lender(context);
    let (plugin, generation, provider) = (&*lender.plugin, lender.generation, lender.provider.as_str());
    let Some(loan) = lender.loan() else {
        // Its keys are forgotten, so they could not be told from what may be shown.
        warn!(
            plugin,
            generation,
            provider,
            severity = level,
            "plugin logged for a removed provider; its words are withheld"
        );
        if level == log_level::PANIC {
            (lender.on_panic)(&lender.pulse, "");
        }
        return;
    };
    // A plugin that is given its key, or is sent it back by upstream, may forget what a log is.
    let keys = loan.fetch.keys();
    let (message, fields) = (redact::hide(message.as_str(), keys), redact::hide(fields.as_str(), keys));
    let fields = &*fields;
    match level {
        log_level::PANIC => {
            error!(plugin, generation, provider, fields, "plugin panicked");
            (lender.on_panic)(&lender.pulse, fields);
        }
        log_level::ERROR => error!(plugin, generation, provider, fields, "{message}"),
        log_level::WARN => warn!(plugin, generation, provider, fields, "{message}"),
        log_level::INFO => info!(plugin, generation, provider, fields, "{message}"),
        log_level::DEBUG => debug!(plugin, generation, provider, fields, "{message}"),
        _ => trace!(plugin, generation, provider, fields, "{message}"),
    }
}

extern "C" fn random(_: HostContext, mut buffer: RSliceMut<'_, u8>) {
    if let Err(error) = getrandom::fill(buffer.as_mut_slice()) {
        error!(%error, "the system gave no random bytes");
    }
}

extern "C" fn config(context: HostContext) -> RVec<u8> {
    lender(context).loan().map(|loan| RVec::from(loan.config.as_slice())).unwrap_or_default()
}

extern "C" fn metric(context: HostContext, kind: u32, name: RStr<'_>, labels: RStr<'_>, value: f64) {
    let lender = lender(context);
    let (plugin, provider) = (&*lender.plugin, lender.provider.as_str());
    let Some(loan) = lender.loan() else { return };
    let (name, labels) = (name.as_str(), redact::hide(labels.as_str(), loan.fetch.keys()));
    debug!(plugin, provider, kind, name, labels = &*labels, value, "plugin metric");
}

extern "C" fn get_service(_: HostContext, _: RStr<'_>, _: u32) -> ROption<RawInterface> {
    ROption::RNone
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;
    use patchbay_plugin_api::Result;

    use super::*;

    struct Nothing;

    impl Fetch for Nothing {
        fn fetch(&self, _: Outgoing) -> BoxFuture<'static, Result<Incoming>> {
            async { Err(ProviderError::new(ErrorKind::Provider, "there is nothing")) }.boxed()
        }
    }

    #[tokio::test]
    async fn what_was_lent_goes_with_the_last_use_and_the_context_stays() {
        let fetch: Arc<dyn Fetch> = Arc::new(Nothing);
        let lent = Arc::downgrade(&fetch);
        let lender = Arc::new(Lender {
            plugin: "mock".into(),
            generation: 1,
            provider: "mock".to_owned(),
            loan: RwLock::new(Some(Arc::new(Loan { config: b"{}".to_vec(), fetch }))),
            main: Handle::current(),
            pulse: Arc::default(),
            thread: std::thread::current().id(),
            on_panic: Arc::new(|_, _| ()),
        });
        let services = lender.services();
        let instance = std::rc::Rc::new(Tenancy(Arc::clone(&lender)));
        let operation = std::rc::Rc::clone(&instance);
        drop(instance);
        assert_eq!((services.config)(services.context).as_slice(), b"{}");
        drop(operation);
        assert!(lent.upgrade().is_none());
        assert!((services.config)(services.context).is_empty());
        let request = HttpRequest {
            call: 0,
            method: "GET".into(),
            url: "http://127.0.0.1/".into(),
            headers: RVec::new(),
            body: RVec::new(),
            options: "".into(),
        };
        let answer = (services.http)(services.context, request).await.into_result();
        assert_eq!(answer.map(drop).map_err(ProviderError::from).unwrap_err().kind, ErrorKind::Cancelled);
        (services.log)(services.context, log_level::PANIC, "late".into(), "{}".into());
    }
}

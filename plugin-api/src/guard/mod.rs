//! The one place where panics of the author's code end.
//!
//! A panic must never meet the boundary: both `extern "C"` and `"C-unwind"` abort, because host and plugin each
//! have their own copy of the standard library. So the SDK runs *everything* of the author's (operations,
//! streams, drops and wakers) through this file, compiled into the plugin, and hands the host an error instead.

use std::any::Any;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::pin::Pin;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::ThreadId;

use futures_util::Stream;
use serde_json::json;

use crate::abi::{HostServices, log_level};
use crate::{ErrorKind, ProviderError, Result, json};

/// Where a panic happened. Only the hook knows, and only for as long as it runs: it is noted here for the guard
/// that is about to catch it. One place is enough, as each generation runs its code on one thread.
static LAST_LOCATION: Mutex<Option<(ThreadId, String)>> = Mutex::new(None);

/// Replaces the standard hook, which would write to the host's standard error.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_hook(Box::new(note_location)));
}

fn note_location(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    *LAST_LOCATION.lock().unwrap_or_else(PoisonError::into_inner) =
        Some((std::thread::current().id(), location));
}

fn take_location() -> Option<String> {
    let mut last = LAST_LOCATION.lock().unwrap_or_else(PoisonError::into_inner);
    last.take_if(|(thread, _)| *thread == std::thread::current().id()).map(|(_, location)| location)
}

/// Turns a caught panic into an error, and tells the host's log.
fn contained(services: Option<&HostServices>, during: &str, payload: Box<dyn Any + Send>) -> ProviderError {
    let message = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned());
    // The payload is the author's own type and may panic while it is dropped: that one is forgotten.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
    let location = take_location().unwrap_or_default();
    if let Some(services) = services {
        let fields = json!({ "during": during, "panic": message, "location": location });
        let fields = json::to_string(&fields);
        (services.log)(services.context, log_level::PANIC, "plugin panicked".into(), fields.as_str().into());
    }
    ProviderError::new(ErrorKind::Panicked, format!("the plugin panicked {during}"))
        .with_detail(format!("{message} at {location}"))
}

/// Runs the author's code; a panic becomes an error, and a line in the log of the host if there is one to tell.
pub(crate) fn catch<T>(
    services: Option<&HostServices>,
    during: &str,
    run: impl FnOnce() -> Result<T>,
) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| Err(contained(services, during, payload)))
}

/// The author's future or stream. A panic while it is polled is its last item; one while it is dropped is logged.
pub(crate) struct Guarded<F> {
    services: HostServices,
    during: &'static str,
    inner: ManuallyDrop<F>,
    /// Whether `inner` is still there.
    live: bool,
}

impl<F> Guarded<F> {
    pub(crate) fn new(services: HostServices, during: &'static str, inner: F) -> Self {
        Self { services, during, inner: ManuallyDrop::new(inner), live: true }
    }

    /// Polls through `poll`, which is given the pinned inner value. `None`: it has panicked before.
    fn guard<T>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut F>) -> Poll<T>,
    ) -> Option<Result<Poll<T>, ProviderError>> {
        // SAFETY: `inner` is never moved out of `self`: it is only polled in place and dropped in place.
        let this = unsafe { self.get_unchecked_mut() };
        if !this.live {
            return None;
        }
        let inner = &mut *this.inner;
        let polled = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: as above, `inner` stays where it is until it is dropped.
            poll(unsafe { Pin::new_unchecked(inner) })
        }));
        Some(polled.map_err(|payload| {
            let error = contained(Some(&this.services), this.during, payload);
            this.drop_inner();
            error
        }))
    }

    fn drop_inner(&mut self) {
        if std::mem::take(&mut self.live) {
            let dropped = catch(Some(&self.services), "while a value was dropped", || {
                // SAFETY: `live` was true, so `inner` is there, and it will not be touched again.
                unsafe { ManuallyDrop::drop(&mut self.inner) };
                Ok(())
            });
            // The log has it; there is nobody left to tell.
            drop(dropped);
        }
    }
}

impl<T, F: Future<Output = Result<T>>> Future for Guarded<F> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.guard(|inner| inner.poll(context)) {
            Some(Ok(polled)) => polled,
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => Poll::Ready(Err(ProviderError::new(ErrorKind::Panicked, "the plugin panicked before"))),
        }
    }
}

impl<T, S: Stream<Item = Result<T>>> Stream for Guarded<S> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.guard(|inner| inner.poll_next(context)) {
            Some(Ok(polled)) => polled,
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => Poll::Ready(None),
        }
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        self.drop_inner();
    }
}

/// A waker of the author's (or of a combinator they use), made safe to hand to the host: waking and dropping it
/// there must not panic, as the host's side of a waker aborts.
struct GuardedWaker {
    waker: ManuallyDrop<Waker>,
    services: HostServices,
}

impl Wake for GuardedWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The log has it; whoever wakes is not the one to tell.
        let _ = catch(Some(&self.services), "in a waker", || {
            self.waker.wake_by_ref();
            Ok(())
        });
    }
}

impl Drop for GuardedWaker {
    fn drop(&mut self) {
        let _ = catch(Some(&self.services), "while a waker was dropped", || {
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.waker) };
            Ok(())
        });
    }
}

/// Keeps the guarded waker from one poll to the next, so that polling again with the same waker costs nothing.
pub(crate) struct WakerGuard {
    services: HostServices,
    /// The author's waker, and the guarded one made for it.
    last: Option<(Waker, Waker)>,
}

impl WakerGuard {
    pub(crate) fn new(services: HostServices) -> Self {
        Self { services, last: None }
    }

    /// Polls something of the host's with a waker that cannot panic there.
    pub(crate) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        let known = self.last.take_if(|(author, _)| author.will_wake(context.waker()));
        let (author, guarded) = known.unwrap_or_else(|| {
            let waker = ManuallyDrop::new(context.waker().clone());
            let guarded = Arc::new(GuardedWaker { waker, services: self.services });
            (context.waker().clone(), Waker::from(guarded))
        });
        let polled = poll(&mut Context::from_waker(&guarded));
        self.last = Some((author, guarded));
        polled
    }
}

#[cfg(test)]
mod tests;

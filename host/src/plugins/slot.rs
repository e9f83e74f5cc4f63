//! Operations of the host that a plugin waits for.
//!
//! A plugin polls them with wakers of its own making, and such a waker is code and data in its library. It must
//! never be called on another thread, nor be kept when the library is closed. So the work itself is a task of the
//! generation's own runtime, woken by the host's wakers; the plugin's waker lies in a slot on the same thread,
//! is called from there, and is gone with the operation.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use tokio::task::AbortHandle;

use super::pulse::Pulse;

struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// An operation under way. Dropping it cancels the work.
pub(super) struct Operation<T> {
    slot: Rc<RefCell<Slot<T>>>,
    work: AbortHandle,
    pulse: Arc<Pulse>,
}

impl<T: 'static> Operation<T> {
    /// Starts the work. On the generation's thread only, within its `LocalSet`.
    pub(super) fn start(pulse: &Arc<Pulse>, work: impl Future<Output = T> + 'static) -> Self {
        let slot = Rc::new(RefCell::new(Slot { value: None, waker: None }));
        let filled = Rc::clone(&slot);
        let inside = Arc::clone(pulse);
        let work = tokio::task::spawn_local(async move {
            let value = work.await;
            let waker = {
                let mut slot = filled.borrow_mut();
                slot.value = Some(value);
                slot.waker.take()
            };
            if let Some(waker) = waker {
                let _inside = inside.enter();
                waker.wake();
            }
        });
        pulse.live_operations.fetch_add(1, Ordering::Relaxed);
        Self { slot, work: work.abort_handle(), pulse: Arc::clone(pulse) }
    }
}

impl<T> Future for Operation<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let replaced = {
            let mut slot = self.slot.borrow_mut();
            if let Some(value) = slot.value.take() {
                return Poll::Ready(value);
            }
            if slot.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                return Poll::Pending;
            }
            slot.waker.replace(context.waker().clone())
        };
        // Dropped with the slot free: it is the plugin's code.
        drop(replaced);
        Poll::Pending
    }
}

impl<T> Drop for Operation<T> {
    fn drop(&mut self) {
        self.work.abort();
        let waker = self.slot.borrow_mut().waker.take();
        drop(waker);
        self.pulse.live_operations.fetch_sub(1, Ordering::Relaxed);
    }
}

//! Just enough of a runtime for a test.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// A test that waits longer than this waits for something that will not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a future to its end on this thread.
///
/// # Panics
///
/// When nothing wakes the future for ten seconds: a failed test says more than one that hangs. To test that
/// something waits for ever, use [`poll_once`].
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        let asleep = std::time::Instant::now();
        thread::park_timeout(PATIENCE);
        assert!(asleep.elapsed() < PATIENCE, "nothing woke the future for {PATIENCE:?}");
    }
}

/// Polls a future once, without waiting.
pub fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

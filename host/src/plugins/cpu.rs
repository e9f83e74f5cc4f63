//! The CPU time that a thread has spent, as the system counts it: nothing is measured where plugins are called.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use libc::{clockid_t, timespec};

/// What one thread has spent; told to others, also when it has ended.
#[derive(Debug, Default)]
pub(super) struct CpuTime {
    /// The clock of the thread.
    clock: OnceLock<clockid_t>,
    /// The most that was ever told, in nanoseconds: what was told once is never taken back.
    most: AtomicU64,
    /// From now on there is no more to it.
    ended: AtomicBool,
}

impl CpuTime {
    /// Tells of this thread, which drops the guard when it ends.
    pub(super) fn of_this_thread(&self) -> Counting<'_> {
        let mut clock: clockid_t = 0;
        // SAFETY: asks after this very thread, and has a place for the result.
        if unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) } == 0 {
            // Whoever tells of a second thread goes on telling of the first.
            let _ = self.clock.set(clock);
        }
        Counting(self)
    }

    /// What it has spent by now.
    pub(super) fn spent(&self) -> Duration {
        self.look();
        Duration::from_nanos(self.most.load(Ordering::Acquire))
    }

    fn look(&self) {
        if self.ended.load(Ordering::Acquire) {
            return;
        }
        let Some(now) = self.clock.get().and_then(|clock| read(*clock)) else { return };
        // If it has ended meanwhile, its clock may be another thread's by now.
        if !self.ended.load(Ordering::Acquire) {
            self.most.fetch_max(now, Ordering::AcqRel);
        }
    }
}

/// See [`CpuTime::of_this_thread`].
pub(super) struct Counting<'a>(&'a CpuTime);

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        // Its clock goes with it.
        self.0.look();
        self.0.ended.store(true, Ordering::Release);
    }
}

/// In nanoseconds.
fn read(clock: clockid_t) -> Option<u64> {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: has a place for the result. The clock of a thread that has ended is an error.
    let read = unsafe { libc::clock_gettime(clock, &raw mut time) };
    let time = (read == 0).then_some(time)?;
    let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
    Some(seconds * 1_000_000_000 + nanos)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_a_thread_spends_is_told_while_it_runs_and_after_it() {
        let cpu = Arc::new(CpuTime::default());
        assert_eq!(cpu.spent(), Duration::ZERO, "nobody has begun");
        let (begun, wait_for_work) = channel();
        let (end, wait_for_end) = channel::<()>();
        let thread = std::thread::spawn({
            let cpu = Arc::clone(&cpu);
            move || {
                let _counting = cpu.of_this_thread();
                let mut sum = 0_u64;
                while cpu.spent() < Duration::from_millis(20) {
                    sum = std::hint::black_box(sum.wrapping_add(1));
                }
                begun.send(()).unwrap();
                // Whoever waits spends nothing.
                let _ = wait_for_end.recv();
            }
        });
        wait_for_work.recv().unwrap();
        let running = cpu.spent();
        assert!(running >= Duration::from_millis(20), "{running:?}");
        drop(end);
        thread.join().unwrap();
        let ended = cpu.spent();
        assert!(ended >= running, "{ended:?} {running:?}");
        // Another thread's clock is not taken for it.
        let other = std::thread::spawn({
            let cpu = Arc::clone(&cpu);
            move || cpu.spent()
        });
        assert_eq!(other.join().unwrap(), ended);
    }
}

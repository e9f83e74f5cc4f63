//! Threads that a library started: while one of them runs, unmapping the library is a crash.
//!
//! The host exports its own `pthread_create`, which libraries loaded later bind to. It notes which thread runs
//! which start routine; by the routine's address a thread is told to be a library's.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use libc::{pid_t, pthread_attr_t, pthread_t};

use super::interpose::real;

type Routine = extern "C" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Routine, *mut c_void) -> c_int;

/// Where each thread began. A number that the system uses again is overwritten by the thread that has it now.
static STARTED: LazyLock<Mutex<HashMap<pid_t, usize>>> = LazyLock::new(Mutex::default);

/// What a new thread runs first.
struct Begin {
    routine: Routine,
    argument: *mut c_void,
}

extern "C" fn begin(begin: *mut c_void) -> *mut c_void {
    // SAFETY: made by `pthread_create` below from a box, for this thread alone.
    let Begin { routine, argument } = *unsafe { Box::from_raw(begin.cast::<Begin>()) };
    // SAFETY: asks for a number.
    let id = unsafe { libc::gettid() };
    STARTED.lock().unwrap_or_else(PoisonError::into_inner).insert(id, routine as usize);
    routine(argument)
}

/// Notes the thread, and is otherwise the C library's.
///
/// # Safety
///
/// As for `pthread_create`.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) unsafe extern "C" fn pthread_create(
    thread: *mut pthread_t,
    attributes: *const pthread_attr_t,
    routine: Routine,
    argument: *mut c_void,
) -> c_int {
    static REAL: OnceLock<usize> = OnceLock::new();
    let Some(create) = real::<Create>(&REAL, c"pthread_create") else { return libc::EAGAIN };
    let start = Box::into_raw(Box::new(Begin { routine, argument })).cast();
    // SAFETY: handed on as it came, but for the routine, which takes what is given to it.
    let result = unsafe { create(thread, attributes, begin, start) };
    if result != 0 {
        // SAFETY: no thread was started, so nobody else has the box.
        drop(unsafe { Box::from_raw(start.cast::<Begin>()) });
    }
    result
}

/// How many threads run that began in this address range. Threads that have ended are forgotten on the way.
fn running_within(range: &Range<usize>) -> usize {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    // The host's own threads too: every generation has some, and their numbers are not used again for long.
    started.retain(|id, _| is_running(*id));
    started.values().filter(|routine| range.contains(routine)).count()
}

fn is_running(id: pid_t) -> bool {
    std::fs::exists(format!("/proc/self/task/{id}")).unwrap_or(true)
}

/// Waits for the library's threads to end, and says how many have not. A plugin whose `Drop` tells its threads to
/// stop needs a moment for it.
pub(super) fn left_after(range: &Range<usize>, patience: Duration) -> usize {
    let begun = Instant::now();
    loop {
        let left = running_within(range);
        if left == 0 || begun.elapsed() > patience {
            return left;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    extern "C" fn wait(receiver: *mut c_void) -> *mut c_void {
        // SAFETY: the test below gives a box of this type.
        let receiver = unsafe { Box::from_raw(receiver.cast::<mpsc::Receiver<()>>()) };
        // Ends when the sender is gone.
        let _ = receiver.recv();
        std::ptr::null_mut()
    }

    #[test]
    fn a_thread_is_known_by_where_it_began() {
        let (sender, receiver) = mpsc::channel::<()>();
        let mut thread: pthread_t = 0;
        let argument = Box::into_raw(Box::new(receiver)).cast();
        // SAFETY: a place for the result, default attributes, a routine that takes the box.
        assert_eq!(unsafe { pthread_create(&raw mut thread, std::ptr::null(), wait, argument) }, 0);
        let here = wait as *const () as usize..wait as *const () as usize + 1;
        // It may take a moment until it has noted itself.
        while running_within(&here) == 0 {
            std::thread::yield_now();
        }
        assert_eq!(left_after(&here, Duration::ZERO), 1);
        drop(sender);
        // SAFETY: the thread is joined once.
        assert_eq!(unsafe { libc::pthread_join(thread, std::ptr::null_mut()) }, 0);
        assert_eq!(left_after(&here, Duration::from_secs(10)), 0);
    }

    #[test]
    fn threads_that_have_ended_are_forgotten_whoever_started_them() {
        let number = std::thread::spawn(|| {
            // SAFETY: asks for a number.
            let number = unsafe { libc::gettid() };
            assert!(STARTED.lock().unwrap().contains_key(&number));
            number
        });
        let number = number.join().unwrap();
        // Joined is not yet gone from the system's list.
        while is_running(number) {
            std::thread::yield_now();
        }
        running_within(&(0..0));
        assert!(!STARTED.lock().unwrap().contains_key(&number));
    }
}

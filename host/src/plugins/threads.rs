//! Threads that a library started: while one of them runs, unmapping the library is a crash.
//!
//! The host exports its own `pthread_create`, which libraries loaded later bind to. It notes which thread runs
//! which start routine, and whose thread started it. A thread is a library's when its routine lies in the library,
//! or when it descends from a thread of the library's generation: a dependency that starts threads does so with a
//! routine of its own, and calls the library from there. It is noted before it exists: one that has not run its first
//! instruction yet needs its library as much as any other.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use libc::{clockid_t, pid_t, pthread_attr_t, pthread_t, sigevent, timer_t};

use super::interpose::real;

type Routine = extern "C" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Routine, *mut c_void) -> c_int;
type CreateTimer = unsafe extern "C" fn(clockid_t, *mut sigevent, *mut timer_t) -> c_int;

/// How many threads are remembered before anybody looks which of them have ended.
const LOOK_AT: usize = 256;

thread_local! {
    /// Whose this thread is. Constant and without a destructor: it is read on threads of every kind, at any time of
    /// their lives.
    static FAMILY: Cell<Option<Family>> = const { Cell::new(None) };
}

/// The threads of one generation: those that joined, and whatever they have started since. The host's own are in
/// none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family(u64);

impl Family {
    /// One that nobody is in.
    pub(super) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }

    /// Has this thread's descendants counted from now on. Not itself: whoever started it waits for it.
    pub(super) fn join(self) {
        FAMILY.set(Some(self));
    }

    fn of_this_thread() -> Option<Self> {
        FAMILY.get()
    }
}

/// How a thread came to be.
#[derive(Debug, Clone, Copy)]
struct Origin {
    routine: usize,
    family: Option<Family>,
}

static THREADS: LazyLock<Mutex<Threads>> = LazyLock::new(Mutex::default);

/// Every thread that was started, until it has ended.
#[derive(Default)]
struct Threads {
    /// Those that have no number yet, by the ticket that they were started with.
    starting: HashMap<u64, Origin>,
    tickets: u64,
    /// A number that the system uses again is overwritten by the thread that has it now.
    running: HashMap<pid_t, Origin>,
    /// When there are so many it is time to forget those that have ended.
    look_at: usize,
}

impl Threads {
    fn lock() -> MutexGuard<'static, Self> {
        THREADS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&mut self, origin: Origin) -> u64 {
        self.tickets += 1;
        self.starting.insert(self.tickets, origin);
        self.tickets
    }

    fn begin(&mut self, ticket: u64, id: pid_t) {
        if self.running.len() >= self.look_at.max(LOOK_AT) {
            self.forget_ended();
            self.look_at = self.running.len() * 2;
        }
        if let Some(origin) = self.starting.remove(&ticket) {
            self.running.insert(id, origin);
        }
    }

    fn forget_ended(&mut self) {
        self.running.retain(|id, _| is_running(*id));
    }
}

/// What a new thread runs first.
struct Begin {
    ticket: u64,
    family: Option<Family>,
    routine: Routine,
    argument: *mut c_void,
}

extern "C" fn begin(begin: *mut c_void) -> *mut c_void {
    // SAFETY: made by `pthread_create` below from a box, for this thread alone.
    let Begin { ticket, family, routine, argument } = *unsafe { Box::from_raw(begin.cast::<Begin>()) };
    // SAFETY: asks for a number.
    let id = unsafe { libc::gettid() };
    Threads::lock().begin(ticket, id);
    FAMILY.set(family);
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
    let family = Family::of_this_thread();
    let ticket = Threads::lock().announce(Origin { routine: routine as usize, family });
    let start = Box::into_raw(Box::new(Begin { ticket, family, routine, argument })).cast();
    // SAFETY: handed on as it came, but for the routine, which takes what is given to it.
    let result = unsafe { create(thread, attributes, begin, start) };
    if result != 0 {
        // SAFETY: no thread was started, so nobody else has the box.
        drop(unsafe { Box::from_raw(start.cast::<Begin>()) });
        Threads::lock().starting.remove(&ticket);
    }
    result
}

/// Notes a timer that calls a function, and is otherwise the C library's. The function runs on threads that the C
/// library makes by itself, and also when the timer was deleted a moment ago: such a timer counts as a thread that
/// never ends.
///
/// # Safety
///
/// As for `timer_create`.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) unsafe extern "C" fn timer_create(
    clock: clockid_t,
    event: *mut sigevent,
    timer: *mut timer_t,
) -> c_int {
    static REAL: OnceLock<usize> = OnceLock::new();
    let Some(create) = real::<CreateTimer>(&REAL, c"timer_create") else { return -1 };
    // SAFETY: callers give an event or nothing.
    let calls = unsafe { event.as_ref() }.is_some_and(|event| event.sigev_notify == libc::SIGEV_THREAD);
    let origin = Origin { routine: 0, family: Family::of_this_thread() };
    let ticket = calls.then(|| Threads::lock().announce(origin));
    // SAFETY: handed on as it came.
    let result = unsafe { create(clock, event, timer) };
    if let (true, Some(ticket)) = (result != 0, ticket) {
        Threads::lock().starting.remove(&ticket);
    }
    result
}

/// How many threads run, or are about to, that are of this family or began in this address range.
fn running(family: Family, range: &Range<usize>) -> usize {
    let mut threads = Threads::lock();
    // All under one lock: whoever starts another thread while it is ending is seen, or has announced the other.
    threads.forget_ended();
    let origins = threads.starting.values().chain(threads.running.values());
    origins.filter(|origin| origin.family == Some(family) || range.contains(&origin.routine)).count()
}

/// Whoever cannot be asked after is taken to run.
fn is_running(id: pid_t) -> bool {
    // SAFETY: signal 0 is sent to nobody: the system only looks whether this process has such a thread.
    let found = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), id, 0) };
    found == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// Waits for the library's threads to end, and says how many have not. A plugin whose `Drop` tells its threads to
/// stop needs a moment for it.
pub(super) fn left_after(family: Family, range: &Range<usize>, patience: Duration) -> usize {
    let begun = Instant::now();
    loop {
        let left = running(family, range);
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
        // Whether or not it has run an instruction by now.
        let here = wait as *const () as usize..wait as *const () as usize + 1;
        assert_eq!(left_after(Family::new(), &here, Duration::ZERO), 1);
        drop(sender);
        // SAFETY: the thread is joined once.
        assert_eq!(unsafe { libc::pthread_join(thread, std::ptr::null_mut()) }, 0);
        assert_eq!(left_after(Family::new(), &here, Duration::from_secs(10)), 0);
    }

    #[test]
    fn threads_that_have_ended_are_forgotten_whoever_started_them() {
        let number = std::thread::spawn(|| {
            // SAFETY: asks for a number.
            let number = unsafe { libc::gettid() };
            assert!(Threads::lock().running.contains_key(&number));
            number
        });
        let number = number.join().unwrap();
        // Joined is not yet gone from the system's list.
        while is_running(number) {
            std::thread::yield_now();
        }
        running(Family::new(), &(0..0));
        assert!(!Threads::lock().running.contains_key(&number));
    }

    #[test]
    fn a_thread_is_known_by_whom_it_descends_from() {
        let (mine, other) = (Family::new(), Family::new());
        let (sender, receiver) = mpsc::channel::<()>();
        let left = |family| running(family, &(0..0));
        let child = std::thread::spawn(move || {
            mine.join();
            // This one ends at once, and its child does not.
            std::thread::spawn(|| std::thread::spawn(move || receiver.recv().is_err())).join().unwrap()
        });
        let grandchild = child.join().unwrap();
        assert_eq!((left_after(mine, &(0..0), Duration::from_millis(1)) > 0, left(other)), (true, 0));
        drop(sender);
        grandchild.join().unwrap();
        assert_eq!(left_after(mine, &(0..0), Duration::from_secs(10)), 0);
    }

    #[test]
    fn a_thread_that_could_not_be_started_is_not_counted() {
        extern "C" fn never(_: *mut c_void) -> *mut c_void {
            std::ptr::null_mut()
        }
        let mut thread: pthread_t = 0;
        // SAFETY: the attributes are initialised before they are used, and destroyed once.
        unsafe {
            let mut attributes = std::mem::zeroed::<pthread_attr_t>();
            assert_eq!(libc::pthread_attr_init(&raw mut attributes), 0);
            // More than there is address space for.
            assert_eq!(libc::pthread_attr_setstacksize(&raw mut attributes, 1 << 60), 0);
            assert_ne!(
                pthread_create(&raw mut thread, &raw const attributes, never, std::ptr::null_mut()),
                0
            );
            libc::pthread_attr_destroy(&raw mut attributes);
        }
        let here = never as *const () as usize..never as *const () as usize + 1;
        assert_eq!(running(Family::new(), &here), 0);
    }

    #[test]
    fn threads_are_forgotten_also_when_nobody_asks() {
        let mut threads = Threads::default();
        // Numbers beyond what the system gives.
        for id in (1 << 23)..(1 << 23) + 10_000 {
            let ticket = threads.announce(Origin { routine: 1, family: None });
            threads.begin(ticket, id);
        }
        assert!(threads.running.len() <= LOOK_AT && threads.starting.is_empty());
    }
}

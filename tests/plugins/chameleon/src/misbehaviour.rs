//! Everything that a plugin must not do.
//!
//! A behaviour is a place and a deed, such as `create_panic` or `call_spin`. With `asked_` before it, it is done
//! only when a request's text, or the provider's configuration, holds the word `misbehave`: the probe says no such
//! thing, so that it is the host that meets it.

use std::ffi::{CString, c_char, c_int, c_void};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use patchbay_plugin_api::{Host, Level, ProviderError, Result};
use serde_json::{Value, json};

use crate::{BEHAVIOUR, word};

unsafe extern "C" {
    safe fn _exit(status: i32) -> !;
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn timer_create(clock: c_int, event: *mut Event, timer: *mut usize) -> c_int;
    fn timer_settime(timer: usize, flags: c_int, times: *const [usize; 4], old: *mut c_void) -> c_int;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Where.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Validate,
    Create,
    Call,
    /// In the middle of a stream.
    Chunk,
    Drop,
}

/// The behaviour, if this is its time.
fn behaviour(asked: bool) -> String {
    let word = word(&BEHAVIOUR);
    match word.strip_prefix("asked_") {
        Some(word) if asked => word.to_owned(),
        Some(_) => String::new(),
        None => word,
    }
}

/// Does what the behaviour says of this place.
pub(crate) fn misbehave(place: Place, asked: bool) -> Result<()> {
    let place = match place {
        Place::Validate => "validate_",
        Place::Create => "create_",
        Place::Call => "call_",
        Place::Chunk => "chunk_",
        Place::Drop => "drop_",
    };
    match behaviour(asked).strip_prefix(place) {
        Some("fail") => {
            let error = ProviderError::invalid_input("the chameleon was made to refuse");
            return Err(error.with_code("made_to_refuse").with_param("messages[0]"));
        }
        Some("panic") => panic!("the chameleon was made to panic"),
        Some("payload") => std::panic::panic_any(PanicsWhenDropped),
        Some("abort") => std::process::abort(),
        Some("exit") => _exit(0),
        Some("block") => std::thread::sleep(FOR_EVER),
        Some("spin") => while std::hint::black_box(true) {},
        Some("timer") => set_timer(),
        Some("thread") => drop(std::thread::spawn(|| std::thread::sleep(FOR_EVER))),
        _ => {}
    }
    Ok(())
}

/// As [`misbehave`], where there is a host already.
pub(crate) fn misbehave_with(host: Host, asked: bool) -> Result<()> {
    match behaviour(asked).as_str() {
        "create_tell" => tell(host),
        "create_borrowed_thread" => borrow_thread(host)?,
        _ => {}
    }
    misbehave(Place::Create, asked)
}

/// Runs for ever on a thread that another library starts: the configuration says which.
fn borrow_thread(host: Host) -> Result<()> {
    let config: Value = serde_json::from_slice(&host.config()).unwrap_or_default();
    let path = config["misbehave"].as_str().and_then(|path| CString::new(path).ok());
    let path = path.ok_or_else(|| ProviderError::invalid_input("the chameleon needs a path"))?;
    // SAFETY: both names are C strings; the function is one of `tests/plugins/c/starts-threads.c`.
    unsafe {
        let start = dlsym(dlopen(path.as_ptr(), 2), c"start_thread".as_ptr());
        assert!(!start.is_null());
        let start: extern "C" fn(extern "C" fn()) -> c_int = std::mem::transmute(start);
        assert_eq!(start(run_for_ever), 0);
    }
    Ok(())
}

/// The C library's `struct sigevent`, on 64-bit systems.
#[repr(C)]
struct Event {
    value: usize,
    signal: c_int,
    notify: c_int,
    function: extern "C" fn(usize),
    attributes: usize,
    rest: [usize; 4],
}

/// Has the C library call this library's code again and again.
fn set_timer() {
    const ON_A_THREAD: c_int = 2;
    extern "C" fn tick(_: usize) {}
    let mut event =
        Event { value: 0, signal: 0, notify: ON_A_THREAD, function: tick, attributes: 0, rest: [0; 4] };
    let mut timer = 0;
    // SAFETY: both structures are as the C library has them, and the function takes what it is given.
    unsafe {
        assert_eq!(timer_create(0, &raw mut event, &raw mut timer), 0);
        // Each millisecond, from the first on.
        assert_eq!(timer_settime(timer, 0, &[0, 1_000_000, 0, 1_000_000], std::ptr::null_mut()), 0);
    }
}

/// Comes back to this library's code again and again: it is soon seen when that is gone.
extern "C" fn run_for_ever() {
    loop {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Misbehaves around something of the host's that is waited for.
pub(crate) async fn while_waiting(host: Host, asked: bool) {
    match behaviour(asked).as_str() {
        // Whoever cancels the call drops this.
        "future_drop_panic" => {
            let _held = PanicsWhenDropped;
            host.log(Level::Info, "the chameleon waits", &Value::Null);
            host.sleep(FOR_EVER).await;
        }
        "call_tell" => tell(host),
        "waker_panic" => {
            let mut sleep = Box::pin(host.sleep(Duration::from_millis(1)));
            poll_fn(|context| {
                let waker = Waker::from(Arc::new(PanicsWhenWoken(context.waker().clone())));
                sleep.as_mut().poll(&mut Context::from_waker(&waker))
            })
            .await;
        }
        _ => {}
    }
}

/// Tells everybody what it was configured with, its key if it was given that.
pub(crate) fn tell(host: Host) {
    let config = String::from_utf8_lossy(&host.config()).into_owned();
    host.log(Level::Error, &config, &json!({ "config": config }));
    host.counter("configurations", &[("config", &config)], 1.0);
    panic!("the chameleon was made to tell: {config}");
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("the chameleon was made to panic in a drop");
    }
}

struct PanicsWhenWoken(Waker);

impl Wake for PanicsWhenWoken {
    fn wake(self: Arc<Self>) {
        // Or nobody would ever look again.
        self.0.wake_by_ref();
        panic!("the chameleon was made to panic in a waker");
    }
}

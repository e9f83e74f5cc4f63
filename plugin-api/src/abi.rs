//! The binary contract between host and plugin, version 1. **Frozen**: see the rules below.
//!
//! Everything that crosses the boundary is in this file, with its owner and its lifetime. Payloads (requests,
//! answers, chunks, configuration) are JSON in bytes and grow by new keys; only their envelope is typed.
//!
//! # How it may grow
//!
//! * [`Root`] never gains, loses or changes a field. abi_stable would refuse an *old* plugin on a *newer* host
//!   if it did, which is the wrong way round for a plugin host.
//! * A new operation is a new interface, asked for by name and version through [`Root::get_interface`]; a new
//!   service of the host likewise, through [`HostServices::get_service`].
//! * A new property of a payload is a new JSON key, a new capability a new word in the manifest.
//! * `kind`, `level` and other codes are plain integers, not enums: a value this side does not know is not
//!   undefined behaviour, it is just not known.
//!
//! The assertions at the end of this file, and the test `layouts_are_pinned`, fail when a layout moves.
//!
//! # Threads
//!
//! The host runs plugin code only on the threads of the plugin's generation. Futures and streams are polled and
//! dropped on the thread where they were made. Of [`HostServices`], `log`, `now`, `random`, `config` and
//! `metric` may be called from any thread; the others only on the generation's own.
//!
//! # Panics
//!
//! Nothing here may unwind across the boundary. The SDK's exported functions catch every panic of the author's
//! code, drops and wakers included, and turn it into an [`AbiError`] of kind `panicked`.

use std::pin::Pin;
use std::task::{Context, Poll};

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{ROption, RResult, RSlice, RSliceMut, RStr, RString, RVec};
use abi_stable::type_layout::TypeLayout;
use async_ffi::{ContextExt as _, FfiContext, FfiPoll, LocalFfiFuture};
use futures_util::Stream;

/// The `api_version` a manifest must name to be loaded by a host that speaks this contract.
pub const API_VERSION: &str = "v1";

/// The section of the library file that holds the manifest, readable without running any of its code.
pub const MANIFEST_SECTION: &str = ".patchbay";

/// Name and version of the interface that carries a provider's operations.
pub const PROVIDER_INTERFACE: (&str, u32) = ("provider", 1);

/// Where the host puts the key of a call into a header value or URL that a plugin or plan wrote.
pub const KEY_PLACEHOLDER: &str = "{{key}}";

// ---------------------------------------------------------------------------------------------------------
// What the library exports
// ---------------------------------------------------------------------------------------------------------

/// The root module: the only thing a library exports by name.
///
/// Owner: the library, in its static memory; valid until the library is closed.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootRef)))]
#[sabi(missing_field(panic))]
pub struct Root {
    /// The manifest, byte for byte what the file's `.patchbay` section holds. Owner: the library.
    pub describe: extern "C" fn() -> RStr<'static>,

    /// Makes one provider from its configuration (a JSON object, borrowed for the call).
    ///
    /// `HostServices` may be kept and copied until the generation's threads have ended.
    pub create: extern "C" fn(HostServices, RSlice<'_, u8>) -> RResult<Instance, AbiError>,

    /// An interface by name and version, or none when this plugin does not have it.
    #[sabi(last_prefix_field)]
    pub get_interface: extern "C" fn(RStr<'_>, u32) -> ROption<RawInterface>,
}

impl RootModule for RootRef {
    abi_stable::declare_root_module_statics! {RootRef}
    const BASE_NAME: &'static str = "patchbay_plugin";
    const NAME: &'static str = "patchbay_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// A table of functions, got by name and version, with the layout its maker compiled it with.
///
/// Owner: whoever answered with it, in static memory. `table` points to the struct that name and version stand
/// for; whoever asks compares `layout` with its own before believing it.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct RawInterface {
    /// The struct of functions.
    pub table: *const (),
    /// Its layout as compiled on the other side.
    pub layout: &'static TypeLayout,
}

/// The operations of one provider: interface `provider`, version 1.
///
/// Requests and answers are the canonical JSON of OpenAI's chat API; unknown keys pass through both ways. A future
/// owns everything it needs; dropping it cancels the call.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct ProviderInterface {
    /// Checks a configuration without making anything. The error's message says what to mend.
    pub validate: extern "C" fn(RSlice<'_, u8>) -> RResult<(), AbiError>,
    /// The plan, as JSON, by which the host may serve requests without calling the plugin; or none.
    pub plan: extern "C" fn(InstanceRef) -> RResult<ROption<RVec<u8>>, AbiError>,
    /// A chat request, answered whole.
    pub complete: extern "C" fn(InstanceRef, Call) -> LocalFfiFuture<RResult<RVec<u8>, AbiError>>,
    /// A chat request, answered in chunks.
    pub stream: extern "C" fn(InstanceRef, Call) -> LocalFfiFuture<RResult<PullStream<Batch>, AbiError>>,
    /// An embeddings request.
    pub embed: extern "C" fn(InstanceRef, Call) -> LocalFfiFuture<RResult<RVec<u8>, AbiError>>,
    /// The models this provider serves: `{"models": [...]}`. The call's body is empty.
    pub models: extern "C" fn(InstanceRef, Call) -> LocalFfiFuture<RResult<RVec<u8>, AbiError>>,
    /// `{"status": "available" | "busy", ...}`, or an error. The call's body is empty.
    pub health: extern "C" fn(InstanceRef, Call) -> LocalFfiFuture<RResult<RVec<u8>, AbiError>>,
    /// `{"status": "valid" | "invalid", "message": ...}`, or an error. The call's body is empty.
    pub credentials: extern "C" fn(InstanceRef, Call) -> LocalFfiFuture<RResult<RVec<u8>, AbiError>>,
}

/// One provider. Owner: the host, which drops it on the thread that made it, before the library is closed.
///
/// There is no `Drop` here on purpose: the host decides where and when, and looks at the outcome.
#[repr(C)]
#[derive(StableAbi)]
#[must_use = "an instance that is not dropped through its `drop` function leaks"]
pub struct Instance {
    /// The plugin's own data.
    pub state: *mut (),
    /// Frees `state`. An error says that the author's `Drop` panicked; the memory is gone all the same.
    pub drop: unsafe extern "C" fn(*mut ()) -> RResult<(), AbiError>,
}

impl Instance {
    /// The borrow that operations take.
    pub fn as_ref(&self) -> InstanceRef {
        InstanceRef(self.state)
    }
}

/// Borrowed [`Instance`]. Valid for the call it is given to; a future made by the call does not need it.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy)]
pub struct InstanceRef(pub *const ());

/// What comes with every operation. Owner: whoever receives it.
#[repr(C)]
#[derive(StableAbi)]
pub struct Call {
    /// Chosen by the host, unique in the process; goes into [`HttpRequest::call`] of requests made for it.
    pub id: u64,
    /// The request, JSON; empty for operations that ask nothing.
    pub body: RVec<u8>,
    /// A JSON object about the call (`request_id`, ...), or empty.
    pub meta: RString,
}

// ---------------------------------------------------------------------------------------------------------
// Streams
// ---------------------------------------------------------------------------------------------------------

/// A stream that is pulled: nothing happens between two polls, and dropping it cancels it.
///
/// Owner: whoever holds it. Polled and dropped only on the thread where it was made. Each poll says one of:
/// *go on* (`Ready(Ok(Some(item)))`), *wait* (`Pending`, the waker will be called), *finished*
/// (`Ready(Ok(None))`), *broken* (`Ready(Err(error))`). After *finished* or *broken* it is not polled again.
#[repr(C)]
#[derive(StableAbi)]
pub struct PullStream<T> {
    state: *mut (),
    poll_next: unsafe extern "C" fn(*mut (), *mut FfiContext<'_>) -> FfiPoll<RResult<ROption<T>, AbiError>>,
    drop: unsafe extern "C" fn(*mut ()),
}

impl<T> PullStream<T> {
    /// Takes a stream across the boundary. The stream must not panic, neither in `poll_next` nor in `drop`.
    pub fn new<S>(stream: S) -> Self
    where
        S: Stream<Item = Result<T, AbiError>> + 'static,
    {
        unsafe extern "C" fn poll_next<T, S>(
            state: *mut (),
            context: *mut FfiContext<'_>,
        ) -> FfiPoll<RResult<ROption<T>, AbiError>>
        where
            S: Stream<Item = Result<T, AbiError>>,
        {
            // SAFETY: `state` came from `Box::into_raw` below, is used by one poll at a time (`&mut self` in
            // `Stream::poll_next`) and never moves until `drop`; `context` is the caller's live context.
            let (stream, context) = unsafe { (Pin::new_unchecked(&mut *state.cast::<S>()), &mut *context) };
            let item = context.with_context(|context| stream.poll_next(context));
            FfiPoll::from_poll(item.map(|item| RResult::from(item.transpose().map(ROption::from))))
        }
        unsafe extern "C" fn drop<S>(state: *mut ()) {
            // SAFETY: `state` came from `Box::into_raw` below and is dropped once, by `Drop for PullStream`.
            std::mem::drop(unsafe { Box::from_raw(state.cast::<S>()) });
        }
        Self { state: Box::into_raw(Box::new(stream)).cast(), poll_next: poll_next::<T, S>, drop: drop::<S> }
    }
}

impl<T> Stream for PullStream<T> {
    type Item = Result<T, AbiError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // SAFETY: `state` is what `poll_next` was made for, and `&mut self` makes this the only poll.
        let polled = context.with_ffi_context(|context| unsafe { (self.poll_next)(self.state, context) });
        match polled {
            FfiPoll::Ready(item) => Poll::Ready(item.into_result().map(ROption::into_option).transpose()),
            FfiPoll::Pending => Poll::Pending,
            FfiPoll::Panicked => {
                Poll::Ready(Some(Err(AbiError::panicked("the stream panicked at the boundary"))))
            }
        }
    }
}

impl<T> Drop for PullStream<T> {
    fn drop(&mut self) {
        // SAFETY: `state` is what `drop` was made for, and this runs once.
        unsafe { (self.drop)(self.state) }
    }
}

/// Some chunks of a stream, as many as were ready: one crossing for all of them.
#[repr(C)]
#[derive(StableAbi, Default)]
pub struct Batch {
    /// The chunks' JSON, one behind the other.
    pub data: RVec<u8>,
    /// Where each of them ends, in order.
    pub chunks: RVec<ChunkEnd>,
}

/// The end of one chunk in [`Batch::data`], and what the chunk carries.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkEnd {
    /// Offset of the first byte behind the chunk.
    pub end: u32,
    /// Bits of [`chunk_flags`].
    pub flags: u32,
}

/// What a chunk carries, so that the host need not parse it to know.
pub mod chunk_flags {
    /// Text, a tool call or reasoning: something a client sees as the answer beginning.
    pub const CONTENT: u32 = 1;
    /// A finish reason.
    pub const FINISH: u32 = 2;
    /// Token counts.
    pub const USAGE: u32 = 4;
}

// ---------------------------------------------------------------------------------------------------------
// What the host lends
// ---------------------------------------------------------------------------------------------------------

/// The host's side: what a plugin uses instead of a runtime, a TLS stack and a connection pool of its own.
///
/// Owner: the host. Valid until the threads of the plugin's generation have ended; copy it freely until then.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct HostServices {
    /// Passed back with every call.
    pub context: HostContext,
    /// Starts an HTTP request; the future is done when the response's head is there.
    pub http: extern "C" fn(HostContext, HttpRequest) -> LocalFfiFuture<RResult<HttpResponse, AbiError>>,
    /// Sleeps so many milliseconds.
    pub sleep: extern "C" fn(HostContext, u64) -> LocalFfiFuture<()>,
    /// The time.
    pub now: extern "C" fn(HostContext) -> Now,
    /// Writes to the host's log: level (see [`log_level`]), message, and a JSON object of fields or nothing.
    pub log: extern "C" fn(HostContext, u32, RStr<'_>, RStr<'_>),
    /// Fills the slice with random bytes fit for secrets.
    pub random: extern "C" fn(HostContext, RSliceMut<'_, u8>),
    /// The configuration this instance was created with, JSON.
    pub config: extern "C" fn(HostContext) -> RVec<u8>,
    /// Adds to a counter or sets a gauge (see [`metric_kind`]): name, labels as a JSON object, value.
    pub metric: extern "C" fn(HostContext, u32, RStr<'_>, RStr<'_>, f64),
    /// A service that came later, by name and version; none on a host that does not have it.
    pub get_service: extern "C" fn(HostContext, RStr<'_>, u32) -> ROption<RawInterface>,
}

/// The host's own pointer; means nothing to a plugin.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy)]
pub struct HostContext(pub *const ());

// SAFETY: the host promises that the functions documented as callable from any thread are, with this pointer.
unsafe impl Send for HostContext {}
// SAFETY: as above.
unsafe impl Sync for HostContext {}

/// Levels of [`HostServices::log`].
pub mod log_level {
    /// A panic that the SDK contained. The host counts these: a plugin that keeps panicking is quarantined.
    pub const PANIC: u32 = 0;
    /// Something failed that an operator should know of.
    pub const ERROR: u32 = 1;
    /// Something is odd but was dealt with.
    pub const WARN: u32 = 2;
    /// Worth knowing in normal times.
    pub const INFO: u32 = 3;
    /// For debugging.
    pub const DEBUG: u32 = 4;
    /// For debugging the debugging.
    pub const TRACE: u32 = 5;
}

/// Kinds of [`HostServices::metric`].
pub mod metric_kind {
    /// The value is added.
    pub const COUNTER: u32 = 0;
    /// The value replaces the last one.
    pub const GAUGE: u32 = 1;
}

/// Two clocks, read at once.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since 1970-01-01 UTC.
    pub unix_nanos: u64,
    /// Nanoseconds on a clock that never goes back; only differences mean something.
    pub monotonic_nanos: u64,
}

/// An HTTP request to be made by the host. Owner: the host, once given.
#[repr(C)]
#[derive(StableAbi)]
pub struct HttpRequest {
    /// [`Call::id`] of the call this is for, 0 for none: chooses the key and ends with it.
    pub call: u64,
    /// `GET`, `POST`, ...
    pub method: RString,
    /// Absolute URL. May hold [`KEY_PLACEHOLDER`] in its query.
    pub url: RString,
    /// Headers; values may hold [`KEY_PLACEHOLDER`].
    pub headers: RVec<Header>,
    /// The whole body.
    pub body: RVec<u8>,
    /// A JSON object of further wishes, or empty. None are defined yet.
    pub options: RString,
}

/// The head of a response and its body, still on its way. Owner: the plugin.
#[repr(C)]
#[derive(StableAbi)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The headers in the order they came; names in lower case.
    pub headers: RVec<Header>,
    /// The body in the pieces it arrives in. Dropping it ends the request.
    pub body: PullStream<RVec<u8>>,
}

/// One header.
#[repr(C)]
#[derive(StableAbi, Clone)]
pub struct Header {
    /// Its name.
    pub name: RString,
    /// Its value; bytes that are not UTF-8 are replaced.
    pub value: RString,
}

// ---------------------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------------------

/// Why an operation failed. The SDK and the host both work with [`ProviderError`](crate::ProviderError), which
/// this is the envelope of.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct AbiError {
    /// [`ErrorKind::code`](crate::ErrorKind::code).
    pub kind: u32,
    /// Upstream's HTTP status, 0 for none.
    pub status: u32,
    /// How long to wait before trying again, `u64::MAX` for unknown.
    pub retry_after_ms: u64,
    /// For the client: what went wrong, no secret in it.
    pub message: RString,
    /// For the log.
    pub detail: RString,
    /// A JSON object for what comes later, or empty.
    pub extra: RString,
}

// ---------------------------------------------------------------------------------------------------------
// The layouts of version 1
// ---------------------------------------------------------------------------------------------------------

#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Root>() == 24);
    assert!(size_of::<RawInterface>() == 16);
    assert!(size_of::<ProviderInterface>() == 64);
    assert!(size_of::<Instance>() == 16);
    assert!(size_of::<InstanceRef>() == 8);
    assert!(size_of::<Call>() == 72);
    assert!(offset_of!(Call, body) == 8 && offset_of!(Call, meta) == 40);
    assert!(size_of::<PullStream<Batch>>() == 24);
    assert!(size_of::<Batch>() == 64 && offset_of!(Batch, chunks) == 32);
    assert!(size_of::<ChunkEnd>() == 8);
    assert!(size_of::<HostServices>() == 72);
    assert!(offset_of!(HostServices, http) == 8 && offset_of!(HostServices, get_service) == 64);
    assert!(size_of::<Now>() == 16);
    assert!(size_of::<HttpRequest>() == 168 && offset_of!(HttpRequest, options) == 136);
    assert!(size_of::<HttpResponse>() == 64 && offset_of!(HttpResponse, body) == 40);
    assert!(size_of::<Header>() == 64);
    assert!(size_of::<AbiError>() == 112 && offset_of!(AbiError, message) == 16);
};

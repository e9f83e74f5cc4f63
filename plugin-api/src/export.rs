//! The plugin's side of the boundary: the macro that exports a provider, and the functions it exports.
//!
//! Each function copies what it is given into the author's types, runs the author's code under the panic guard,
//! and hands back what the host then owns.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::UNIX_EPOCH;

use abi_stable::StableAbi;
use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, RootModuleResult};
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{ROption, RResult, RSlice, RStr, RVec};
use async_ffi::{FutureExt as _, LocalFfiFuture};
use futures_util::Stream;
use serde::Serialize;
use serde_json::json;

use crate::abi::{
    self, AbiError, Batch, ChunkEnd, HostServices, Instance, InstanceRef, PROVIDER_INTERFACE,
    ProviderInterface, PullStream, RawInterface, Root, RootRef,
};
use crate::chat::{ChatRequest, ChunkMeta, ChunkStream, ChunkWriter};
use crate::embed::EmbedRequest;
use crate::guard::{self, Guarded, catch};
use crate::host::{Call, Host};
use crate::provider::Provider;
use crate::{ProviderError, Result};

pub use crate::manifest::{Implied, Manifest};

/// Exports a [`Provider`] from a `cdylib` crate, with its manifest.
///
/// ```
/// # use patchbay_plugin_api::{Answer, Call, ChatRequest, Host, Provider, Result};
/// # pub struct Hello;
/// # impl Provider for Hello {
/// #     type Config = serde_json::Value;
/// #     fn create(_: Self::Config, _: Host) -> Result<Self> { Ok(Self) }
/// #     async fn complete(&self, _: ChatRequest, _: Call) -> Result<Answer> { Ok(Answer::text("hi")) }
/// # }
/// patchbay_plugin_api::export! {
///     Hello,
///     name: "Hello",
///     features: ["chat_completion", "streaming"],
///     requires: ["patchbay>=0.1"],
///     config_defaults: r#"{"model": "hello-1"}"#,
/// }
/// ```
///
/// Id, version, authors, description, license, homepage and documentation come from `Cargo.toml`. Further keys:
/// `category`, `requires`, `config_schema`, `config_defaults`, `sample_config` (JSON texts), `threads`, `secrets`,
/// and any of cargo's to say it otherwise. The [front page](crate) lists what they mean. What follows from the kind of
/// provider is added: that it needs HTTP, the features of its API, where that begins and its default model.
#[macro_export]
macro_rules! export {
    ($provider:ty, $($key:ident : $value:expr),+ $(,)?) => {
        const _: () = {
            #[cfg(not(panic = "unwind"))]
            compile_error!(
                "a plugin must be built with panic = \"unwind\": its panics are caught inside it, \
                 and with \"abort\" they would end the host"
            );

            const MANIFEST: $crate::export::Manifest = {
                let mut manifest = $crate::export::Manifest {
                    id: env!("CARGO_PKG_NAME"),
                    name: env!("CARGO_PKG_NAME"),
                    version: env!("CARGO_PKG_VERSION"),
                    authors: env!("CARGO_PKG_AUTHORS"),
                    description: env!("CARGO_PKG_DESCRIPTION"),
                    homepage: env!("CARGO_PKG_HOMEPAGE"),
                    documentation: "",
                    license: env!("CARGO_PKG_LICENSE"),
                    category: "custom",
                    requires: &[],
                    supported_features: &[],
                    config_schema: "",
                    config_defaults: "",
                    sample_config: "",
                    threads: false,
                    secrets: false,
                    panic: "unwind",
                    implied: <$provider as $crate::Provider>::IMPLIED,
                };
                $( $crate::__set_manifest!(manifest, $key, $value); )+
                manifest
            };

            #[used]
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".patchbay")]
            pub static PATCHBAY_MANIFEST: [u8; MANIFEST.json_len()] = MANIFEST.json();

            struct Library;
            impl $crate::export::Library for Library {
                type Provider = $provider;
                const MANIFEST: &'static [u8] = &PATCHBAY_MANIFEST;
            }

            // The name abi_stable looks for; a test of the SDK compares it with abi_stable's own.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            pub static PATCHBAY_LIBRARY: $crate::export::LibHeader = $crate::export::header::<Library>();
        };
    };
}

/// One key of [`export!`]: lists are borrowed, and `features` is the short word for `supported_features`.
#[doc(hidden)]
#[macro_export]
macro_rules! __set_manifest {
    ($manifest:ident, features, $value:expr) => {
        $manifest.supported_features = &$value;
    };
    ($manifest:ident, requires, $value:expr) => {
        $manifest.requires = &$value;
    };
    ($manifest:ident, $key:ident, $value:expr) => {
        $manifest.$key = $value;
    };
}

#[doc(hidden)]
pub use abi_stable::library::LibHeader;

/// What a library holds; implemented by [`export!`].
#[doc(hidden)]
pub trait Library: 'static {
    type Provider: Provider;
    const MANIFEST: &'static [u8];
}

/// The header abi_stable knows a library by.
#[doc(hidden)]
pub const fn header<L: Library>() -> LibHeader {
    // SAFETY: `load` makes a module of type `RootRef`.
    unsafe { LibHeader::from_constructor::<RootRef>(load::<L>, CheckTypeLayout::Yes) }
}

extern "C" fn load<L: Library>() -> RootModuleResult {
    __call_root_module_loader(|| {
        guard::install_hook();
        RootRef(Functions::<L>::ROOT.static_as_prefix())
    })
}

/// The functions of one library, in its static memory.
struct Functions<L>(PhantomData<L>);

impl<L: Library> Functions<L> {
    const ROOT: &'static WithMetadata<Root> = &WithMetadata::new(Root {
        describe: describe::<L>,
        create: create::<L::Provider>,
        get_interface: get_interface::<L::Provider>,
    });
}

extern "C" fn describe<L: Library>() -> RStr<'static> {
    // The manifest was made from text, so this never is the empty one.
    RStr::from_str(std::str::from_utf8(L::MANIFEST).unwrap_or_default())
}

/// What [`Instance::state`] points to: an `Rc<Exported<P>>`, shared with every future made from it.
struct Exported<P> {
    services: HostServices,
    provider: P,
}

/// The operations of a provider, as functions of the ABI.
#[derive(Debug)]
pub struct Operations<P>(PhantomData<P>);

impl<P: Provider> Operations<P> {
    /// The table the host calls through.
    pub const TABLE: &'static ProviderInterface = &ProviderInterface {
        validate: validate::<P>,
        plan: plan::<P>,
        complete: complete::<P>,
        stream: stream::<P>,
        embed: embed::<P>,
        models: models::<P>,
        health: health::<P>,
        credentials: credentials::<P>,
    };
}

extern "C" fn get_interface<P: Provider>(name: RStr<'_>, version: u32) -> ROption<RawInterface> {
    if (name.as_str(), version) == PROVIDER_INTERFACE {
        ROption::RSome(RawInterface {
            table: std::ptr::from_ref(Operations::<P>::TABLE).cast(),
            layout: <ProviderInterface as StableAbi>::LAYOUT,
        })
    } else {
        ROption::RNone
    }
}

/// [`Root::create`] for this provider. Public for [`testing`](crate::testing), which goes the same way.
pub extern "C" fn create<P: Provider>(
    services: HostServices,
    config: RSlice<'_, u8>,
) -> RResult<Instance, AbiError> {
    let created = catch(Some(&services), "while it was created", || {
        let config = parse_config::<P>(config.as_slice())?;
        P::validate(&config)?;
        let provider = P::create(config, Host::new(services))?;
        Ok(Rc::new(Exported { services, provider }))
    });
    let instance = created.map(|exported| Instance {
        state: Rc::into_raw(exported).cast_mut().cast(),
        drop: drop_instance::<P>,
    });
    instance.map_err(AbiError::from).into()
}

unsafe extern "C" fn drop_instance<P: Provider>(state: *mut ()) -> RResult<(), AbiError> {
    // SAFETY: `state` came from `Rc::into_raw` in `create`, and the host gives it back once.
    let exported = unsafe { Rc::from_raw(state.cast::<Exported<P>>()) };
    let services = exported.services;
    let dropped = catch(Some(&services), "while it was dropped", || {
        drop(exported);
        Ok(())
    });
    dropped.map_err(AbiError::from).into()
}

fn parse_config<P: Provider>(config: &[u8]) -> Result<P::Config> {
    serde_json::from_slice(config)
        .map_err(|error| ProviderError::invalid_input(format!("the configuration cannot be read: {error}")))
}

extern "C" fn validate<P: Provider>(config: RSlice<'_, u8>) -> RResult<(), AbiError> {
    let checked = catch(None, "while it checked its configuration", || {
        P::validate(&parse_config::<P>(config.as_slice())?)
    });
    checked.map_err(AbiError::from).into()
}

fn borrow<P>(instance: InstanceRef) -> Rc<Exported<P>> {
    let exported: *const Exported<P> = instance.0.cast();
    // SAFETY: the host lends a live instance of this very table's provider, on the thread that made it; the new
    // count belongs to the `Rc` that is returned.
    unsafe {
        Rc::increment_strong_count(exported);
        Rc::from_raw(exported)
    }
}

extern "C" fn plan<P: Provider>(instance: InstanceRef) -> RResult<ROption<RVec<u8>>, AbiError> {
    let exported = borrow::<P>(instance);
    let services = exported.services;
    let plan = catch(Some(&services), "while it made its plan", move || {
        exported.provider.plan().map(|plan| to_json(&plan)).transpose()
    });
    plan.map(|plan| plan.map(RVec::from).into()).map_err(AbiError::from).into()
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        ProviderError::unreadable("the answer cannot be written").with_detail(error.to_string())
    })
}

/// Runs one operation under the guard: the author's future, and all that is made and dropped around it.
fn operation<P, T, U, Run, Answer>(
    instance: InstanceRef,
    call: abi::Call,
    during: &'static str,
    run: Run,
    deliver: impl FnOnce(T) -> U + 'static,
) -> LocalFfiFuture<RResult<U, AbiError>>
where
    P: Provider,
    Run: FnOnce(Rc<Exported<P>>, RVec<u8>, Call) -> Answer + 'static,
    Answer: Future<Output = Result<T>> + 'static,
    T: 'static,
    U: 'static,
{
    let exported = borrow::<P>(instance);
    let guarded = Guarded::new(exported.services, during, async move {
        // What the host says here is a help, not a condition: nothing is refused for it.
        let context = Call::new(call.id, serde_json::from_str(&call.meta).unwrap_or_default());
        run(exported, call.body, context).await
    });
    async move { guarded.await.map(deliver).map_err(AbiError::from).into() }.into_local_ffi()
}

type Bytes = LocalFfiFuture<RResult<RVec<u8>, AbiError>>;

extern "C" fn complete<P: Provider>(instance: InstanceRef, call: abi::Call) -> Bytes {
    operation::<P, _, _, _, _>(
        instance,
        call,
        "while it answered",
        async |exported, body, call| {
            let request = ChatRequest::parse(&body)?;
            let meta = chunk_meta(&exported, &request, &call);
            Ok(exported.provider.complete(request, call).await?.into_json(&meta))
        },
        RVec::from,
    )
}

extern "C" fn stream<P: Provider>(
    instance: InstanceRef,
    call: abi::Call,
) -> LocalFfiFuture<RResult<PullStream<Batch>, AbiError>> {
    operation::<P, _, _, _, _>(
        instance,
        call,
        "while it began a stream",
        async |exported, body, call| {
            let request = ChatRequest::parse(&body)?;
            let meta = chunk_meta(&exported, &request, &call);
            let chunks = exported.provider.stream(request, call).await?;
            // The instance goes with the stream: the author's chunks may borrow nothing, but may rely on it.
            Ok(Batches::new(exported, chunks, meta))
        },
        PullStream::new,
    )
}

extern "C" fn embed<P: Provider>(instance: InstanceRef, call: abi::Call) -> Bytes {
    operation::<P, _, _, _, _>(
        instance,
        call,
        "while it made embeddings",
        async |exported, body, call| {
            let request = EmbedRequest::parse(&body)?;
            let model = request.model.clone().unwrap_or_default();
            let format = request.encoding_format.unwrap_or_default();
            Ok(exported.provider.embed(request, call).await?.into_json(&model, format))
        },
        RVec::from,
    )
}

extern "C" fn models<P: Provider>(instance: InstanceRef, call: abi::Call) -> Bytes {
    operation::<P, _, _, _, _>(
        instance,
        call,
        "while it listed its models",
        async |exported, _, call| to_json(&json!({ "models": exported.provider.models(call).await? })),
        RVec::from,
    )
}

extern "C" fn health<P: Provider>(instance: InstanceRef, call: abi::Call) -> Bytes {
    operation::<P, _, _, _, _>(
        instance,
        call,
        "while it checked its health",
        async |exported, _, call| to_json(&exported.provider.health(call).await?),
        RVec::from,
    )
}

extern "C" fn credentials<P: Provider>(instance: InstanceRef, call: abi::Call) -> Bytes {
    operation::<P, _, _, _, _>(
        instance,
        call,
        "while it checked its credentials",
        async |exported, _, call| to_json(&exported.provider.credentials(call).await?),
        RVec::from,
    )
}

/// What answers of this call carry when the author does not say otherwise.
fn chunk_meta<P>(exported: &Exported<P>, request: &ChatRequest, call: &Call) -> ChunkMeta {
    let now = Host::new(exported.services).now();
    ChunkMeta {
        id: format!(
            "chatcmpl-{:x}-{:x}",
            now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros(),
            call.id()
        ),
        created: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        model: request.model.clone().unwrap_or_default(),
    }
}

/// Gathers the chunks that are ready into batches, so that many chunks cross the boundary at the cost of one.
struct Batches<P> {
    chunks: Guarded<ChunkStream>,
    writer: ChunkWriter,
    /// An error that came behind chunks: told after they were delivered.
    error: Option<ProviderError>,
    ended: bool,
    buffer: Vec<u8>,
    /// Dropped after the chunks.
    _exported: Guarded<Rc<Exported<P>>>,
}

/// A batch is handed over when it has this many chunks or bytes, so that a provider which is always ready
/// neither fills memory nor holds its client back.
const BATCH_CHUNKS: usize = 64;
const BATCH_BYTES: usize = 256 * 1024;

impl<P> Batches<P> {
    fn new(exported: Rc<Exported<P>>, chunks: ChunkStream, meta: ChunkMeta) -> Self {
        let services = exported.services;
        Self {
            chunks: Guarded::new(services, "while it streamed", chunks),
            writer: ChunkWriter::new(meta),
            error: None,
            ended: false,
            buffer: Vec::new(),
            _exported: Guarded::new(services, "while it was dropped", exported),
        }
    }
}

impl<P> Stream for Batches<P> {
    type Item = Result<Batch, AbiError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let mut chunks = RVec::new();
        while this.error.is_none() && !this.ended {
            match Pin::new(&mut this.chunks).poll_next(context) {
                Poll::Ready(Some(Ok(chunk))) => {
                    this.writer.write(&chunk, &mut this.buffer);
                    let end = u32::try_from(this.buffer.len()).unwrap_or(u32::MAX);
                    chunks.push(ChunkEnd { end, flags: chunk.flags() });
                    if chunks.len() >= BATCH_CHUNKS || this.buffer.len() >= BATCH_BYTES {
                        break;
                    }
                }
                Poll::Ready(Some(Err(error))) => this.error = Some(error),
                Poll::Ready(None) => this.ended = true,
                Poll::Pending if chunks.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        if !chunks.is_empty() {
            let data = RVec::from(std::mem::take(&mut this.buffer));
            return Poll::Ready(Some(Ok(Batch { data, chunks })));
        }
        let error = this.error.take();
        this.ended = true;
        Poll::Ready(error.map(|error| Err(error.into())))
    }
}

#[cfg(test)]
mod tests {
    use abi_stable::library::ROOT_MODULE_LOADER_NAME;

    #[test]
    fn the_library_header_has_the_name_abi_stable_looks_for() {
        assert_eq!(ROOT_MODULE_LOADER_NAME, "_1as_0lib_1header_0root_bmodule_bloader");
    }
}

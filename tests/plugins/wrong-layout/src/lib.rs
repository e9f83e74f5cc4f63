//! A library with everything that a plugin has, made without the SDK: only its root module is another one.

use abi_stable::StableAbi;
use abi_stable::library::{
    __call_root_module_loader, CheckTypeLayout, LibHeader, RootModule, RootModuleResult,
};
use abi_stable::package_version_strings;
use abi_stable::prefix_type::WithMetadata;
use abi_stable::sabi_types::VersionStrings;

/// The contract has functions here.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootRef)))]
#[sabi(missing_field(panic))]
pub struct Root {
    #[sabi(last_prefix_field)]
    pub answer: u64,
}

impl RootModule for RootRef {
    abi_stable::declare_root_module_statics! {RootRef}
    const BASE_NAME: &'static str = "patchbay_plugin";
    const NAME: &'static str = "patchbay_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

const ROOT: &WithMetadata<Root> = &WithMetadata::new(Root { answer: 42 });

extern "C" fn load() -> RootModuleResult {
    __call_root_module_loader(|| RootRef(ROOT.static_as_prefix()))
}

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
pub static LIBRARY: LibHeader =
    // SAFETY: `load` makes a module of type `RootRef`.
    unsafe { LibHeader::from_constructor::<RootRef>(load, CheckTypeLayout::Yes) };

const JSON: &str = r#"{"id":"chameleon","name":"Chameleon","version":"1.0.1","author":"Somebody","description":"Has another layout","api_version":"v1"}"#;

#[used]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".patchbay")]
pub static PATCHBAY_MANIFEST: [u8; JSON.len()] = *JSON.as_bytes().first_chunk().expect("all of it");

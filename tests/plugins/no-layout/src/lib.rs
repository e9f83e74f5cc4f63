//! A library that keeps quiet about its layout, made without the SDK: nobody can tell whether it fits.

use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult};
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{ROption, RResult, RSlice, RStr};
use patchbay_plugin_api::abi::{AbiError, HostServices, Instance, RawInterface, Root, RootRef};

extern "C" fn describe() -> RStr<'static> {
    RStr::from_str(JSON)
}

extern "C" fn create(_services: HostServices, _config: RSlice<'_, u8>) -> RResult<Instance, AbiError> {
    // Nobody may come this far with a library that nobody could check.
    std::process::abort()
}

extern "C" fn get_interface(_name: RStr<'_>, _version: u32) -> ROption<RawInterface> {
    ROption::RNone
}

const ROOT: &WithMetadata<Root> = &WithMetadata::new(Root { describe, create, get_interface });

extern "C" fn load() -> RootModuleResult {
    __call_root_module_loader(|| RootRef(ROOT.static_as_prefix()))
}

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
pub static LIBRARY: LibHeader =
    // SAFETY: `load` makes a module of type `RootRef`.
    unsafe { LibHeader::from_constructor::<RootRef>(load, CheckTypeLayout::No) };

const JSON: &str = r#"{"id":"chameleon","name":"Chameleon","version":"1.0.1","author":"Somebody","description":"Says nothing of its layout","api_version":"v1"}"#;

#[used]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".patchbay")]
pub static PATCHBAY_MANIFEST: [u8; JSON.len()] = *JSON.as_bytes().first_chunk().expect("all of it");

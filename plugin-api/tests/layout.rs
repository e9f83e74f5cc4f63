//! Version 1 of the ABI is frozen. This renders every type that crosses the boundary, as abi_stable sees it, and
//! compares with what was released: a plugin of then must load on a host of now.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use abi_stable::StableAbi;
use abi_stable::type_layout::{TLField, TypeLayout};
use patchbay_plugin_api::abi::{
    AbiError, Batch, Call, HostServices, HttpRequest, HttpResponse, Instance, InstanceRef, Now,
    ProviderInterface, PullStream, RawInterface, RootRef,
};

/// Types of other crates are named with their size, those of this crate are described.
const OURS: [&str; 2] = ["patchbay-plugin-api", "async-ffi"];

fn describe(layout: &'static TypeLayout, types: &mut BTreeMap<String, String>) {
    let name = layout.full_type().to_string();
    if types.contains_key(&name) {
        return;
    }
    let mut text = format!("{name}: size {}, alignment {}\n", layout.size(), layout.alignment());
    types.insert(name.clone(), String::new());
    let ours = OURS.contains(&layout.package().as_str());
    for field in layout.get_fields().filter(|_| ours).into_iter().flatten() {
        describe_field(&field, &mut text, types);
    }
    // What a pointer to a module or a value points to.
    for field in layout.phantom_fields() {
        describe_field(&field, &mut text, types);
    }
    types.insert(name, text);
}

fn describe_field(field: &TLField, text: &mut String, types: &mut BTreeMap<String, String>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "    {}: {}", field.name(), field.full_type());
    for function in field.function_range() {
        let signature = function.to_string();
        let _ = writeln!(text, "        {}", signature.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if !field.is_function() {
        describe(field.layout(), types);
    }
}

#[test]
fn layouts_are_pinned() {
    let mut types = BTreeMap::new();
    // Parameters of functions are only named by abi_stable, so the types they have are listed here.
    for layout in [
        <RootRef as StableAbi>::LAYOUT,
        <ProviderInterface as StableAbi>::LAYOUT,
        <HostServices as StableAbi>::LAYOUT,
        <Instance as StableAbi>::LAYOUT,
        <InstanceRef as StableAbi>::LAYOUT,
        <Call as StableAbi>::LAYOUT,
        <RawInterface as StableAbi>::LAYOUT,
        <PullStream<Batch> as StableAbi>::LAYOUT,
        <Batch as StableAbi>::LAYOUT,
        <HttpRequest as StableAbi>::LAYOUT,
        <HttpResponse as StableAbi>::LAYOUT,
        <Now as StableAbi>::LAYOUT,
        <AbiError as StableAbi>::LAYOUT,
    ] {
        describe(layout, &mut types);
    }
    let text: String = types.into_values().collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/layout-v1.txt");
    let released = std::fs::read_to_string(path).unwrap_or_default();
    if text != released {
        let now = concat!(env!("CARGO_TARGET_TMPDIR"), "/layout-v1.txt");
        std::fs::write(now, &text).unwrap();
        panic!(
            "the layout of ABI v1 has changed: plugins of before would not load. Compare {path} with {now}"
        );
    }
}

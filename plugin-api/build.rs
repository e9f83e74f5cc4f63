//! Tells the library which compiler builds it: the manifest of every plugin carries it as `built_with`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    println!("cargo::rustc-env=PATCHBAY_RUSTC={}", version.trim());
    println!("cargo::rustc-env=PATCHBAY_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}

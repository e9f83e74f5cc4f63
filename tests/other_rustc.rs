//! A plugin built by another version of the compiler than the host: it loads, answers, streams, and unloads.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scenario::host::{Place, chat};
use crate::scenario::http::Connection;
use crate::skip::skip;

#[test]
fn a_plugin_of_another_compiler_is_a_plugin_like_any_other() {
    let hosts = version(Path::new("rustc")).expect("the compiler that built this test");
    let Some((compiler, version)) = another_compiler(&hosts) else {
        return skip(
            "a plugin built by another rustc",
            "apt-get install rustc-web, or name another version's rustc in PATCHBAY_OTHER_RUSTC",
        );
    };
    let library = build_mock(&compiler);

    let mut place = Place::new().unwrap();
    place.install("mock", &library).unwrap();
    let host = place.serve(env!("CARGO_BIN_EXE_patchbay").as_ref()).unwrap();

    let plugins = host.ask("GET", "/api/plugins", "").unwrap();
    let plugin = &plugins["plugins"][0];
    assert_eq!(plugin["state"], "active", "{plugins:#}\n{}", host.log());
    let built_with = plugin["built_with"]["rustc"].as_str().unwrap();
    assert_eq!(built_with, version);
    assert_ne!(built_with, hosts);

    assert_eq!(host.complete("mock", "hello from afar").unwrap(), "You said: hello from afar");

    let mut connection = Connection::open(host.address).unwrap();
    let (status, text) =
        connection.ask("POST", "/api/chat", &chat("mock", "mock:tokens=4 mock:slow=1")).unwrap();
    assert_eq!((status, text.as_str()), (200, "word1 word2 word3 word4"));

    // Its memory is the host's to free, and its threads and keys are gone when it is unloaded.
    host.ask("POST", "/api/plugins/mock/reload", "").unwrap();
    let settled = host.settled("mock").unwrap();
    assert_eq!(settled["generation"], 2, "{settled:#}");
    assert_eq!(settled["history"][1]["state"], "unloaded", "{settled:#}");
    assert_eq!(host.mapped().unwrap(), [("mock".to_owned(), 2)].into());

    let log = host.log();
    let status = host.stop().unwrap();
    assert!(status.success(), "{status}: {log}");
}

/// A compiler of another version than the host's, with its version.
fn another_compiler(hosts: &str) -> Option<(PathBuf, String)> {
    let named = std::env::var_os("PATCHBAY_OTHER_RUSTC").map(PathBuf::from);
    // Where Debian's packages rustc-web and rustc put theirs.
    let candidates = named.into_iter().chain([PathBuf::from("/usr/bin/rustc")]);
    candidates
        .filter_map(|compiler| Some((version(&compiler)?, compiler)))
        // Older ones cannot build the SDK.
        .find(|(version, _)| version != hosts && minor(version) >= minor_of_this_workspace())
        .map(|(version, compiler)| (compiler, version))
}

fn version(compiler: &Path) -> Option<String> {
    let output = Command::new(compiler).arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    version.starts_with("rustc ").then_some(version)
}

/// 96 of `rustc 1.96.0 (...)`, or of `1.96`.
fn minor(version: &str) -> Option<u32> {
    version.split_once("1.")?.1.split(['.', ' ']).next()?.parse().ok()
}

fn minor_of_this_workspace() -> Option<u32> {
    minor(env!("CARGO_PKG_RUST_VERSION"))
}

/// Everything in the library is of that compiler, its copy of std too.
fn build_mock(compiler: &Path) -> Vec<u8> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("other-rustc");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        // What this test depends on is in cargo's cache, and the mock needs nothing else.
        .args(["build", "--offline", "--locked", "-p", "mock", "--target-dir"])
        .arg(&target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("RUSTC", compiler);
    // A wrapper, flags or another folder for what is built would be for the other compiler.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_for_another_build(name)) {
        cargo.env_remove(name);
    }
    let output = cargo.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(target.join("debug/libmock.so")).unwrap()
}

fn is_for_another_build(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.contains("RUSTC_") && name.contains("WRAPPER")
        || name.ends_with("RUSTFLAGS")
        || ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "CARGO_BUILD_TARGET_DIR"].contains(&name.as_ref())
}

//! Libraries in C: nothing in them but what their source says.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Library;

/// Compiles `tests/plugins/c/{name}.c` with this manifest. None, with a visible line, where there is no compiler.
#[allow(clippy::print_stderr, reason = "a test that did less than it could must say so")]
pub fn compile(name: &str, manifest: &str, flags: &[&str]) -> Option<Library> {
    let dir = tempfile::tempdir().unwrap();
    let (source, library) = (source(name), dir.path().join(format!("lib{name}.so")));
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .arg(format!("-DMANIFEST={manifest:?}"))
        .args(flags)
        .arg(&source)
        .output();
    match compiled {
        Ok(output) => {
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            Some(Library::from_file(&library))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            crate::skip::skip(&format!("{name}: no C compiler (cc)"), "install gcc or clang");
            None
        }
        Err(error) => panic!("cc cannot be run: {error}"),
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/plugins/c").join(format!("{name}.c"))
}

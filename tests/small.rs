//! Plugins are small: what they say is their vendor's own, and what they do not need is not in them.

use std::path::{Path, PathBuf};

use object::{Object as _, ObjectSymbol as _};

use crate::harness::Library;

/// A plugin has fewer lines without its tests, comments and blank lines included.
const LINES: usize = 300;

/// Runtimes, clients and encryption: the host has them, and lends them.
const HOSTS: [&str; 6] = ["tokio", "reqwest", "hyper", "rustls", "openssl", "native_tls"];

/// The folders of all plugins that come with the host.
fn plugins() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let folders = ["builtin", "custom"].iter().flat_map(|kind| std::fs::read_dir(root.join(kind)).unwrap());
    let mut plugins: Vec<PathBuf> = folders.map(|folder| folder.unwrap().path()).collect();
    plugins.retain(|folder| folder.join("Cargo.toml").is_file());
    plugins.sort();
    assert!(plugins.len() > 10, "{plugins:?}");
    plugins
}

fn name(plugin: &Path) -> &str {
    plugin.file_name().unwrap().to_str().unwrap()
}

#[test]
fn no_plugin_has_a_runtime_or_a_client_of_its_own() {
    let mut found = Vec::new();
    for plugin in plugins() {
        let library = Library::built(&name(&plugin).replace('-', "_"));
        found.extend(crates_in(library.bytes()).iter().map(|name| format!("{name} in {}", plugin.display())));
    }
    assert_eq!(
        found,
        Vec::<String>::new(),
        "plugins ask the host for this: see `Host` in patchbay-plugin-api"
    );
    // The host, which has it, shows that it would be found.
    let host = std::fs::read(env!("CARGO_BIN_EXE_patchbay")).unwrap();
    assert_eq!(crates_in(&host), HOSTS[..4]);
}

/// Those of the crates of which a file has code, by its symbols: in both of Rust's manglings a crate's name stands
/// behind its length.
fn crates_in(file: &[u8]) -> Vec<&'static str> {
    let file = object::File::parse(file).unwrap();
    let symbols: Vec<&[u8]> = file.symbols().filter_map(|symbol| symbol.name_bytes().ok()).collect();
    assert!(symbols.len() > 1000, "the symbols are stripped, so that nothing can be said");
    let is_in = |name: &&str| {
        let mangled = format!("{}{name}", name.len());
        let finder = memchr::memmem::Finder::new(&mangled);
        symbols.iter().any(|symbol| finder.find(symbol).is_some())
    };
    HOSTS.into_iter().filter(is_in).collect()
}

#[test]
fn a_plugin_is_read_in_an_afternoon() {
    for plugin in plugins() {
        let name = name(&plugin);
        let lines = lines_of(&plugin.join("src"));
        assert!(lines > 0 && lines < LINES, "{name} has {lines} lines, and should have less than {LINES}");
    }
}

/// Those of all files but tests.
fn lines_of(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources = entries.filter(|path| path.file_stem().is_some_and(|stem| stem != "tests"));
    let lines = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => lines_of(&path),
        Some(extension) if extension == "rs" => std::fs::read_to_string(path).unwrap().lines().count(),
        _ => 0,
    };
    sources.map(lines).sum()
}

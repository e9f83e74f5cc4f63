//! What a library could do better. A host loads it all the same: nothing here refuses anything.

use std::collections::BTreeSet;

use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection as _, SectionFlags, elf};
use serde::Serialize;

use super::features::{Feature, Features};
use super::inspect::Inspection;
use crate::gateway::near::near;

/// Something for a plugin's author to think about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Stable, machine-readable: `debug_build`.
    pub code: &'static str,
    /// What was seen.
    pub message: String,
    /// What to do about it; none where nothing need be done.
    pub hint: Option<&'static str>,
}

/// A stripped plugin seldom is larger, unless there is something in it that the host lends anyway.
const SMALL_BYTES: u64 = 800 * 1000;

/// What the host does for its plugins, and what does it when a plugin brings it along.
const BROUGHT_ALONG: [(&str, &[&str]); 2] = [
    ("an async runtime", &["tokio", "async-std", "smol", "async-executor", "async-global-executor"]),
    (
        "an HTTP or TLS stack",
        &[
            "reqwest",
            "hyper",
            "h2",
            "ureq",
            "isahc",
            "curl",
            "attohttpc",
            "rustls",
            "openssl",
            "native-tls",
            "boring",
            "ring",
            "aws-lc-rs",
        ],
    ),
];

/// A message of checks that only builds with debug assertions have in them.
const ASSERTION: &[u8] = b"unsafe precondition(s) violated";

/// Looks at a library that can be loaded.
pub(super) fn advise(bytes: &[u8], inspection: &Inspection) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut add = |code, message, hint| advice.push(Advice { code, message, hint });
    if let Some(glibc) = inspection.needs_glibc {
        add("glibc_floor", format!("runs on glibc {glibc} and newer"), None);
    }
    for (what, crates) in BROUGHT_ALONG {
        let seen = seen(bytes, inspection, crates);
        if !seen.is_empty() {
            let seen = seen.into_iter().collect::<Vec<_>>().join(", ");
            let hint = "ask with the host's services instead, which have the pool, the limits and the key; what a \
                        plugin starts by itself cannot be unloaded";
            add("brought_along", format!("{what} is inside ({seen})"), Some(hint));
        }
    }
    if inspection.static_tls {
        let hint =
            "build it without -ftls-model=initial-exec and without an allocator of its own, jemalloc mostly";
        let message =
            "it asks for static thread-local storage, of which a process has little: loading it may fail";
        add("static_tls", message.to_owned(), Some(hint));
    }
    let for_debugging = memchr::memmem::find(bytes, ASSERTION).is_some();
    if for_debugging {
        let message = "it was built for debugging: it is slow, and several times as large";
        add("debug_build", message.to_owned(), Some("build it with --release"));
    }
    let Size { stripped, has_symbols } = Size::of(bytes);
    let kilobytes = |bytes: u64| bytes.div_ceil(1000);
    if has_symbols {
        let (now, then) = (kilobytes(bytes.len() as u64), kilobytes(stripped));
        let message = format!("it has symbols or debug information: {now} KB, and {then} KB without");
        add(
            "not_stripped",
            message,
            Some("set strip = \"symbols\" in its release profile, or run strip on it"),
        );
    }
    if stripped > SMALL_BYTES && !for_debugging {
        let hint = "set lto = \"fat\", codegen-units = 1 and opt-level = \"s\" in its release profile, and see with \
                    cargo tree what it depends on";
        add("large", format!("it has {} KB without symbols", kilobytes(stripped)), Some(hint));
    }
    advice
}

/// Looks at what a plugin says that it does: a word that is misspelt is asked of it by nobody.
pub(super) fn advise_on_features(features: &Features) -> Vec<Advice> {
    let hint = "look at the words that the documentation of patchbay_plugin_api lists, and rebuild it";
    let words = Feature::ALL.map(Feature::word);
    let unknown = features.unknown().iter().map(|word| {
        let near = near(word, words.into_iter()).into_iter().next();
        let near = near.map_or(String::new(), |near| format!(": is {near} meant?"));
        let message = format!("the feature {word} says nothing to this host{near}");
        Advice { code: "unknown_feature", message, hint: Some(hint) }
    });
    let mut advice: Vec<Advice> = unknown.collect();
    if !features.has(Feature::ChatCompletion) && !features.has(Feature::Embeddings) {
        let message =
            "it has neither chat_completion nor embeddings among its features: nobody will be sent to it";
        advice.push(Advice { code: "no_service", message: message.to_owned(), hint: Some(hint) });
    }
    advice
}

/// Which of these crates are in the library: told by the places in their sources that panics name, which stripping
/// leaves, or by a shared library it is linked to. A crate that is not seen may be there all the same.
fn seen(bytes: &[u8], inspection: &Inspection, crates: &[&'static str]) -> BTreeSet<&'static str> {
    let linked = |name: &str| {
        let library = if name == "openssl" { "libssl." } else { return false };
        inspection.needed.iter().any(|needed| needed.starts_with(library))
    };
    let is_named = |name: &str| {
        let start = format!("/{name}-");
        memchr::memmem::find_iter(bytes, &start).any(|at| is_source(&bytes[at + start.len()..]))
    };
    crates.iter().copied().filter(|name| linked(name) || is_named(name)).collect()
}

/// Whether a path goes on as that of a crate's source: `1.48.0/src/`, perhaps with words behind the version.
fn is_source(rest: &[u8]) -> bool {
    let version = &rest[..rest.len().min(64)];
    let Some(end) = memchr::memchr(b'/', version) else { return false };
    version.first().is_some_and(u8::is_ascii_digit)
        && version[..end].contains(&b'.')
        && rest[end..].starts_with(b"/src/")
}

struct Size {
    /// What is left without what is not loaded.
    stripped: u64,
    has_symbols: bool,
}

impl Size {
    fn of(bytes: &[u8]) -> Self {
        let whole = Self { stripped: bytes.len() as u64, has_symbols: false };
        let Ok(file) = ElfFile64::<Endianness>::parse(bytes) else { return whole };
        let (mut dropped, mut has_symbols) = (0, false);
        for section in file.sections() {
            let name = section.name().unwrap_or_default();
            let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
            if sh_flags & u64::from(elf::SHF_ALLOC) != 0 {
                continue;
            }
            if name.starts_with(".debug_") || name == ".symtab" || name == ".strtab" {
                dropped += section.file_range().map_or(0, |(_, size)| size);
                has_symbols |= name != ".strtab";
            }
        }
        Self { stripped: whole.stripped.saturating_sub(dropped), has_symbols }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::platform::Glibc;

    fn inspection() -> Inspection {
        Inspection {
            manifest_json: Vec::new(),
            machine: "x86_64",
            nodelete: false,
            static_tls: false,
            needs_glibc: None,
            needed: vec!["libc.so.6".into()],
        }
    }

    fn codes(bytes: &[u8], inspection: &Inspection) -> Vec<&'static str> {
        advise(bytes, inspection).iter().map(|advice| advice.code).collect()
    }

    #[test]
    fn what_is_as_it_should_be_needs_no_advice() {
        assert_eq!(codes(b"/registry/src/serde_json-1.0.1/src/de.rs", &inspection()), [""; 0]);
    }

    #[test]
    fn what_was_brought_along_is_seen_by_its_sources() {
        for (bytes, seen) in [
            (&b"/x/tokio-1.48.0/src/runtime/mod.rs"[..], true),
            (b"/x/h2-0.4.12/src/lib.rs", true),
            (b"/x/rustls-0.23.0+patched/src/lib.rs", true),
            // Others with a longer name, and words that only look like it.
            (b"/x/tokio-util-0.7.0/src/lib.rs", false),
            (b"/x/my-tokio-1.0.0/src/lib.rs", false),
            (b"/v1/h2-4/src/", false),
            (b"/x/tokio-1.48.0", false),
        ] {
            let expected = if seen { &["brought_along"][..] } else { &[] };
            assert_eq!(codes(bytes, &inspection()), expected, "{}", String::from_utf8_lossy(bytes));
        }
        let linked = Inspection { needed: vec!["libssl.so.3".into()], ..inspection() };
        let advice = advise(b"", &linked);
        assert_eq!(advice[0].message, "an HTTP or TLS stack is inside (openssl)");
    }

    #[test]
    fn the_rest_is_told_by_the_file() {
        let old = Inspection { needs_glibc: Some(Glibc(2, 34)), static_tls: true, ..inspection() };
        assert_eq!(codes(ASSERTION, &old), ["glibc_floor", "static_tls", "debug_build"]);
        assert_eq!(advise(b"", &old)[0].message, "runs on glibc 2.34 and newer");
        assert_eq!(codes(&vec![0; 900_000], &inspection()), ["large"]);
    }

    #[test]
    fn symbols_are_found_and_counted() {
        // This very program, which cargo has not stripped.
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let Size { stripped, has_symbols } = Size::of(&bytes);
        assert!(has_symbols && stripped < bytes.len() as u64 && stripped > 0);
    }

    #[test]
    fn misspelt_features_are_named() {
        let advice = |words: &[&str]| {
            let features: Features = words.iter().map(|&word| word.to_owned()).collect();
            advise_on_features(&features).into_iter().map(|advice| advice.message).collect::<Vec<_>>()
        };
        assert!(advice(&["chat_completion", "streaming"]).is_empty() && advice(&["embeddings"]).is_empty());
        let said = advice(&["chat_completions", "telepathy"]);
        assert_eq!(
            said[0],
            "the feature chat_completions says nothing to this host: is chat_completion meant?"
        );
        assert_eq!(said[1], "the feature telepathy says nothing to this host");
        assert!(said[2].starts_with("it has neither chat_completion nor embeddings"), "{said:?}");
    }
}

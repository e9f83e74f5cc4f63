//! Reads a library without running any of it: can this host load it, and what does its manifest say?
//!
//! The loader trusts what it maps. A file that was cut short, or left with holes by a copy that broke off, does not
//! make it fail but crash, so whatever the loader follows is followed here first. What still gets through meets
//! the probe process.

// What kind of file it is, by its first bytes.
mod header;
// Segments and sections, and that all of them are in the file.
mod layout;
// Blocks of zeros where no library has any.
mod holes;
// The dynamic section: the loader's list of everything else.
mod dynamic;
// Exported and imported symbols, and the tables they are found by.
mod symbols;
// The places the loader writes to, and the functions it calls first.
mod relocations;
// Versions of symbols, among them the glibc that is needed.
mod versions;

use patchbay_plugin_api::abi::MANIFEST_SECTION;
use thiserror::Error;

use self::dynamic::Dynamic;
use self::layout::Layout;
use self::relocations::Relocations;
use self::symbols::Symbols;
use super::platform::{Glibc, Platform};
use super::problem::{Problem, ProblemCode, Step};

/// Manifests are a few kilobytes; a section beyond this is not one.
const MAX_MANIFEST_BYTES: usize = 256 << 10;

/// What was learnt from a library that can be loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// The manifest section, without the zero bytes that compilers put behind strings.
    pub manifest_json: Vec<u8>,
    /// As in [`std::env::consts::ARCH`].
    pub machine: &'static str,
    /// The library asks never to be unmapped.
    pub nodelete: bool,
    /// The library wants room in a block that every thread has only a little of; loading may fail for it.
    pub static_tls: bool,
    /// The newest glibc that a symbol asks for.
    pub needs_glibc: Option<Glibc>,
    /// The libraries it is linked to.
    pub needed: Vec<String>,
}

/// Why a file cannot be loaded as a plugin.
#[derive(Error, Debug, PartialEq)]
pub enum InspectError {
    #[error("the file is empty")]
    Empty,
    #[error("the file is {found}, not a library")]
    NotALibrary { found: &'static str },
    #[error("the library was built for {built_for}, this host is {host}")]
    OtherMachine { built_for: String, host: &'static str, triple: String },
    #[error("the library was built for {built_for}, this host uses {host}")]
    OtherLibc { built_for: &'static str, host: &'static str, triple: String },
    #[error("the file is {found}, not a shared library")]
    NotShared { found: &'static str },
    #[error("the library was linked with -z nodlopen, so that it cannot be loaded at run time")]
    NotForLoading,
    #[error("the file is cut short: {what} should reach to byte {end}, but there are only {size}")]
    Truncated { what: String, end: u64, size: u64 },
    #[error("the library is damaged: {what}")]
    Damaged { what: String },
    #[error("the library has no {MANIFEST_SECTION} section, so it is not a plugin")]
    NoManifest,
    #[error("the library has {count} {MANIFEST_SECTION} sections")]
    SeveralManifests { count: usize },
    #[error("the library's manifest has {size} bytes, more than the {MAX_MANIFEST_BYTES} that are allowed")]
    ManifestTooLarge { size: usize },
    #[error("the library needs GLIBC_{needs}, this system has {has}")]
    GlibcTooOld { needs: Glibc, has: Glibc, triple: String },
}

impl InspectError {
    pub fn problem(&self) -> Problem {
        const AGAIN: &str = "copy it again, to a temporary name first; if that does not help, rebuild it";
        const CDYLIB: &str = "build the plugin with crate-type = [\"cdylib\"] and put its .so file here";
        const EXPORT: &str = "export the plugin with the macro of patchbay-plugin-api, or remove the file";
        let (code, hint) = match self {
            Self::Empty => (ProblemCode::FileEmpty, AGAIN.to_owned()),
            Self::NotALibrary { .. } => (ProblemCode::NotALibrary, CDYLIB.to_owned()),
            Self::OtherMachine { triple, .. } => {
                (ProblemCode::WrongMachine, format!("rebuild it with --target {triple}"))
            }
            Self::OtherLibc { triple, .. } => {
                (ProblemCode::WrongLibc, format!("rebuild it with --target {triple}"))
            }
            Self::NotShared { .. } => (ProblemCode::NotASharedLibrary, CDYLIB.to_owned()),
            Self::NotForLoading => (ProblemCode::NotForLoading, "link it without -z nodlopen".to_owned()),
            Self::Truncated { .. } => (ProblemCode::FileTruncated, AGAIN.to_owned()),
            Self::Damaged { .. } => (ProblemCode::FileDamaged, AGAIN.to_owned()),
            Self::NoManifest => (ProblemCode::ManifestMissing, EXPORT.to_owned()),
            Self::SeveralManifests { .. } => {
                (ProblemCode::ManifestRepeated, "export one plugin per library".to_owned())
            }
            Self::ManifestTooLarge { .. } => {
                (ProblemCode::ManifestTooLarge, "shorten the manifest's schema and samples".to_owned())
            }
            Self::GlibcTooOld { has, triple, .. } => (
                ProblemCode::GlibcTooOld,
                format!("build it on an older system (or with cargo zigbuild --target {triple}.{has})"),
            ),
        };
        Problem::new(Step::Read, code, self, hint)
    }

    fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

/// Reads the bytes of a library. Never panics, whatever the bytes are.
pub fn inspect(bytes: &[u8], platform: &Platform) -> Result<Inspection, InspectError> {
    let machine = header::check(bytes, platform)?;
    let layout = Layout::read(bytes)?;
    // Programs are refused by name before they could be refused as libraries without a manifest.
    if layout.has_interpreter() {
        return Err(InspectError::NotShared { found: "a program" });
    }
    let manifest_json = manifest(&layout)?;
    holes::check(&layout)?;
    let dynamic = Dynamic::read(&layout)?;
    check_purpose(&dynamic, platform)?;
    let symbols = Symbols::read(&layout, &dynamic)?;
    Relocations::read(&layout, &dynamic, &symbols, machine)?.check_functions(&layout, &dynamic)?;
    let needs_glibc = versions::check(&layout, &dynamic, &symbols)?;
    if let (Some(needs), Some(has)) = (needs_glibc, platform.glibc)
        && needs > has
    {
        return Err(InspectError::GlibcTooOld { needs, has, triple: platform.triple() });
    }
    Ok(Inspection {
        manifest_json,
        machine,
        nodelete: dynamic.nodelete(),
        static_tls: dynamic.static_tls(),
        needs_glibc,
        needed: dynamic.needed.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
    })
}

/// Judges by the first bytes alone: a few hundred, or all there are.
pub fn begins_well(head: &[u8], platform: &Platform) -> Result<(), InspectError> {
    header::check(head, platform).map(drop)
}

fn manifest(layout: &Layout<'_>) -> Result<Vec<u8>, InspectError> {
    let sections: Vec<_> =
        layout.sections.iter().filter(|section| section.name == MANIFEST_SECTION.as_bytes()).collect();
    let section = match sections[..] {
        [] => return Err(InspectError::NoManifest),
        [section] => section,
        _ => return Err(InspectError::SeveralManifests { count: sections.len() }),
    };
    let data = layout
        .data_of(section)
        .ok_or_else(|| InspectError::damaged("its manifest section is not stored plainly in the file"))?;
    if data.len() > MAX_MANIFEST_BYTES {
        return Err(InspectError::ManifestTooLarge { size: data.len() });
    }
    let end = data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if end == 0 {
        return Err(InspectError::damaged("its manifest section holds nothing but zeros"));
    }
    Ok(data[..end].to_vec())
}

/// What the library itself says it is for.
fn check_purpose(dynamic: &Dynamic<'_>, platform: &Platform) -> Result<(), InspectError> {
    if dynamic.is_program() {
        return Err(InspectError::NotShared { found: "a program" });
    }
    if dynamic.refuses_loading() {
        return Err(InspectError::NotForLoading);
    }
    let musl = dynamic.needed.iter().any(|name| *name == b"libc.so" || name.starts_with(b"libc.musl-"));
    let glibc = dynamic.needed.contains(&&b"libc.so.6"[..]);
    let (built_for, host) = match platform.env {
        "gnu" if musl => ("musl", "glibc"),
        "musl" if glibc => ("glibc", "musl"),
        _ => return Ok(()),
    };
    Err(InspectError::OtherLibc { built_for, host, triple: platform.triple() })
}

#[cfg(test)]
mod tests;

//! Versions of symbols: each symbol's index must be known, because the loader looks it up unchecked.

use std::collections::BTreeSet;

use object::elf;

use super::InspectError;
use super::dynamic::Dynamic;
use super::layout::{Layout, u16_at, u32_at};
use super::symbols::Symbols;
use crate::plugins::platform::Glibc;

/// Real libraries have a few dozen; a damaged chain could wander for hours.
const MAX_VERSIONS: usize = 4096;

/// Checks the version tables and answers with the newest glibc that they ask for.
pub(super) fn check(
    layout: &Layout<'_>,
    dynamic: &Dynamic<'_>,
    symbols: &Symbols<'_>,
) -> Result<Option<Glibc>, InspectError> {
    let mut versions = Versions { layout, dynamic, known: BTreeSet::new(), glibc: None, left: MAX_VERSIONS };
    let sound = match (versions.read_needed(), versions.read_defined()) {
        (Some(()), Some(())) => versions.check_symbols(symbols),
        _ => None,
    };
    sound.ok_or_else(|| InspectError::damaged("the versions of its symbols make no sense"))?;
    Ok(versions.glibc)
}

struct Versions<'l, 'a> {
    layout: &'l Layout<'a>,
    dynamic: &'l Dynamic<'a>,
    known: BTreeSet<u16>,
    glibc: Option<Glibc>,
    /// How many more records may be read.
    left: usize,
}

impl<'a> Versions<'_, 'a> {
    /// What other libraries must have: a chain of libraries, each with a chain of versions.
    fn read_needed(&mut self) -> Option<()> {
        let Some(mut at) = self.dynamic.value(elf::DT_VERNEED) else { return Some(()) };
        loop {
            let library = self.record(at, 16)?;
            // The loader asserts that this library is among those that are linked to.
            let name = self.dynamic.string(u64::from(u32_at(library, 4)?))?;
            if u16_at(library, 0)? != elf::VER_NEED_CURRENT || !self.dynamic.needed.contains(&name) {
                return None;
            }
            self.read_versions(at.checked_add(u64::from(u32_at(library, 8)?))?)?;
            match u32_at(library, 12)? {
                0 => return Some(()),
                next => at = at.checked_add(u64::from(next))?,
            }
        }
    }

    fn read_versions(&mut self, mut at: u64) -> Option<()> {
        loop {
            let version = self.record(at, 16)?;
            let name = self.dynamic.string(u64::from(u32_at(version, 8)?))?;
            if u32_at(version, 0)? != elf_hash(name) {
                return None;
            }
            self.known.insert(u16_at(version, 6)? & elf::VERSYM_VERSION);
            // A library does without what it asks for weakly.
            if u16_at(version, 4)? & elf::VER_FLG_WEAK == 0 {
                self.glibc = self.glibc.max(glibc_of(name));
            }
            match u32_at(version, 12)? {
                0 => return Some(()),
                next => at = at.checked_add(u64::from(next))?,
            }
        }
    }

    /// What the library itself has.
    fn read_defined(&mut self) -> Option<()> {
        let Some(mut at) = self.dynamic.value(elf::DT_VERDEF) else { return Some(()) };
        loop {
            let version = self.record(at, 20)?;
            if u16_at(version, 0)? != elf::VER_DEF_CURRENT {
                return None;
            }
            self.known.insert(u16_at(version, 4)? & elf::VERSYM_VERSION);
            let name = self.record(at.checked_add(u64::from(u32_at(version, 12)?))?, 8)?;
            self.dynamic.string(u64::from(u32_at(name, 0)?))?;
            match u32_at(version, 16)? {
                0 => return Some(()),
                next => at = at.checked_add(u64::from(next))?,
            }
        }
    }

    fn check_symbols(&self, symbols: &Symbols<'_>) -> Option<()> {
        let Some(address) = self.dynamic.value(elf::DT_VERSYM) else { return Some(()) };
        let table = self.layout.at(address, 2 * symbols.count as u64)?;
        let known = |index: u16| index <= elf::VER_NDX_GLOBAL || self.known.contains(&index);
        let indexes = table.chunks_exact(2).map(|entry| u16_at(entry, 0));
        indexes.flatten().all(|index| known(index & elf::VERSYM_VERSION)).then_some(())
    }

    fn record(&mut self, address: u64, size: u64) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        self.layout.at(address, size)
    }
}

/// `GLIBC_2.34` is what it says. Packed relocations have a version of their own, which came with 2.36.
fn glibc_of(name: &[u8]) -> Option<Glibc> {
    match std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")? {
        "ABI_DT_RELR" => Some(Glibc(2, 36)),
        number => Glibc::parse(number),
    }
}

fn elf_hash(name: &[u8]) -> u32 {
    name.iter().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(*byte));
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

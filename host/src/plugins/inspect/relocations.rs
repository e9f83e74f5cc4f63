//! The places that the loader writes addresses to, and the functions that it calls before and after everything else.

use std::collections::BTreeMap;

use object::elf;

use super::InspectError;
use super::dynamic::{DT_RELR, DT_RELRSZ, Dynamic};
use super::layout::{Layout, u64_at};
use super::symbols::Symbols;

/// The size of one relocation.
const ENTRY_SIZE: usize = 24;
/// The size of an address.
const WORD: u64 = 8;

/// The lists of functions that run when a library is opened and closed.
const FUNCTION_LISTS: [(u32, u32, &str); 2] = [
    (elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ, "constructor"),
    (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ, "destructor"),
];

/// What will be written into the function lists: the address, when it lies in the library.
pub(super) struct Relocations {
    functions: BTreeMap<u64, Option<u64>>,
}

impl Relocations {
    pub(super) fn read(
        layout: &Layout<'_>,
        dynamic: &Dynamic<'_>,
        symbols: &Symbols<'_>,
        machine: &str,
    ) -> Result<Self, InspectError> {
        let lists = FUNCTION_LISTS.map(|(address, size, _)| {
            let address = dynamic.value(address).unwrap_or(0);
            address..address.saturating_add(dynamic.value(size).unwrap_or(0))
        });
        let rights = if dynamic.writes_to_code() { 0 } else { elf::PF_W };
        let mut functions = BTreeMap::new();
        let mut write = |place: u64, target: Option<u64>| {
            if lists.iter().any(|list| list.contains(&place)) {
                functions.insert(place, target);
            }
            layout.maps(place, WORD, rights)
        };

        let kinds = Kinds::of(machine);
        let leading = dynamic.value(elf::DT_RELACOUNT).unwrap_or(0);
        let tables = [
            ("relocation", elf::DT_RELA, elf::DT_RELASZ, leading),
            ("procedure linkage", elf::DT_JMPREL, elf::DT_PLTRELSZ, 0),
        ];
        for (name, address, size, leading) in tables {
            let table = dynamic.table(layout, name, address, size)?;
            let entries = table.chunks_exact(ENTRY_SIZE);
            if !entries.remainder().is_empty() || leading > entries.len() as u64 {
                return Err(InspectError::damaged(format!("its {name} table has an odd size")));
            }
            for (index, entry) in (0..).zip(entries) {
                let entry = Entry::read(entry).filter(|entry| {
                    // The loader believes that so many at the beginning are relative, and does not look.
                    (index >= leading || kinds.is_none_or(|kinds| entry.kind == kinds.relative))
                        && entry.is_sound(layout, symbols, kinds, &mut write)
                });
                entry.ok_or_else(|| {
                    InspectError::damaged(format!("entry {index} of its {name} table makes no sense"))
                })?;
            }
        }
        let packed = dynamic.table(layout, "packed relocation", DT_RELR, DT_RELRSZ)?;
        read_packed(packed, |place| write(place, layout.at(place, WORD).and_then(|word| u64_at(word, 0))))
            .ok_or_else(|| InspectError::damaged("its packed relocation table makes no sense"))?;
        Ok(Self { functions })
    }

    /// Every function that the loader will call must be one: a zero here is a jump to nowhere.
    pub(super) fn check_functions(
        &self,
        layout: &Layout<'_>,
        dynamic: &Dynamic<'_>,
    ) -> Result<(), InspectError> {
        let is_code = |address: u64| {
            let zeros = layout.at(address, 4).is_none_or(|code| code.iter().all(|byte| *byte == 0));
            layout.maps(address, 1, elf::PF_X) && !zeros
        };
        for tag in [elf::DT_INIT, elf::DT_FINI] {
            if dynamic.value(tag).is_some_and(|address| !is_code(address)) {
                return Err(InspectError::damaged("its first or last function is not in its code"));
            }
        }
        for (address, size, what) in FUNCTION_LISTS {
            let list = dynamic.table(layout, what, address, size)?;
            let start = dynamic.value(address).unwrap_or(0);
            if !(list.len() as u64).is_multiple_of(WORD) {
                return Err(InspectError::damaged(format!("its {what} table has an odd size")));
            }
            for index in 0..list.len() as u64 / WORD {
                match self.functions.get(&(start + index * WORD)) {
                    Some(target) if target.is_none_or(is_code) => {}
                    _ => return Err(InspectError::damaged(format!("{what} {index} is not in its code"))),
                }
            }
        }
        Ok(())
    }
}

/// The relocations that mean the same on every machine but have other numbers.
#[derive(Clone, Copy)]
struct Kinds {
    relative: u32,
    indirect: u32,
}

impl Kinds {
    fn of(machine: &str) -> Option<Self> {
        let (relative, indirect) = match machine {
            "x86_64" => (elf::R_X86_64_RELATIVE, elf::R_X86_64_IRELATIVE),
            "aarch64" => (elf::R_AARCH64_RELATIVE, elf::R_AARCH64_IRELATIVE),
            "riscv64" => (elf::R_RISCV_RELATIVE, elf::R_RISCV_IRELATIVE),
            _ => return None,
        };
        Some(Self { relative, indirect })
    }
}

struct Entry {
    place: u64,
    kind: u32,
    symbol: u64,
    addend: u64,
}

impl Entry {
    fn read(entry: &[u8]) -> Option<Self> {
        let info = u64_at(entry, 8)?;
        // The lower half is the kind; cutting off the symbol is the point.
        let kind = (info & u64::from(u32::MAX)) as u32;
        Some(Self { place: u64_at(entry, 0)?, kind, symbol: info >> 32, addend: u64_at(entry, 16)? })
    }

    fn is_sound(
        &self,
        layout: &Layout<'_>,
        symbols: &Symbols<'_>,
        kinds: Option<Kinds>,
        write: &mut impl FnMut(u64, Option<u64>) -> bool,
    ) -> bool {
        // Kind 0 is "none" on every machine: linkers leave some behind, the loader skips them.
        if self.kind == 0 {
            return true;
        }
        let is = |kind: fn(Kinds) -> u32| kinds.is_some_and(|kinds| kind(kinds) == self.kind);
        let target = is(|kinds| kinds.relative).then_some(self.addend);
        let resolver_missing = is(|kinds| kinds.indirect) && !layout.maps(self.addend, 1, elf::PF_X);
        self.symbol < symbols.count as u64 && !resolver_missing && write(self.place, target)
    }
}

/// Packed relative relocations: an even word is a place, an odd one says which of the next 63 words follow.
fn read_packed(table: &[u8], mut write: impl FnMut(u64) -> bool) -> Option<()> {
    let words = table.chunks_exact(WORD as usize);
    if !words.remainder().is_empty() {
        return None;
    }
    let mut next = None;
    for word in words {
        let word = u64_at(word, 0)?;
        if word & 1 == 0 {
            write(word).then_some(())?;
            next = Some(word.checked_add(WORD)?);
            continue;
        }
        let start = next?;
        for bit in (0..63).filter(|bit| word >> (bit + 1) & 1 == 1) {
            write(start.checked_add(bit * WORD)?).then_some(())?;
        }
        next = Some(start.checked_add(63 * WORD)?);
    }
    Some(())
}

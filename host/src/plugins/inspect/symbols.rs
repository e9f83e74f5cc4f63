//! The symbols a library exports and imports, and the hash tables by which the loader finds them.

use object::elf;

use super::InspectError;
use super::dynamic::Dynamic;
use super::layout::{Layout, u16_at, u32_at, u64_at};

/// The size of one symbol.
const SYMBOL_SIZE: usize = 24;

/// How many symbols there are, and which strings are their names.
pub(super) struct Symbols<'a> {
    pub(super) count: usize,
    names: Vec<&'a [u8]>,
}

impl<'a> Symbols<'a> {
    pub(super) fn read(layout: &Layout<'a>, dynamic: &Dynamic<'a>) -> Result<Self, InspectError> {
        // Only the section says how many there are; the loader goes by the address alone.
        let mut sections = layout.sections.iter().filter(|section| section.kind == elf::SHT_DYNSYM);
        let (Some(section), None) = (sections.next(), sections.next()) else {
            return Err(InspectError::damaged("it does not have one table of dynamic symbols"));
        };
        let data = layout
            .at(section.address, section.size)
            .filter(|data| {
                dynamic.value(elf::DT_SYMTAB) == Some(section.address) && data.len() >= SYMBOL_SIZE
            })
            .ok_or_else(|| InspectError::damaged("its symbols are not where it says"))?;
        let mut names = Vec::with_capacity(data.len() / SYMBOL_SIZE);
        for (index, symbol) in data.chunks_exact(SYMBOL_SIZE).enumerate() {
            let name = check_symbol(symbol, index, layout, dynamic);
            names.push(name.ok_or_else(|| InspectError::damaged(format!("symbol {index} makes no sense")))?);
        }
        let symbols = Self { count: names.len(), names };
        symbols.check_hashes(layout, dynamic)?;
        Ok(symbols)
    }

    fn check_hashes(&self, layout: &Layout<'_>, dynamic: &Dynamic<'_>) -> Result<(), InspectError> {
        let (gnu, old) = (dynamic.value(elf::DT_GNU_HASH), dynamic.value(elf::DT_HASH));
        let table = |address: u64| layout.from(address).unwrap_or_default();
        let sound = match (gnu, old) {
            (None, None) => false,
            (gnu, old) => {
                gnu.is_none_or(|address| self.check_gnu_hash(table(address)).is_some())
                    && old.is_none_or(|address| self.check_old_hash(table(address)).is_some())
            }
        };
        let error = || InspectError::damaged("the hash table of its symbols makes no sense");
        sound.then_some(()).ok_or_else(error)
    }

    /// Each exported symbol's hash must be that of its name, which also proves names and symbols intact.
    fn check_gnu_hash(&self, table: &[u8]) -> Option<()> {
        let word = |index: usize| u32_at(table, index.checked_mul(4)?);
        let size = |index: usize| usize::try_from(word(index)?).ok();
        let (buckets, first, filters, shift) = (size(0)?, size(1)?, size(2)?, word(3)?);
        if buckets == 0 || !filters.is_power_of_two() || shift >= u32::BITS || first > self.count {
            return None;
        }
        let bucket_start = filters.checked_mul(2)?.checked_add(4)?;
        let chain_start = bucket_start.checked_add(buckets)?;
        let mut used = false;
        for index in bucket_start..chain_start {
            let bucket = size(index)?;
            if bucket != 0 && !(first..self.count).contains(&bucket) {
                return None;
            }
            used |= bucket != 0;
        }
        // A library that exports nothing has no chain, and may not even count its symbols here.
        if !used {
            return Some(());
        }
        let mut ends = true;
        for (distance, name) in self.names.get(first..)?.iter().enumerate() {
            let hash = word(chain_start.checked_add(distance)?)?;
            if hash | 1 != gnu_hash(name) | 1 {
                return None;
            }
            ends = hash & 1 == 1;
        }
        ends.then_some(())
    }

    /// The chains of the older kind of table could lead in circles.
    fn check_old_hash(&self, table: &[u8]) -> Option<()> {
        let word = |index: usize| usize::try_from(u32_at(table, index.checked_mul(4)?)?).ok();
        let (buckets, chains) = (word(0)?, word(1)?);
        if buckets == 0 || chains != self.count {
            return None;
        }
        let chain_start = buckets.checked_add(2)?;
        let mut seen = vec![false; chains];
        for bucket in 2..chain_start {
            let mut symbol = word(bucket)?;
            while symbol != 0 {
                if std::mem::replace(seen.get_mut(symbol)?, true) {
                    return None;
                }
                symbol = word(chain_start.checked_add(symbol)?)?;
            }
        }
        Some(())
    }
}

/// Checks that a symbol points at a name and into the library, and answers with the name.
fn check_symbol<'a>(
    symbol: &[u8],
    index: usize,
    layout: &Layout<'_>,
    dynamic: &Dynamic<'a>,
) -> Option<&'a [u8]> {
    let name = dynamic.string(u64::from(u32_at(symbol, 0)?))?;
    let (info, section, value) = (*symbol.get(4)?, u16_at(symbol, 6)?, u64_at(symbol, 8)?);
    if index == 0 {
        return symbol.iter().all(|byte| *byte == 0).then_some(name);
    }
    let (start, end) = layout.bounds();
    let sound = match (section, info & 0xf) {
        // The loader looks at no other section numbers, and tools leave wrong ones behind.
        (elf::SHN_UNDEF, _) => !name.is_empty(),
        (elf::SHN_ABS, _) => true,
        (_, elf::STT_TLS) => {
            let mut blocks = layout.segments.iter().filter(|segment| segment.kind == elf::PT_TLS);
            blocks.any(|block| value <= block.memory_size)
        }
        (_, elf::STT_FUNC | elf::STT_GNU_IFUNC) => layout.maps(value, 1, elf::PF_X),
        // Symbols such as `_end` lie just behind the last byte.
        _ => (start..=end).contains(&value),
    };
    sound.then_some(name)
}

fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

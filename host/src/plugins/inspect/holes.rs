//! A copy that broke off may leave a file of the right length with zeros in it: blocks that were never written.

use object::elf;

use super::InspectError;
use super::layout::{Layout, Section};

/// What file systems and downloads write at once.
const BLOCK: u64 = 4096;
/// Fewer zeros than a disk sector may be chance at the edge of a section.
const SECTOR: usize = 512;
/// A whole section of zeros is damage, unless it is the mere end mark of an empty list.
const END_MARK: usize = 24;

/// Looks for zeroed blocks in those sections where a linker never puts any.
pub(super) fn check(layout: &Layout<'_>) -> Result<(), InspectError> {
    for section in layout.sections.iter().filter(|section| is_dense(section)) {
        let Some(data) = layout.data_of(section) else { continue };
        // Blocks are aligned in the file, so the first part may be shorter.
        let first = usize::try_from(BLOCK - section.offset % BLOCK).unwrap_or(0).min(data.len());
        let (head, tail) = data.split_at(first);
        for part in std::iter::once(head).chain(tail.chunks(BLOCK as usize)) {
            let large = part.len() >= SECTOR || (part.len() == data.len() && part.len() > END_MARK);
            if large && part.iter().all(|byte| *byte == 0) {
                let name = String::from_utf8_lossy(section.name);
                return Err(InspectError::damaged(format!("section {name} has a hole of zeros")));
            }
        }
    }
    Ok(())
}

/// Code, strings, symbols, relocations and unwinding tables. Data may well be zeros.
fn is_dense(section: &Section<'_>) -> bool {
    let loaded = section.flags & u64::from(elf::SHF_ALLOC) != 0;
    let code = section.kind == elf::SHT_PROGBITS && section.flags & u64::from(elf::SHF_EXECINSTR) != 0;
    let table = matches!(section.kind, elf::SHT_DYNSYM | elf::SHT_STRTAB | elf::SHT_RELA);
    loaded && (code || table || section.name == b".eh_frame")
}

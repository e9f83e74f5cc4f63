//! The dynamic section: the loader's list of everything else it follows.

use object::elf;

use super::InspectError;
use super::layout::{Layout, u64_at};

/// The size of one entry: a tag and a value.
const ENTRY_SIZE: usize = 16;

/// Packed relative relocations, for which `object` has no names.
pub(super) const DT_RELRSZ: u32 = 35;
pub(super) const DT_RELR: u32 = 36;
const DT_RELRENT: u32 = 37;

/// The entries, and the strings that names in them and in symbols point to.
pub(super) struct Dynamic<'a> {
    entries: Vec<(u64, u64)>,
    pub(super) strings: &'a [u8],
    /// The libraries it is linked to.
    pub(super) needed: Vec<&'a [u8]>,
}

impl<'a> Dynamic<'a> {
    pub(super) fn read(layout: &Layout<'a>) -> Result<Self, InspectError> {
        let mut segments = layout.segments.iter().filter(|segment| segment.kind == elf::PT_DYNAMIC);
        let (Some(segment), None) = (segments.next(), segments.next()) else {
            return Err(InspectError::damaged("it does not have one dynamic section"));
        };
        let data = layout.at(segment.address, segment.file_size).unwrap_or_default();
        let entries = entries(data)?;
        let mut dynamic = Self { entries, strings: &[], needed: Vec::new() };
        dynamic.check_pairs()?;
        dynamic.check_sizes()?;

        let (address, size) = (dynamic.value(elf::DT_STRTAB), dynamic.value(elf::DT_STRSZ));
        let strings = address.zip(size).and_then(|(address, size)| layout.at(address, size));
        dynamic.strings = strings
            .filter(|strings| strings.first() == Some(&0) && strings.last() == Some(&0))
            .ok_or_else(|| InspectError::damaged("its table of strings is not where it says"))?;
        for (tag, value) in &dynamic.entries {
            let is_name =
                [elf::DT_NEEDED, elf::DT_SONAME, elf::DT_RPATH, elf::DT_RUNPATH].map(u64::from).contains(tag);
            let name = dynamic.string(*value).filter(|name| !name.is_empty());
            match name {
                None if is_name => {
                    return Err(InspectError::damaged("a name in its dynamic section is missing"));
                }
                Some(name) if *tag == u64::from(elf::DT_NEEDED) => dynamic.needed.push(name),
                _ => {}
            }
        }
        Ok(dynamic)
    }

    /// The value of a tag. As for the loader, the last one counts.
    pub(super) fn value(&self, tag: u32) -> Option<u64> {
        self.entries.iter().rev().find(|entry| entry.0 == u64::from(tag)).map(|entry| entry.1)
    }

    /// A table that is described by two entries; an empty one may have no address.
    pub(super) fn table(
        &self,
        layout: &Layout<'a>,
        name: &str,
        address: u32,
        size: u32,
    ) -> Result<&'a [u8], InspectError> {
        match (self.value(address), self.value(size).unwrap_or(0)) {
            (None, 0) | (Some(_), 0) => Some(&[][..]),
            (None, _) => None,
            (Some(address), size) => layout.at(address, size),
        }
        .ok_or_else(|| InspectError::damaged(format!("its {name} table is not where it says")))
    }

    /// A string by its offset. Offsets in the table end at a zero, because the table does.
    pub(super) fn string(&self, offset: u64) -> Option<&'a [u8]> {
        let rest = self.strings.get(usize::try_from(offset).ok()?..)?;
        rest.split(|byte| *byte == 0).next().filter(|_| !rest.is_empty())
    }

    pub(super) fn nodelete(&self) -> bool {
        self.has(elf::DT_FLAGS_1, elf::DF_1_NODELETE)
    }

    pub(super) fn static_tls(&self) -> bool {
        self.has(elf::DT_FLAGS, elf::DF_STATIC_TLS)
    }

    pub(super) fn is_program(&self) -> bool {
        self.has(elf::DT_FLAGS_1, elf::DF_1_PIE)
    }

    pub(super) fn refuses_loading(&self) -> bool {
        self.has(elf::DT_FLAGS_1, elf::DF_1_NOOPEN)
    }

    /// Relocations may then be where nothing is written otherwise.
    pub(super) fn writes_to_code(&self) -> bool {
        self.value(elf::DT_TEXTREL).is_some() || self.has(elf::DT_FLAGS, elf::DF_TEXTREL)
    }

    fn has(&self, tag: u32, flag: u32) -> bool {
        self.value(tag).is_some_and(|flags| flags & u64::from(flag) != 0)
    }

    /// The loader reads the second of each pair without asking whether it is there.
    fn check_pairs(&self) -> Result<(), InspectError> {
        let pairs = [
            (elf::DT_SYMTAB, elf::DT_SYMENT),
            (elf::DT_RELA, elf::DT_RELASZ),
            (elf::DT_RELA, elf::DT_RELAENT),
            (DT_RELR, DT_RELRSZ),
            (DT_RELR, DT_RELRENT),
            (elf::DT_JMPREL, elf::DT_PLTRELSZ),
            (elf::DT_JMPREL, elf::DT_PLTREL),
            (elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ),
            (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ),
            (elf::DT_VERNEED, elf::DT_VERNEEDNUM),
            (elf::DT_VERDEF, elf::DT_VERDEFNUM),
            (elf::DT_VERNEED, elf::DT_VERSYM),
            (elf::DT_VERDEF, elf::DT_VERSYM),
        ];
        let complete = |(first, second)| self.value(first).is_none() || self.value(second).is_some();
        let error = || InspectError::damaged("its dynamic section is incomplete");
        pairs.into_iter().all(complete).then_some(()).ok_or_else(error)
    }

    /// The loader asserts these, and a failed assertion ends the process.
    fn check_sizes(&self) -> Result<(), InspectError> {
        let rela = u64::from(elf::DT_RELA);
        let fixed = [
            (elf::DT_SYMENT, 24, "symbols"),
            (elf::DT_RELAENT, 24, "relocations"),
            (DT_RELRENT, 8, "relative relocations"),
            (elf::DT_PLTREL, rela, "procedure linkage relocations"),
        ];
        for (tag, expected, what) in fixed {
            if self.value(tag).is_some_and(|value| value != expected) {
                return Err(InspectError::damaged(format!(
                    "its {what} are of another kind than this machine's"
                )));
            }
        }
        if self.value(elf::DT_REL).is_some() {
            return Err(InspectError::damaged("its relocations are of another kind than this machine's"));
        }
        Ok(())
    }
}

/// The entries up to the one that ends them.
fn entries(data: &[u8]) -> Result<Vec<(u64, u64)>, InspectError> {
    let mut entries = Vec::new();
    for entry in data.chunks_exact(ENTRY_SIZE) {
        match (u64_at(entry, 0), u64_at(entry, 8)) {
            (Some(tag), Some(value)) if tag != u64::from(elf::DT_NULL) => entries.push((tag, value)),
            _ if entries.is_empty() => return Err(InspectError::damaged("its dynamic section is empty")),
            _ => return Ok(entries),
        }
    }
    Err(InspectError::damaged("its dynamic section has no end"))
}

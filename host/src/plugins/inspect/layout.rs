//! Segments (what is mapped) and sections (what things are called), all of them inside the file.

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

use super::InspectError;

/// The page size that matters is the loader's; no machine has a smaller one.
const PAGE: u64 = 4096;

/// A part of the file that the loader does something with.
pub(super) struct Segment {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_size: u64,
    pub(super) memory_size: u64,
    align: u64,
}

/// A named part of the file.
pub(super) struct Section<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// The file as the loader would map it.
pub(super) struct Layout<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) segments: Vec<Segment>,
    pub(super) sections: Vec<Section<'a>>,
}

impl<'a> Layout<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, InspectError> {
        let unreadable = |error: object::Error| InspectError::damaged(lower_case(&error.to_string()));
        let header = FileHeader64::<Endianness>::parse(bytes).map_err(unreadable)?;
        let endian = header.endian().map_err(unreadable)?;

        let tables = [
            ("its program headers", header.e_phoff(endian), header.e_phnum(endian), 56),
            // With very many sections their number is in the first of them.
            ("its section headers", header.e_shoff(endian), header.e_shnum(endian).max(1), 64),
        ];
        for (what, start, count, size) in tables {
            if start == 0 {
                return Err(InspectError::damaged(format!("{what} are missing")));
            }
            inside(bytes, what, start, u64::from(count) * size)?;
        }

        let segments = header.program_headers(endian, bytes).map_err(unreadable)?;
        let segments: Vec<_> = segments.iter().map(|header| Segment::new(header, endian)).collect();
        let headers = header.section_headers(endian, bytes).map_err(unreadable)?;
        let sections = header.sections(endian, bytes).map_err(unreadable)?;
        let mut named = Vec::with_capacity(headers.len());
        // The first one is empty by definition.
        for header in headers.iter().skip(1) {
            let section = Section {
                name: sections.section_name(endian, header).map_err(unreadable)?,
                kind: header.sh_type(endian),
                flags: header.sh_flags(endian),
                address: header.sh_addr(endian),
                offset: header.sh_offset(endian),
                size: header.sh_size(endian),
            };
            named.push(section);
        }
        let layout = Self { bytes, segments, sections: named };
        layout.check_segments()?;
        layout.check_sections()?;
        Ok(layout)
    }

    pub(super) fn has_interpreter(&self) -> bool {
        self.segments.iter().any(|segment| segment.kind == elf::PT_INTERP)
    }

    /// The bytes behind an address, when all of them come from the file.
    pub(super) fn at(&self, address: u64, size: u64) -> Option<&'a [u8]> {
        self.from(address)?.get(..usize::try_from(size).ok()?)
    }

    /// The bytes from an address to the end of what is mapped there from the file.
    pub(super) fn from(&self, address: u64) -> Option<&'a [u8]> {
        let load = self.loads().find(|load| {
            address.checked_sub(load.address).is_some_and(|distance| distance < load.file_size)
        })?;
        let data = self.slice(load.offset, load.file_size)?;
        data.get(usize::try_from(address - load.address).ok()?..)
    }

    /// Whether memory with these rights will be at an address.
    pub(super) fn maps(&self, address: u64, size: u64, rights: u32) -> bool {
        self.loads().any(|load| load.flags & rights == rights && load.covers(address, size))
    }

    /// What a section holds, unless it is compressed or only reserves memory.
    pub(super) fn data_of(&self, section: &Section<'_>) -> Option<&'a [u8]> {
        let stored = section.kind != elf::SHT_NOBITS && section.flags & u64::from(elf::SHF_COMPRESSED) == 0;
        stored.then(|| self.slice(section.offset, section.size)).flatten()
    }

    /// Where the image begins and ends.
    pub(super) fn bounds(&self) -> (u64, u64) {
        let start = self.loads().map(|load| load.address).min().unwrap_or(0);
        (start, self.loads().map(|load| load.address + load.memory_size).max().unwrap_or(0))
    }

    fn loads(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.kind == elf::PT_LOAD)
    }

    fn slice(&self, offset: u64, size: u64) -> Option<&'a [u8]> {
        self.bytes.get(usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(size)?).ok()?)
    }

    fn check_segments(&self) -> Result<(), InspectError> {
        let mut free_from = 0;
        for (index, segment) in self.segments.iter().enumerate() {
            let damaged = |what: &str| InspectError::damaged(format!("segment {index} {what}"));
            inside(self.bytes, &format!("segment {index}"), segment.offset, segment.file_size)?;
            let end = segment.address.checked_add(segment.memory_size);
            let end = end.ok_or_else(|| damaged("lies outside of memory"))?;
            if segment.kind == elf::PT_LOAD {
                if segment.file_size > segment.memory_size {
                    return Err(damaged("has less memory than bytes"));
                }
                if segment.align > 1 && !segment.align.is_power_of_two()
                    || segment.offset % PAGE != segment.address % PAGE
                {
                    return Err(damaged("is not aligned"));
                }
                // The loader reserves from the first to the last and believes them to be in order.
                if segment.address < free_from {
                    return Err(damaged("overlaps the one before"));
                }
                free_from = end;
            }
        }
        if free_from == 0 {
            return Err(InspectError::damaged("it has nothing to load"));
        }
        self.check_views()
    }

    /// Segments that are views into loaded ones: the loader goes by their address, not by their offset.
    fn check_views(&self) -> Result<(), InspectError> {
        for (index, segment) in self.segments.iter().enumerate() {
            let backed = || {
                let there = self.at(segment.address, segment.file_size);
                there == self.slice(segment.offset, segment.file_size)
            };
            let sound = match segment.kind {
                elf::PT_DYNAMIC | elf::PT_GNU_EH_FRAME => backed(),
                elf::PT_TLS => {
                    (segment.file_size == 0 || backed())
                        && segment.file_size <= segment.memory_size
                        && (segment.align == 0 || segment.align.is_power_of_two())
                }
                elf::PT_GNU_RELRO => self.loads().any(|load| load.protects(segment)),
                _ => true,
            };
            if !sound {
                return Err(InspectError::damaged(format!("segment {index} is not where it says")));
            }
        }
        Ok(())
    }

    /// Linkers write the section headers last, so these are what a cut or zeroed end meets first.
    fn check_sections(&self) -> Result<(), InspectError> {
        for (index, section) in (1..).zip(&self.sections) {
            let name = String::from_utf8_lossy(section.name);
            if section.kind == elf::SHT_NULL {
                return Err(InspectError::damaged(format!("section header {index} is empty")));
            }
            if section.name.is_empty() {
                return Err(InspectError::damaged(format!("section {index} has no name")));
            }
            if section.kind != elf::SHT_NOBITS {
                inside(self.bytes, &format!("section {name}"), section.offset, section.size)?;
            }
            if section.kind == elf::SHT_STRTAB && self.data_of(section).and_then(<[u8]>::last) != Some(&0) {
                return Err(InspectError::damaged(format!("section {name} is not a table of strings")));
            }
        }
        Ok(())
    }
}

impl Segment {
    fn new(header: &elf::ProgramHeader64<Endianness>, endian: Endianness) -> Self {
        Self {
            kind: header.p_type(endian),
            flags: header.p_flags(endian),
            offset: header.p_offset(endian),
            address: header.p_vaddr(endian),
            file_size: header.p_filesz(endian),
            memory_size: header.p_memsz(endian),
            align: header.p_align(endian),
        }
    }

    /// Read-only again after relocation: up to the end of this segment's last page, and nothing of the next.
    fn protects(&self, view: &Self) -> bool {
        let end = (self.address + self.memory_size).checked_next_multiple_of(self.align.max(PAGE));
        let view_end = view.address + view.memory_size;
        self.covers(view.address, 0) && end.is_some_and(|end| view_end <= end)
    }

    fn covers(&self, address: u64, size: u64) -> bool {
        let end = address.checked_add(size);
        address >= self.address && end.is_some_and(|end| end <= self.address + self.memory_size)
    }
}

fn inside(bytes: &[u8], what: &str, start: u64, size: u64) -> Result<(), InspectError> {
    let end = start.saturating_add(size);
    if end > bytes.len() as u64 {
        return Err(InspectError::Truncated { what: what.to_owned(), end, size: bytes.len() as u64 });
    }
    Ok(())
}

fn lower_case(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A number at an offset. The header check made sure that the file's byte order is this machine's.
pub(super) fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*data.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*data.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*data.get(at..)?.first_chunk()?))
}
